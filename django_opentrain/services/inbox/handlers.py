"""A handler for each type of webhook event. Called with the install's row locked, several in one transaction.

What an event changes is in the unit of work at once, for the next event to see, and in the database with what the
others change. Before a handler changes rows of these tables itself, the unit has to be written.

Source: OpenTrain's documentation, "Webhooks". Only a few of the keys in ``data`` are documented, so what is missing
is fetched: an event that can't be used in full requests a reconciliation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain import signals
from django_opentrain.explanations import Reason
from django_opentrain.models import Contract, Install, Participant, ProjectLink
from django_opentrain.models.access import event_cause
from django_opentrain.platform import catalog
from django_opentrain.platform.payloads import Event
from django_opentrain.platform.resources import (
    BudgetInfo,
    ContractInfo,
    MalformedResource,
    ParticipantInfo,
    ProjectLinkInfo,
)
from django_opentrain.platform.values import as_id
from django_opentrain.services.access import contracts, grants, participants
from django_opentrain.services.access.unit_of_work import UnitOfWork
from django_opentrain.services.connect import refused_installs
from django_opentrain.services.linking import generations, records


@dataclass(frozen=True, kw_only=True)
class Context:
    """An event, and the installs that it concerns."""

    #: The install whose endpoint received it: the event names its links.
    origin: Install
    #: The changes to the install to which it applies: after a reconnect, the one that took over.
    unit: UnitOfWork
    event: Event

    @property
    def is_late(self) -> bool:
        """Whether it came through an install that another one has taken over."""
        return self.origin != self.unit.install


def subject(install: Install) -> Install:
    """The install to which an event for ``install`` applies: after a reconnect, the one that took over."""
    visited = {install.pk}
    while install.superseded_by is not None and install.superseded_by.pk not in visited:
        install = install.superseded_by
        visited.add(install.pk)
    return install


def expect(unit: UnitOfWork, event: Event) -> None:
    """What this event names is read together with what the others of its batch name."""
    unit.contracts.expect(_contract_ids(event))
    unit.participants.expect([as_id(_part(event, "freelancer").get("opentrainUserId"))])
    unit.links.expect([as_id(_part(event, "projectLink").get("id"))])


def apply(origin: Install, unit: UnitOfWork, event: Event) -> str:
    """Apply an event; returns why it was ignored, or "".

    ``origin`` is the install whose endpoint received it, ``unit`` changes the one it applies to.
    """
    if event.type not in catalog.EVENT_TYPES:
        return _("Unknown event type.")
    if event.type == catalog.INSTALL_REVOKED:
        return _install_revoked(origin, event)
    refused_installs.note_event_received(origin, event)
    if event.type in _GIVING and not unit.install.is_live:
        return _("The connection has ended.")
    return HANDLERS[event.type](Context(origin=origin, unit=unit, event=event))


def _install_revoked(origin: Install, event: Event) -> str:
    # Never the successor: a late delivery about the old install must not end the new one.
    if Install.objects.filter(opentrain_id=event.resource_id).exclude(pk=origin.pk).exists():
        return _("It is about another connection.")
    if origin.status in (Install.Status.REVOKED, Install.Status.DISCONNECTED):
        return _("The connection had already ended.")
    columns = {
        "status": Install.Status.REVOKED,
        "revoked_at": timezone.now(),
        "token": None,
        "removals_held": 0,
        "removals_confirmed": False,
        **Reason(_("The customer disconnected on OpenTrain."), "REVOKED").columns("last_error"),
    }
    Install.objects.filter(pk=origin.pk).update(**columns)
    # For the events after it.
    for name, value in columns.items():
        setattr(origin, name, value)
    signals.send_on_commit(signals.install_revoked, Install, install=origin)
    return ""


def _contract_started(context: Context) -> str:
    unit, event = context.unit, context.event
    info = _contract(event)
    if info is None:
        unit.request_reconcile()
        return ""
    contract = contracts.record(unit, info, event=event)
    if contract.status == Contract.Status.ENDED:
        return _("The contract has ended already.")
    link = _link(context)
    trainer = _trainer(unit, contract, event)
    if link is None or trainer is None:
        unit.request_reconcile()
        return ""
    unit.add_link(contract, link)
    if link.grants_access:
        unit.grant(contract, link, trainer, _cause(event))
    return ""


def _contract_ended(context: Context) -> str:
    unit, event = context.unit, context.event
    info = _contract(event)
    if info is None:
        unit.request_reconcile()
        return ""
    contract = contracts.record(unit, info, event=event)
    link, trainer = _link(context), _trainer(unit, contract, event)
    if link is not None and trainer is not None and grants.may_grant(link):
        # Access may have been granted although its row was deleted.
        unit.grant(contract, link, trainer, _cause(event))
    contracts.record_end(unit, contract, _cause(event))
    return ""


def _project_link_created(context: Context) -> str:
    link = _link(context)
    context.unit.request_reconcile()
    return "" if link is None or link.live else _("The link was removed already.")


def _project_link_removed(context: Context) -> str:
    event = context.event
    snapshot = _part(event, "projectLink")
    link_id = as_id(snapshot.get("id")) or event.resource_id
    if not link_id:
        context.unit.request_reconcile()
        return ""
    info = ProjectLinkInfo.from_json({**snapshot, "id": link_id})
    if not context.is_late:
        records.record_removal(context.unit, info, _cause(event))
        return ""
    link = records.record_removed_link(context.origin, info)
    if not generations.was_intended(link, event.created_at):
        return _("It is about a link of the previous connection: the new connection has its own.")
    if (successor := generations.current(link)).live:
        context.unit.write()
        records.request_removal(successor, _cause(event))
    return ""


def _milestone(context: Context) -> str:
    unit, event = context.unit, context.event
    rows = (unit.contracts.get(each) for each in _contract_ids(event))
    contract = next((row for row in rows if row is not None), None)
    if contract is None:
        unit.request_reconcile()
        return ""
    try:
        contracts.record_budget(unit, contract, BudgetInfo.from_json(event.data.get("budget")), event)
    except MalformedResource:
        contract.budget_updated_at = None
        unit.request_reconcile()
    return ""


#: Events that give something: they are ignored once the connection has ended.
_GIVING: Final = frozenset({catalog.CONTRACT_STARTED, catalog.PROJECT_LINK_CREATED})

HANDLERS: Final[Mapping[str, Callable[[Context], str]]] = {
    catalog.CONTRACT_STARTED: _contract_started,
    catalog.CONTRACT_ENDED: _contract_ended,
    catalog.PROJECT_LINK_CREATED: _project_link_created,
    catalog.PROJECT_LINK_REMOVED: _project_link_removed,
    catalog.MILESTONE_FUNDED: _milestone,
    catalog.MILESTONE_BUDGET_LOW: _milestone,
    catalog.MILESTONE_BUDGET_DEPLETED: _milestone,
}


# Reading an event -----------------------------------------------------------------------------


def _cause(event: Event) -> str:
    return event_cause(event.id, event.type)


def _part(event: Event, key: str) -> Mapping[str, object]:
    part = event.data.get(key)
    return part if isinstance(part, dict) else {}


def _link(context: Context) -> ProjectLink | None:
    """The current link for the one that the event names; None if there is none that can be used."""
    try:
        info = ProjectLinkInfo.from_json(_part(context.event, "projectLink"))
    except MalformedResource:
        return None
    if context.is_late:
        return generations.from_predecessor(context.origin, context.unit.install, info)
    return records.record(context.unit, info)


def _contract(event: Event) -> ContractInfo | None:
    """The event's contract; by its resource id if the snapshot lacks one."""
    try:
        return ContractInfo.from_json(
            {"id": event.resource_id, "jobId": event.job_id, **_part(event, "contract")}
        )
    except MalformedResource:
        return None


def _contract_ids(event: Event) -> list[str]:
    """What may be the id of the event's contract."""
    named = event.data.get("contractId"), _part(event, "contract").get("id")
    ids = [*map(as_id, named), event.resource_id, as_id(_part(event, "budget").get("contractId"))]
    return [*filter(None, ids)]


def _trainer(unit: UnitOfWork, contract: Contract, event: Event) -> Participant | None:
    """The hired trainer that the event names, saved as the contract's."""
    try:
        info = ParticipantInfo.from_json(_part(event, "freelancer"))
    except MalformedResource:
        return None
    trainer = participants.record(unit, info, at_work=event.type == catalog.CONTRACT_STARTED)
    contracts.record_trainer(unit, contract, trainer)
    return trainer
