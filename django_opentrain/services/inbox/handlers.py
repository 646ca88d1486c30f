"""A handler for each type of webhook event. Called with the install's row locked, in one transaction per event.

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
from django_opentrain.services.connect import refused_installs
from django_opentrain.services.linking import generations, records
from django_opentrain.services.workers import retries


@dataclass(frozen=True, kw_only=True)
class Context:
    """An event, and the installs that it concerns."""

    #: The install whose endpoint received it: the event names its links.
    origin: Install
    #: The install to which it applies: after a reconnect, the one that took over.
    install: Install
    event: Event


def subject(install: Install) -> Install:
    """The install to which an event for ``install`` applies: after a reconnect, the one that took over."""
    visited = {install.pk}
    while install.superseded_by is not None and install.superseded_by.pk not in visited:
        install = install.superseded_by
        visited.add(install.pk)
    return install


def apply(origin: Install, install: Install, event: Event) -> str:
    """Apply an event; returns why it was ignored, or "".

    ``origin`` is the install whose endpoint received it, ``install`` the one it applies to.
    """
    if event.type not in catalog.EVENT_TYPES:
        return _("Unknown event type.")
    if event.type == catalog.INSTALL_REVOKED:
        return _install_revoked(origin, event)
    refused_installs.note_event_received(origin, event)
    if event.type in _GIVING and not install.is_live:
        return _("The connection has ended.")
    return HANDLERS[event.type](Context(origin=origin, install=install, event=event))


def _install_revoked(origin: Install, event: Event) -> str:
    # Never the successor: a late delivery about the old install must not end the new one.
    if Install.objects.filter(opentrain_id=event.resource_id).exclude(pk=origin.pk).exists():
        return _("It is about another connection.")
    if origin.status in (Install.Status.REVOKED, Install.Status.DISCONNECTED):
        return _("The connection had already ended.")
    Install.objects.filter(pk=origin.pk).update(
        status=Install.Status.REVOKED,
        revoked_at=timezone.now(),
        token=None,
        removals_held=0,
        removals_confirmed=False,
        **Reason(_("The customer disconnected on OpenTrain."), "REVOKED").columns("last_error"),
    )
    signals.send_on_commit(signals.install_revoked, Install, install=origin)
    return ""


def _contract_started(context: Context) -> str:
    install, event = context.install, context.event
    info = _contract(event)
    if info is None:
        retries.request_reconcile(install)
        return ""
    contract = contracts.save(install, info, event=event)
    if contract.status == Contract.Status.ENDED:
        return _("The contract has ended already.")
    link = _link(context)
    trainer = _trainer(install, contract, event)
    if link is None or trainer is None:
        retries.request_reconcile(install)
        return ""
    contract.links.add(link)
    if link.grants_access:
        grants.grant(contract, link, trainer, _cause(event))
    return ""


def _contract_ended(context: Context) -> str:
    install, event = context.install, context.event
    info = _contract(event)
    if info is None:
        retries.request_reconcile(install)
        return ""
    contract = contracts.save(install, info, event=event)
    link, trainer = _link(context), _trainer(install, contract, event)
    if link is not None and trainer is not None:
        # Access may have been granted although its row was deleted.
        grants.remember(contract, link, trainer, _cause(event))
    contracts.end(contract, _cause(event))
    return ""


def _project_link_created(context: Context) -> str:
    link = _link(context)
    retries.request_reconcile(context.install)
    return "" if link is None or link.live else _("The link was removed already.")


def _project_link_removed(context: Context) -> str:
    event = context.event
    snapshot = _part(event, "projectLink")
    link_id = as_id(snapshot.get("id")) or event.resource_id
    if not link_id:
        retries.request_reconcile(context.install)
        return ""
    link = records.record_removed_link(context.origin, ProjectLinkInfo.from_json({**snapshot, "id": link_id}))
    if context.origin == context.install:
        records.mark_removed(link, _cause(event))
        return ""
    if not generations.was_intended(link, event.created_at):
        return _("It is about a link of the previous connection: the new connection has its own.")
    if (successor := generations.current(link)).live:
        records.request_removal(successor, _cause(event))
    return ""


def _milestone(context: Context) -> str:
    install, event = context.install, context.event
    contract = _known_contract(install, event)
    if contract is None:
        retries.request_reconcile(install)
        return ""
    try:
        contracts.save_budget(contract, BudgetInfo.from_json(event.data.get("budget")), event=event)
    except MalformedResource:
        Contract.objects.filter(pk=contract.pk).update(budget_updated_at=None)
        retries.request_reconcile(install)
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
    return grants.event_cause(event.id, event.type)


def _part(event: Event, key: str) -> Mapping[str, object]:
    part = event.data.get(key)
    return part if isinstance(part, dict) else {}


def _link(context: Context) -> ProjectLink | None:
    """The current link for the one that the event names; None if there is none that can be used."""
    try:
        info = ProjectLinkInfo.from_json(_part(context.event, "projectLink"))
    except MalformedResource:
        return None
    if context.origin == context.install:
        return records.save(context.install, info)
    return generations.from_predecessor(context.origin, context.install, info)


def _contract(event: Event) -> ContractInfo | None:
    """The event's contract; by its resource id if the snapshot lacks one."""
    try:
        return ContractInfo.from_json(
            {"id": event.resource_id, "jobId": event.job_id, **_part(event, "contract")}
        )
    except MalformedResource:
        return None


def _known_contract(install: Install, event: Event) -> Contract | None:
    ids = [as_id(event.data.get("contractId")), as_id(_part(event, "contract").get("id")), event.resource_id]
    ids.append(as_id(_part(event, "budget").get("contractId")))
    return Contract.objects.filter(install=install, opentrain_id__in=filter(None, ids)).first()


def _trainer(install: Install, contract: Contract, event: Event) -> Participant | None:
    """The hired trainer that the event names, saved as the contract's."""
    try:
        info = ParticipantInfo.from_json(_part(event, "freelancer"))
    except MalformedResource:
        return None
    trainer = participants.save(install, info, at_work=event.type == catalog.CONTRACT_STARTED)
    contracts.set_trainer(contract, trainer)
    return trainer
