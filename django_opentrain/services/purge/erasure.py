"""Erasure: one trainer's personal data, at their request.

Erased are name, country, profile, Work Email, the bodies of events that name them, their name in the admin's history,
their objections with the answers, and the reasons of corrections. OpenTrain's user id stays with the usage, work and
access records: it is the account's key, and means nothing without OpenTrain. The host's own account is the host's to
delete.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Q, QuerySet

from django_opentrain.conflicts import retried
from django_opentrain.errors import StillNeededError, UndecryptableError
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    Participant,
    TrainerAccount,
    WebhookEvent,
)
from django_opentrain.platform.values import as_id
from django_opentrain.services.purge import retention
from django_opentrain.services.usage import totals
from django_opentrain.transactions import atomic

#: Bodies that are searched at once.
BATCH: Final = 200

_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROLS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(kw_only=True)
class Erased:
    """What was erased, and what is not ours to erase."""

    participants: int = 0
    event_bodies: int = 0
    #: Bodies that no key decrypts: they may name the trainer.
    unreadable_bodies: int = 0
    #: The host's ids of the trainer's accounts, which stay.
    accounts: list[str] = field(default_factory=list)


def erase(opentrain_user_id: str, *, force: bool = False) -> Erased:
    """Erase this trainer's data, for every customer. Raises ``StillNeededError`` unless ``force``.

    After a later hire, and with ``force`` under an active contract, OpenTrain sends their data again.
    """
    participants = Participant.objects.filter(opentrain_user_id=opentrain_user_id)
    naming, unreadable = _events_naming(opentrain_user_id)
    reasons = _reasons_to_wait(opentrain_user_id, naming)
    if reasons and not force:
        raise StillNeededError(*reasons)
    result = Erased(unreadable_bodies=unreadable, accounts=_accounts(opentrain_user_id))
    result.participants, result.event_bodies = _erase(participants, naming)
    return result


@retried
def _erase(participants: QuerySet[Participant], naming: list[int]) -> tuple[int, int]:
    """Returns how many participants, and bodies of events, were erased."""
    bodies = 0
    with atomic():
        for start in range(0, len(naming), BATCH):
            batch = WebhookEvent.objects.filter(pk__in=naming[start : start + BATCH])
            bodies += retention.empty_bodies(batch)
        return retention.anonymize(participants), bodies


def _reasons_to_wait(opentrain_user_id: str, naming: list[int]) -> list[str]:
    of_trainer = Q(participant__opentrain_user_id=opentrain_user_id)
    hired = Q(trainer__opentrain_user_id=opentrain_user_id)
    # Others don't count: once their connection or link has ended, their end is never reported.
    linked = Contract.objects.active().linked().filter(install__status__in=Install.LIVE)
    running = linked.filter(hired | Q(grants__participant__opentrain_user_id=opentrain_user_id))
    revoked = {"desired": AccessGrant.Desired.REVOKED, "state": AccessGrant.State.REVOKED}
    worked = Q(worker_id=opentrain_user_id) | Q(
        contract__trainer__opentrain_user_id=opentrain_user_id, worker_id=""
    )
    unreported = DailyUsage.objects.unreported(totals.today()).filter(
        worked, contract__install__token__isnull=False
    )
    pending = WebhookEvent.objects.filter(pk__in=naming, status=WebhookEvent.Status.PENDING)
    waiting = {
        "active contracts": running.distinct(),
        "access grants that are not revoked": AccessGrant.objects.filter(of_trainer).exclude(**revoked),
        "unreported days of work": unreported,
        "unprocessed events that name them": pending,
    }
    return [f"{what}: {count}" for what, rows in waiting.items() if (count := rows.count())]


def _accounts(opentrain_user_id: str) -> list[str]:
    grants = AccessGrant.objects.filter(participant__opentrain_user_id=opentrain_user_id)
    granted = set(grants.exclude(host_user_ref="").values_list("host_user_ref", flat=True))
    bound = TrainerAccount.objects.filter(opentrain_user_id=opentrain_user_id)
    return sorted(granted | {str(each) for each in bound.values_list("user", flat=True)})


# Which events name the trainer ----------------------------------------------------------------


def _events_naming(opentrain_user_id: str) -> tuple[list[int], int]:
    """The keys of the events whose bodies name this id, and how many could not be read. Bodies are encrypted, so each
    has to be searched.
    """
    named = {row.pk: _names(row, opentrain_user_id) for row in _with_bodies()}
    return [pk for pk, yes in named.items() if yes], sum(yes is None for yes in named.values())


def _with_bodies() -> Iterator[WebhookEvent]:
    last = 0
    filled = (
        WebhookEvent.objects.filter(body__isnull=False)
        .order_by("pk")
        .only("pk", "endpoint", "digest", "body")
    )
    while batch := list(filled.filter(pk__gt=last)[:BATCH]):
        yield from batch
        last = batch[-1].pk


def _names(row: WebhookEvent, wanted: str) -> bool | None:
    """Whether the id is anywhere in its body: not all places are documented. Invalid JSON is searched as text.

    None if the key is lost.
    """
    try:
        payload, body = row.payload, row.body
    except UndecryptableError:
        return None
    text = _unescaped(body or b"")
    # Quoted: a parser drops all but the last of several members of one name.
    return f'"{wanted}"' in text or (_holds(payload, wanted) if payload else wanted in text)


def _unescaped(body: bytes) -> str:
    """The text of ``body`` with JSON's escapes resolved (RFC 8259, section 7)."""
    text = _ESCAPE.sub(_character, body.decode("utf-8", "replace"))
    # A character beyond U+FFFF is escaped as two surrogates: here they become one.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _character(escape: re.Match[str]) -> str:
    code = escape[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _CONTROLS.get(code, code)


def _holds(payload: Any, wanted: str) -> bool:
    """Whether a value in ``payload``, or a key, is this id. Without recursion: a payload may be nested deeply."""
    pending = [payload]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value
        elif as_id(value) == wanted:
            return True
    return False
