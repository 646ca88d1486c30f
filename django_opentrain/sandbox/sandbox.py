"""The facade: a whole OpenTrain in one object, for tests and scripts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import requests

from django_opentrain.sandbox.app import ApiCall, SandboxApp
from django_opentrain.sandbox.clock import Clock
from django_opentrain.sandbox.delivery import DeliveryEngine, HttpSender, Sender
from django_opentrain.sandbox.marketplace import Marketplace
from django_opentrain.sandbox.readings import Readings
from django_opentrain.sandbox.seed import DEFAULT_APP_SLUG, seed
from django_opentrain.sandbox.store import Store
from django_opentrain.sandbox.transport import SandboxAdapter


class Sandbox(Marketplace):
    """A local OpenTrain, seeded with an app, a customer and two jobs.

    :param base_url: its address for clients; see :meth:`mount`.
    :param speed: how much faster its clock runs; 0: only :meth:`advance` moves it.
    :param state_file: where it survives a restart.
    :param clock: instead of one with ``speed``.
    :param sender: delivers webhooks; real HTTP when None.
    :param redirect_uris: allowed as well as any port of this machine.
    :param readings: of what OpenTrain's documentation leaves open.
    """

    def __init__(
        self,
        base_url: str = "https://app.opentrain.test",
        *,
        speed: float = 1.0,
        state_file: str | Path | None = None,
        clock: Clock | None = None,
        sender: Sender | None = None,
        app_slug: str = DEFAULT_APP_SLUG,
        redirect_uris: Sequence[str] = (),
        readings: Readings | None = None,
    ) -> None:
        own_clock = Clock(speed=speed) if clock is None else clock
        store = Store(own_clock, None if state_file is None else Path(state_file), readings)
        super().__init__(store, base_url.rstrip("/"), app_slug)
        seed(store, app_slug, redirect_uris)
        self._http_sender = HttpSender()
        self.engine = DeliveryEngine(store, self._http_sender if sender is None else sender)
        self.app = SandboxApp(self)

    @property
    def calls(self) -> deque[ApiCall]:
        """The latest API calls, oldest first."""
        return self.app.calls

    def mount(self, session: requests.Session) -> None:
        """Make ``session`` reach this sandbox at its base URL, without a socket."""
        session.mount(self.base_url, SandboxAdapter(self.app))

    def deliver_due(self) -> int:
        """Attempt each delivery that is due, once. Returns how many attempts were made."""
        return self.engine.deliver_due()

    def close(self) -> None:
        """Close the state file and connections."""
        self.store.close()
        self._http_sender.close()
