"""The facade: a whole OpenTrain in one object, for tests and scripts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import requests

from django_opentrain.platform.catalog import PAY_PER_HOUR, PAY_PER_LABEL
from django_opentrain.sandbox.app import ApiCall, SandboxApp
from django_opentrain.sandbox.clock import Clock
from django_opentrain.sandbox.delivery import DeliveryEngine, HttpSender, Sender
from django_opentrain.sandbox.marketplace import Marketplace
from django_opentrain.sandbox.models import App, Organization
from django_opentrain.sandbox.readings import Readings
from django_opentrain.sandbox.store import Store
from django_opentrain.sandbox.transport import SandboxAdapter

DEFAULT_APP_SLUG = "annotation-demo"


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
        self._seed(redirect_uris)
        self._http_sender = HttpSender()
        self.engine = DeliveryEngine(store, self._http_sender if sender is None else sender)
        self.app = SandboxApp(self)

    def _seed(self, redirect_uris: Sequence[str]) -> None:
        """Make sure of the app, and of a customer with jobs if there is none yet."""
        app = self.store.get(App, self.app_slug)
        if app is None:
            app = self.create_app(self.app_slug, name=self.app_slug.replace("-", " ").title())
        with self.store.transaction():
            app.redirect_uris = list(dict.fromkeys([*app.redirect_uris, *redirect_uris]))
            self.store.put(app)
        if not self.store.all(Organization):
            self.create_organization("Acme Robotics")
            self.create_job("Invoice entity labelling", payment_type=PAY_PER_HOUR)
            self.create_job("Street scene boxes", payment_type=PAY_PER_LABEL)

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
