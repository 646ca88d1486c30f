"""Queued work and connections: the conditions that rows are in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from django.db.models import Model

from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    ProjectLink,
    TrainerAccount,
    UsageObjection,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.services.conditions import CONDITIONS, Condition
from django_opentrain.services.doctor.findings import Finding, finding
from django_opentrain.services.doctor.formatting import customer, in_one_line

#: How many rows a finding names.
SHOWN: Final = 10


def conditions() -> Iterator[Finding]:
    """One finding for each condition that rows are in, naming the oldest of them."""
    for each in CONDITIONS.values():
        if each.for_operators:
            yield from _examine(each)


def _examine(condition: Condition) -> Iterator[Finding]:
    related, line = LINES.get(condition.name) or LINES[condition.model]
    rows = condition.rows()
    count = rows.count()
    if not count:
        return
    if related:  # with none, Django would follow them all
        rows = rows.select_related(*related)
    oldest = list(rows.order_by("pk")[:SHOWN])
    lines = [in_one_line(line(row)) for row in oldest]
    if count > SHOWN:
        lines.append(f"and {count - SHOWN} more")
    ids = [row.pk for row in oldest]
    yield finding(
        condition.severity, condition.name, f"{condition.title}: {count}.", lines, count=count, ids=ids
    )


# What is wrong with a row, in a line ----------------------------------------------------------


def _install(row: Install) -> str:
    return f"{customer(row)}: {row.last_error or 'no error was recorded'}"


def _held(row: Install) -> str:
    if row.is_live:
        why = "; ".join(row.last_reconciliation.get("held", ()))
    else:
        why = f"The connection ended on OpenTrain at {row.revoked_at:%Y-%m-%d %H:%M}."
    return f"{customer(row)}: {row.removals_held} grants. {why}"


def _elsewhere(row: Install) -> str:
    return f"{customer(row)}: webhook endpoints at {', '.join(row.foreign_endpoints)}"


def _incomplete(row: Install) -> str:
    return f"{customer(row)}: {' '.join(row.last_reconciliation['problems'])}"


def _endpoint(row: WebhookEndpoint) -> str:
    failures = f"consecutive failed deliveries: {row.consecutive_failures}"
    return f"{row.key} of {customer(row.install)}: {row.last_error or failures}"


def _event(row: WebhookEvent) -> str:
    said = row.error or f"received at {row.received_at:%Y-%m-%d %H:%M}"
    return f"{row} of {customer(row.endpoint.install)}: {said}"


def _grant(row: AccessGrant) -> str:
    account = f" (account {row.host_user_ref})" if row.host_user_ref else ""
    who = f"trainer {row.participant.opentrain_user_id}{account}"
    where = f"project {row.external_project_id} of {customer(row.link.install)}"
    said = f"noticed at {row.revoked_at}" if row.is_removed_by_hand else row.last_error or "not tried yet"
    return f"grant {row.pk}, {who}, {where}: {said}"


def _account(row: TrainerAccount) -> str:
    attempts = f"{row.invitation_attempts} attempts, {row.invitation_error or 'not tried yet'}"
    said = f"sent {row.invitation_sent_at:%Y-%m-%d}" if row.invitation == row.Invitation.SENT else attempts
    return f"trainer {row.opentrain_user_id} (account {row.user_id}): {said}"


def _contract(row: Contract) -> str:
    return f"contract {row.opentrain_id} of {customer(row.install)}: {row.collect_error}"


def _day(row: DailyUsage) -> str:
    contract = row.contract
    said = row.error or contract.report_error or "not tried"
    return f"{row.work_date}, contract {contract.opentrain_id} of {customer(contract.install)}: {said}"


def _objection(row: UsageObjection) -> str:
    """Not what it says: that is for the pages of those whom it concerns."""
    contract = row.contract
    where = f"{row.work_date}, contract {contract.opentrain_id} of {customer(contract.install)}"
    return f"{where}: trainer {row.opentrain_user_id}, on {row.created_at:%Y-%m-%d}"


def _link(row: ProjectLink) -> str:
    return f"project {row.external_project_id} of {customer(row.install)}: {row.last_error or 'not tried'}"


#: By condition, or else by model: the relations that a line reads, and the line.
LINES: Final[Mapping[str | type[Model], tuple[tuple[str, ...], Callable[[Any], str]]]] = {
    "removals-held": ((), _held),
    "endpoints-elsewhere": ((), _elsewhere),
    "reconcile-incomplete": ((), _incomplete),
    Install: ((), _install),
    WebhookEndpoint: (("install",), _endpoint),
    WebhookEvent: (("endpoint__install",), _event),
    AccessGrant: (("participant", "link__install"), _grant),
    TrainerAccount: ((), _account),
    Contract: (("install",), _contract),
    DailyUsage: (("contract__install",), _day),
    UsageObjection: (("contract__install",), _objection),
    ProjectLink: (("install",), _link),
}
