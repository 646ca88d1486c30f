"""OpenTrain's side, verb by verb: what customers, trainers and OpenTrain's staff do.

Ids may be left out where one is obvious: the first organization, the job that was linked last,
the newest active install.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Concatenate, NamedTuple, ParamSpec, TypeVar

from django_opentrain.platform import catalog
from django_opentrain.sandbox import consent, events, faults, records, usage
from django_opentrain.sandbox.budget import Budget, budget_of
from django_opentrain.sandbox.clock import Clock, iso
from django_opentrain.sandbox.delivery import requeue
from django_opentrain.sandbox.errors import bad_request, conflict, forbidden
from django_opentrain.sandbox.lookup import (
    default_install,
    default_job,
    default_organization,
    find,
)
from django_opentrain.sandbox.models import (
    App,
    Contract,
    Endpoint,
    Entity,
    Event,
    Fault,
    Freelancer,
    Install,
    Job,
    Link,
    Milestone,
    Organization,
    Usage,
    new_id,
)
from django_opentrain.sandbox.store import Store
from django_opentrain.sandbox.trigger import content_of, merged

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=Entity)

#: The verbs by name, in the order in which they are defined.
VERBS: dict[str, Callable[..., object]] = {}

# Arguments of which the control API asks more than their type says, in keywords of JSON Schema.
Amount = Decimal | float
AppName = Annotated[str, ("maxLength", 120)]
BaseUri = Annotated[str, ("maxLength", 2048)]
DaysAgo = Annotated[int, ("maximum", 3650)]
EventType = Annotated[str, ("enum", catalog.EVENT_TYPES)]
FaultKind = Annotated[str, ("enum", faults.KINDS)]
PaymentType = Annotated[str, ("enum", records.PAYMENT_TYPES)]
RawBody = Annotated[str, ("minLength", 0), ("maxLength", None), ("pattern", None)]
Scope = Annotated[str, ("enum", catalog.SCOPES)]
State = Annotated[str, ("maxLength", 2000)]
Url = Annotated[str, ("maxLength", 2048), ("format", "uri")]


class Hired(NamedTuple):
    """A new contract, and who was hired (None: the contract has no trainer yet)."""

    contract: Contract
    freelancer: Freelancer | None


class Funded(NamedTuple):
    milestone: Milestone
    budget: Budget


class Worked(NamedTuple):
    """What the Time Tracker has of today, and the budget since."""

    usage: Usage
    budget: Budget


def verb(method: Callable[Concatenate[Marketplace, P], R]) -> Callable[Concatenate[Marketplace, P], R]:
    """One of the verbs: done in one transaction, and offered by the control API as its signature says."""

    @functools.wraps(method)
    def run(market: Marketplace, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with market.store.transaction():
            return method(market, *args, **kwargs)

    VERBS[method.__name__] = run
    return run


class Marketplace:
    """The verbs, over one store. Each raises :class:`.ApiError` for what can't be done."""

    def __init__(self, store: Store, base_url: str, app_slug: str) -> None:
        self.store = store
        self.base_url = base_url
        self.app_slug = app_slug

    @property
    def clock(self) -> Clock:
        return self.store.clock

    # Customers --------------------------------------------------------------------------------

    @verb
    def create_organization(self, name: str) -> Organization:
        """One more customer, with the annotation-platform feature on."""
        organization = Organization(id=new_id("org"), name=name)
        self.store.put(organization)
        return organization

    @verb
    def create_job(
        self,
        title: str,
        *,
        organization_id: str | None = None,
        payment_type: PaymentType | None = catalog.PAY_PER_HOUR,
    ) -> Job:
        """A new job; of the first organization when none is named."""
        organization = default_organization(self.store, organization_id)
        return records.new_job(self.store, organization, title, payment_type)

    @verb
    def approve(
        self,
        *,
        organization_id: str | None = None,
        app_slug: str | None = None,
        scopes: Sequence[Scope] | None = None,
        pii_consent: bool = True,
        redirect_uri: Url | None = None,
        state: State | None = None,
        external_project_id: str | None = None,
    ) -> consent.Approval:
        """What the consent page does when the customer approves: a token, shown only here.

        Grants ``scopes``, those of the app when None. An earlier grant of the two is revoked.
        """
        app = find(self.store, App, app_slug or self.app_slug)
        organization = default_organization(self.store, organization_id)
        if not app.active:
            raise forbidden("The platform app is not active")
        site = consent.origin_of(redirect_uri) if redirect_uri else ""
        install, token = consent.grant(self.store, app, organization, scopes or app.scopes, pii_consent, site)
        returned = {
            "opentrain_install_id": install.id,
            "state": state,
            "external_project_id": external_project_id,
        }
        back = consent.return_url(redirect_uri, returned)
        return consent.Approval(install=install, install_id=install.id, token=token, return_url=back)

    @verb
    def disconnect(self, install_id: str | None = None) -> Install:
        """The customer disconnects; the newest active install when none is named."""
        install = default_install(self.store, install_id)
        consent.revoke(self.store, install, "disconnected")
        return install

    @verb
    def hire(
        self,
        name: str = "Maria S.",
        *,
        job_id: str | None = None,
        work_email: str = records.NOW,
        seconds: float | None = None,
        opentrain_user_id: str | None = None,
        country: str = "BR",
        hired: bool = True,
        days_ago: DaysAgo = 0,
    ) -> Hired:
        """Hire a new trainer called ``name``, or again the one with ``opentrain_user_id``.

        The job is the one linked last when none is named. For ``work_email`` and ``seconds`` see
        :func:`.records.new_freelancer`. With ``hired=False`` the contract has no trainer yet. With
        ``days_ago`` it started then, and is announced now.
        """
        job = default_job(self.store, job_id)
        freelancer = None
        if opentrain_user_id is not None:
            freelancer = find(self.store, Freelancer, opentrain_user_id)
        elif hired:
            freelancer = records.new_freelancer(
                self.store, name, self.base_url, work_email=work_email, seconds=seconds, country=country
            )
        contract = records.new_contract(self.store, freelancer, job, days_ago)
        events.emit_contract(self.store, contract, catalog.CONTRACT_STARTED)
        return Hired(contract, freelancer)

    @verb
    def add_participant(self, contract_id: str, name: str, *, work_email: str = records.NOW) -> Freelancer:
        """One more trainer on a contract. Nothing is emitted."""
        contract = find(self.store, Contract, contract_id)
        freelancer = records.new_freelancer(self.store, name, self.base_url, work_email=work_email)
        contract.participant_ids.append(freelancer.opentrain_user_id)
        self.store.put(contract)
        return freelancer

    @verb
    def end(self, contract_id: str) -> Contract:
        """End a contract; emits ``contract.ended`` for each link of its job."""
        contract = find(self.store, Contract, contract_id)
        if contract.status != catalog.CONTRACT_ACTIVE:
            raise conflict("The contract has ended already")
        records.end_contract(self.store, contract)
        events.emit_contract(self.store, contract, catalog.CONTRACT_ENDED)
        return contract

    @verb
    def fund(
        self,
        contract_id: str,
        amount_usd: Amount = 100,
        volume: Amount | None = None,
        *,
        name: str | None = None,
    ) -> Funded:
        """Fund a new milestone, which completes the one before; emits ``milestone.funded``.

        ``volume``: hours or labels, by the contract's payment type; None for a fixed price.
        """
        contract = find(self.store, Contract, contract_id)
        if volume is None and contract.payment_type in {catalog.PAY_PER_HOUR, catalog.PAY_PER_LABEL}:
            raise bad_request(f"A {contract.payment_type} milestone needs a volume")
        exact = None if volume is None else Decimal(str(volume))
        milestone = records.new_milestone(self.store, contract, Decimal(str(amount_usd)), exact, name=name)
        events.emit_milestone(self.store, contract, catalog.MILESTONE_FUNDED, milestone)
        return Funded(milestone, self.budget(contract_id))

    @verb
    def work(
        self, contract_id: str, *, hours: Amount = 0, seconds: int = 0, tasks: int = 0, labels: int = 0
    ) -> Worked:
        """The trainer works, recorded by OpenTrain's own Time Tracker: added to today, by this clock.

        Emits ``milestone.budget_low`` and ``milestone.budget_depleted`` as a report of usage does.
        """
        contract = find(self.store, Contract, contract_id)
        exact = int(Decimal(str(hours)) * 3600) + seconds
        tracked = usage.track(self.store, contract, exact, tasks, labels)
        return Worked(tracked, usage.spend(self.store, contract))

    @verb
    def release_email(self, contract_id: str) -> Freelancer:
        """Let the Work Email of a contract's trainer be seen from now on. Nothing is emitted."""
        contract = find(self.store, Contract, contract_id)
        freelancer = self.store.get(Freelancer, contract.freelancer_id)
        if freelancer is None:
            raise conflict("The contract has no hired trainer")
        return self._change(freelancer, email_release_at=self.clock.now())

    @verb
    def change_email(self, opentrain_user_id: str, work_email: str) -> Freelancer:
        """Give a trainer another Work Email. Nothing is emitted."""
        return self._change(find(self.store, Freelancer, opentrain_user_id), work_email=work_email)

    @verb
    def set_link(self, link_id: str, job_id: str | None = None) -> Link:
        """The customer chooses the job of a project link, or none. Nothing is emitted."""
        link = find(self.store, Link, link_id)
        link.job_id = None if job_id is None else find(self.store, Job, job_id).id
        self.store.put(link)
        return link

    def budget(self, contract_id: str) -> Budget:
        return budget_of(self.store, find(self.store, Contract, contract_id))

    # OpenTrain --------------------------------------------------------------------------------

    @verb
    def create_app(
        self, slug: str, *, name: AppName | None = None, redirect_uris: Sequence[BaseUri] = ()
    ) -> App:
        """Register another platform app; local redirects only when none are given."""
        if not consent.SLUG.fullmatch(slug):
            raise bad_request("A slug is 1 to 50 lower-case letters, digits and hyphens")
        if self.store.get(App, slug) is not None:
            raise bad_request("There is an app with this slug")
        _check_redirects(redirect_uris)
        uris = [*redirect_uris] or consent.LOCAL_REDIRECTS
        app = App(slug=slug, name=name or slug, client_id=new_id("ptnapp"), redirect_uris=uris)
        self.store.put(app)
        return app

    @verb
    def set_app(
        self,
        slug: str | None = None,
        *,
        active: bool | None = None,
        scopes: Sequence[Scope] | None = None,
        redirect_uris: Sequence[BaseUri] | None = None,
        link_limit: int | None = None,
    ) -> App:
        """Change what is given of an app; scopes take effect for new installs."""
        _check_redirects(redirect_uris or ())
        app = find(self.store, App, slug or self.app_slug)
        return self._change(
            app, active=active, scopes=scopes, redirect_uris=redirect_uris, link_limit=link_limit
        )

    @verb
    def set_organization(
        self, organization_id: str | None = None, *, feature_enabled: bool = True
    ) -> Organization:
        """Switch the annotation-platform feature of a customer's account."""
        organization = default_organization(self.store, organization_id)
        return self._change(organization, feature_enabled=feature_enabled)

    @verb
    def set_install(
        self,
        install_id: str | None = None,
        *,
        status: str | None = None,
        scopes: Sequence[Scope] | None = None,
        pii_consent: bool | None = None,
    ) -> Install:
        """Change what is given of an install, without an event, unlike :meth:`disconnect`."""
        install = default_install(self.store, install_id)
        return self._change(install, status=status, scopes=scopes, pii_consent=pii_consent)

    @verb
    def emit(
        self,
        type_: EventType,
        *,
        install_id: str | None = None,
        contract_id: str | None = None,
        link_id: str | None = None,
        data: Mapping[str, object] | None = None,
        raw_body: RawBody | None = None,
    ) -> Event:
        """Any event on order, to the endpoints of one install: see :mod:`.trigger`.

        ``data`` is merged, object by object, over the event's usual data; ``raw_body`` is sent, signed, instead
        of the whole body.
        """
        install = default_install(self.store, install_id)
        usual = content_of(self.store, install, type_, contract_id, link_id)
        content = usual._replace(data=merged(usual.data, data or {}))
        return events.emit(self.store, install, type_, content, raw_body=raw_body)

    @verb
    def redeliver(self, endpoint_id: str, delivery_id: str | None = None) -> int:
        """Queue an endpoint's failed deliveries again, or any one of them. Returns how many."""
        return requeue(self.store, find(self.store, Endpoint, endpoint_id), delivery_id)

    # The sandbox's own ------------------------------------------------------------------------

    @verb
    def advance(self, seconds: float) -> str:
        """Move the clock ahead; deliveries that fall due go out with the next pass. Returns the time."""
        self.clock.advance(seconds)
        self.store.record_time()
        return iso(self.clock.now())

    @verb
    def fault(
        self,
        kind: FaultKind,
        *,
        match: str = ".*",
        times: int = 1,
        status: int | None = None,
        seconds: float = 0.0,
        retry_after: str | None = None,
    ) -> Fault:
        """Let the next ``times`` matching API calls fail: see :mod:`.faults`.

        :param match: regular expression for the whole of ``METHOD /path``, the path being what
            follows the API's base: ``POST /project-links``, ``.* /contracts/.*``.
        :param status: 500 for "error", 503 for "empty", 502 for "html" when left out.
        :param retry_after: the value of a ``Retry-After`` header.
        """
        if kind not in faults.KINDS:
            raise bad_request(f"A fault's kind is one of {', '.join(faults.KINDS)}")
        if status is not None and not 400 <= status <= 599:
            raise bad_request("A fault's status is from 400 to 599")
        try:
            re.compile(match)
        except re.error as error:
            raise bad_request(f"match is not a regular expression: {error}") from error
        fault = Fault(
            id=new_id("flt"),
            kind=kind,
            match=match,
            times=times,
            status=status or faults.USUAL_STATUSES.get(kind, 500),
            seconds=seconds,
            retry_after=retry_after,
        )
        self.store.put(fault)
        return fault

    @verb
    def clear_faults(self) -> int:
        """Cancel the faults that are left. Returns how many."""
        left = self.store.all(Fault)
        for fault in left:
            self.store.remove(fault)
        return len(left)

    def _change(self, entity: E, **changes: object) -> E:
        """Keep ``entity`` with those of ``changes`` that aren't None."""
        for name, value in changes.items():
            if value is not None:
                setattr(entity, name, [*value] if isinstance(value, (list, tuple)) else value)
        self.store.put(entity)
        return entity


def _check_redirects(uris: Sequence[str]) -> None:
    if len(uris) > consent.MAX_REDIRECT_URIS or not all(map(consent.is_base_uri, uris)):
        raise bad_request(
            f"An app has up to {consent.MAX_REDIRECT_URIS} redirect URIs, http or https, without a fragment"
        )
