"""The facade: a whole OpenTrain in one object, for tests and scripts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import requests

from django_opentrain.platform.catalog import PAY_PER_HOUR
from django_opentrain.sandbox import actions, consent, lookup
from django_opentrain.sandbox.app import ApiCall, SandboxApp
from django_opentrain.sandbox.budget import Budget, budget_of
from django_opentrain.sandbox.clock import Clock
from django_opentrain.sandbox.delivery import DeliveryEngine, HttpSender, Sender
from django_opentrain.sandbox.faults import Faults
from django_opentrain.sandbox.models import (
    Contract,
    Freelancer,
    Install,
    Job,
    Link,
    Milestone,
    Organization,
)
from django_opentrain.sandbox.seed import DEFAULT_APP_SLUG, seed
from django_opentrain.sandbox.store import Store
from django_opentrain.sandbox.transport import SandboxAdapter


class Sandbox:
    """A local OpenTrain, seeded with an app, a customer and two jobs.

    :param base_url: where clients believe it is; see :meth:`mount`.
    :param speed: how much faster its clock runs; 0: only :meth:`advance` moves it.
    :param state_file: where it survives a restart.
    :param sender: delivers webhooks; real HTTP when None.
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
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.clock = Clock(speed=speed) if clock is None else clock
        self.store = Store(self.clock, None if state_file is None else Path(state_file))
        self._http_sender = HttpSender()
        self.engine = DeliveryEngine(self.store, self._http_sender if sender is None else sender)
        self.app = SandboxApp(self.store, self.engine, self.base_url)
        self.app_slug = app_slug
        seed(self.store, app_slug, redirect_uris)

    # Running it -------------------------------------------------------------------------------

    @property
    def faults(self) -> Faults:
        """Trouble on order for the next API calls."""
        return self.app.faults

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

    def advance(self, seconds: float) -> None:
        """Move the clock ahead; what falls due goes out with the next :meth:`deliver_due`."""
        self.clock.advance(seconds)
        self.store.record_time()

    def close(self) -> None:
        """Let go of the state file and of connections."""
        self.store.close()
        self._http_sender.close()

    # What customers do ------------------------------------------------------------------------

    def create_organization(self, name: str) -> Organization:
        return actions.create_organization(self.store, name)

    def create_job(
        self,
        title: str,
        *,
        organization_id: str | None = None,
        payment_type: str | None = PAY_PER_HOUR,
    ) -> Job:
        """A new job; of the first organization when none is named."""
        organization = lookup.default_organization(self.store, organization_id)
        return actions.create_job(self.store, organization, title, payment_type)

    def approve(
        self,
        *,
        organization_id: str | None = None,
        app_slug: str | None = None,
        scopes: Sequence[str] | None = None,
        pii_consent: bool = True,
        redirect_uri: str | None = None,
        state: str | None = None,
        external_project_id: str | None = None,
    ) -> consent.Approval:
        """What the consent page does when the customer approves: a token, shown only here."""
        return consent.approve(
            self.store,
            lookup.default_app(self.store, app_slug or self.app_slug),
            lookup.default_organization(self.store, organization_id),
            scopes=scopes,
            pii_consent=pii_consent,
            redirect_uri=redirect_uri,
            state=state,
            external_project_id=external_project_id,
        )

    def disconnect(self, install_id: str | None = None) -> Install:
        """The customer disconnects; the newest active install when none is named."""
        install = lookup.default_install(self.store, install_id)
        consent.revoke(self.store, install, "disconnected")
        return install

    def hire(
        self,
        name: str | None = "Maria S.",
        *,
        job_id: str | None = None,
        work_email: str = actions.NOW,
        seconds: float | None = None,
        opentrain_user_id: str | None = None,
        country: str = "BR",
    ) -> actions.Hired:
        """Hire a new trainer called ``name``, or again the one with ``opentrain_user_id``.

        ``name=None`` makes a contract with nobody hired. The job is the one linked last when none
        is named. For ``work_email`` and ``seconds`` see :func:`.actions.create_freelancer`.
        """
        job = lookup.default_job(self.store, job_id)
        if opentrain_user_id is not None:
            freelancer = lookup.find(self.store, Freelancer, opentrain_user_id)
            return actions.hire(self.store, freelancer, job)
        if name is None:
            return actions.hire(self.store, None, job)
        with self.store.transaction():
            freelancer = actions.create_freelancer(
                self.store,
                name,
                work_email=work_email,
                seconds=seconds,
                country=country,
                base_url=self.base_url,
            )
            return actions.hire(self.store, freelancer, job)

    def add_participant(self, contract_id: str, name: str, *, work_email: str = actions.NOW) -> Freelancer:
        """One more trainer on a contract."""
        contract = lookup.find(self.store, Contract, contract_id)
        freelancer = actions.create_freelancer(
            self.store, name, work_email=work_email, base_url=self.base_url
        )
        actions.add_participant(self.store, contract, freelancer)
        return freelancer

    def end(self, contract_id: str) -> Contract:
        return actions.end(self.store, lookup.find(self.store, Contract, contract_id))

    def fund(
        self,
        contract_id: str,
        amount_usd: Decimal | float = 100,
        volume: Decimal | float | None = None,
        *,
        name: str | None = None,
    ) -> Milestone:
        """Fund a milestone: ``volume`` hours or labels, by the contract's payment type."""
        contract = lookup.find(self.store, Contract, contract_id)
        exact = None if volume is None else Decimal(str(volume))
        return actions.fund(self.store, contract, Decimal(str(amount_usd)), exact, name=name)

    def release_email(self, contract_id: str) -> Freelancer:
        return actions.release_email(self.store, lookup.find(self.store, Contract, contract_id))

    # Looking ----------------------------------------------------------------------------------

    def budget(self, contract_id: str) -> Budget:
        return budget_of(self.store, lookup.find(self.store, Contract, contract_id))

    def links(self, install_id: str) -> list[Link]:
        return self.store.owned(Link, install_id)
