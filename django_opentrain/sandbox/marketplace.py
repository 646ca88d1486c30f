"""OpenTrain's side of the story, verb by verb: what customers and OpenTrain's staff do.

Ids may be left out where one is obvious: the first organization, the job that was linked last,
the newest active install.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from django_opentrain.platform.catalog import PAY_PER_HOUR
from django_opentrain.sandbox import actions, consent, lookup
from django_opentrain.sandbox.budget import Budget, budget_of
from django_opentrain.sandbox.clock import Clock
from django_opentrain.sandbox.delivery import requeue
from django_opentrain.sandbox.errors import bad_request, not_found
from django_opentrain.sandbox.faults import Faults
from django_opentrain.sandbox.models import (
    App,
    Contract,
    Endpoint,
    Event,
    Freelancer,
    Install,
    Job,
    Milestone,
    Organization,
)
from django_opentrain.sandbox.seed import LOCAL_REDIRECTS, create_app
from django_opentrain.sandbox.store import Store
from django_opentrain.sandbox.trigger import trigger


class Marketplace:
    """The verbs, over one store. Each raises :class:`.ApiError` for what can't be done."""

    def __init__(self, store: Store, base_url: str, app_slug: str) -> None:
        self.store = store
        self.base_url = base_url
        self.app_slug = app_slug
        self.faults = Faults(store)

    @property
    def clock(self) -> Clock:
        return self.store.clock

    def advance(self, seconds: float) -> None:
        """Move the clock ahead; deliveries that fall due go out with the next pass."""
        self.clock.advance(seconds)
        self.store.record_time()

    # Customers --------------------------------------------------------------------------------

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

    def budget(self, contract_id: str) -> Budget:
        return budget_of(self.store, lookup.find(self.store, Contract, contract_id))

    # OpenTrain --------------------------------------------------------------------------------

    def create_app(self, slug: str, *, name: str | None = None, redirect_uris: Sequence[str] = ()) -> App:
        """Register another platform app; local redirects only when none are given."""
        if self.store.get(App, slug) is not None:
            raise bad_request("There is an app with this slug")
        _check_redirects(redirect_uris)
        return create_app(self.store, slug, name or slug, redirect_uris or LOCAL_REDIRECTS)

    def set_app(
        self,
        slug: str | None = None,
        *,
        active: bool | None = None,
        scopes: Sequence[str] | None = None,
        redirect_uris: Sequence[str] | None = None,
        link_limit: int | None = None,
    ) -> App:
        """Change what is given of an app; scopes take effect for new installs."""
        _check_redirects(redirect_uris or ())
        app = lookup.default_app(self.store, slug or self.app_slug)
        with self.store.transaction():
            app.active = app.active if active is None else active
            app.scopes = app.scopes if scopes is None else list(scopes)
            app.redirect_uris = app.redirect_uris if redirect_uris is None else [*redirect_uris]
            app.link_limit = app.link_limit if link_limit is None else link_limit
            self.store.put(app)
        return app

    def set_organization(self, organization_id: str | None = None, *, feature_enabled: bool) -> Organization:
        """Switch the annotation-platform feature of a customer's account."""
        organization = lookup.default_organization(self.store, organization_id)
        with self.store.transaction():
            organization.feature_enabled = feature_enabled
            self.store.put(organization)
        return organization

    def set_install(
        self,
        install_id: str | None = None,
        *,
        status: str | None = None,
        scopes: Sequence[str] | None = None,
        pii_consent: bool | None = None,
    ) -> Install:
        """Change what is given of an install, quietly: no event, unlike :meth:`disconnect`."""
        install = lookup.default_install(self.store, install_id)
        with self.store.transaction():
            install.status = status or install.status
            install.scopes = install.scopes if scopes is None else list(scopes)
            install.pii_consent = install.pii_consent if pii_consent is None else pii_consent
            self.store.put(install)
        return install

    def emit(
        self,
        event_type: str,
        *,
        install_id: str | None = None,
        contract_id: str | None = None,
        link_id: str | None = None,
        data: Mapping[str, object] | None = None,
        raw_body: str | None = None,
    ) -> Event:
        """Any event on order: see :mod:`.trigger`."""
        return trigger(
            self.store,
            lookup.default_install(self.store, install_id),
            event_type,
            contract_id=contract_id,
            link_id=link_id,
            data=data,
            raw_body=raw_body,
        )

    def redeliver(self, endpoint_id: str, delivery_id: str | None = None) -> int:
        """Queue an endpoint's failed deliveries again, or any one of them. Returns how many."""
        with self.store.transaction():
            endpoint = lookup.find(self.store, Endpoint, endpoint_id)
            requeued = requeue(self.store, endpoint, delivery_id)
        if requeued is None:
            raise not_found("Delivery not found")
        return len(requeued)


def _check_redirects(uris: Sequence[str]) -> None:
    if len(uris) > consent.MAX_REDIRECT_URIS or not all(map(consent.is_base_uri, uris)):
        raise bad_request(
            f"An app has up to {consent.MAX_REDIRECT_URIS} redirect URIs, http or https, without a fragment"
        )
