"""Convergence: the one step that makes desired access true.

It is idempotent and repeated until it succeeds, so that the order of events, repeats and crashes can not matter.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain import signals
from django_opentrain.adapters import get_adapter
from django_opentrain.errors import AdapterError, UndecryptableError
from django_opentrain.models import AccessGrant, Contract, Participant, ProjectLink
from django_opentrain.models.access import AccessGrantQuerySet
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.platform.redaction import describe
from django_opentrain.platform.values import as_id
from django_opentrain.services.access import participants
from django_opentrain.services.workers import failures
from django_opentrain.services.workers.locks import lock
from django_opentrain.services.workers.retries import backoff

logger = logging.getLogger(__name__)

#: Minutes between questions for a missing Work Email; then hourly.
EMAIL_RETRY_MINUTES: Final = (1, 5, 30, 120)
LATER_EMAIL_RETRY_MINUTES: Final = 60
#: Grants of one customer that are tried before the next customer's turn.
BATCH_PER_CUSTOMER: Final = 20

_OUTCOME: Final = ("state", "host_user_ref", "granted_at", "revoked_at")
_SCHEDULE: Final = ("attempts", "next_attempt_at", "last_error")


def converge(grant: AccessGrant, *, reassert: bool = False) -> AccessGrant:
    """Make what is desired true, if that is still to do, and return the grant as it now is.

    The adapter is called in the transaction that saves the new state. The trainer is locked meanwhile, so that of
    several grants each sees what became of the others; when another worker holds them, nothing is done. With
    ``reassert`` the adapter is called even if the state is right already: somebody may have changed the host by hand.
    """
    if grant.state == AccessGrant.State.WAITING_FOR_EMAIL and _lacks_email(grant):
        _ask_for_email(grant)
    with transaction.atomic():
        if _hold_trainer(grant):
            current = _load(grant.pk)
            if current is not None and (reassert or current.state != current.desired):
                _attempt(current)
    grant.refresh_from_db()
    return grant


def _hold_trainer(grant: AccessGrant) -> bool:
    """Lock the grant's trainer, as each of the customer's installs knows them; False when another worker has one.

    Two installs can have linked one project: a removal through one and a grant through the other open the same door.
    """
    same = Participant.objects.filter(
        opentrain_user_id=grant.participant.opentrain_user_id, install__tenant=grant.contract.install.tenant
    )
    keys = list(same.order_by("pk").values_list("pk", flat=True))
    return all(lock(Participant.objects.filter(pk=key), skip_locked=True) is not None for key in keys)


def converge_due() -> int:
    """Converge every grant that is due, removals first, the customers in turn; returns how many were tried."""
    total = 0
    while True:
        tried = sum(_try(row) for row in _next_turn())
        total += tried
        if not tried:
            return total


def _try(row: AccessGrant) -> bool:
    before = (row.state, row.attempts)
    try:
        converge(row)
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody else must wait for it
        failures.log_failure(logger, f"Settling access grant {row.pk} of", row.contract.install, error)
        return False
    return (row.state, row.attempts) != before


def _next_turn() -> Iterator[AccessGrant]:
    """Some due grants of each customer, so that a flood for one doesn't starve the others."""
    due = AccessGrant.objects.due(timezone.now())
    for install_id in due.order_by().values_list("contract__install", flat=True).distinct():
        rows = due.filter(contract__install=install_id).select_related("participant", "contract__install")
        yield from rows.order_by("-desired", "pk")[:BATCH_PER_CUSTOMER]


def _load(pk: int) -> AccessGrant | None:
    related = ("participant", "contract__install", "link__install")
    return AccessGrant.objects.select_related(*related).filter(pk=pk).first()


def _attempt(row: AccessGrant) -> None:
    """One call of the adapter, in the caller's transaction."""
    removal = row.desired == AccessGrant.Desired.REVOKED
    if not removal and _lacks_email(row):
        _wait_for_email(row)
        return
    before = _outcome(row)
    try:
        with transaction.atomic():
            if removal:
                _remove(row)
            else:
                _give(row)
    except Exception as error:  # noqa: BLE001 - host code: whatever it raises, it is tried again until it works
        _failed(row, error)
    else:
        _succeeded(row, before)


def _give(row: AccessGrant) -> None:
    adapter = get_adapter()
    if adapter.get_project(row.tenant, row.external_project_id) is None:
        # A link can be made on OpenTrain, with any project id in it.
        raise AdapterError(
            _("Project %(id)s is not one of this customer's projects.") % {"id": row.external_project_id}
        )
    row.host_user_ref = _account_key(adapter.grant_access(row))
    row.state = AccessGrant.State.GRANTED
    row.granted_at = row.granted_at if row.granted_at and not row.revoked_at else timezone.now()
    row.revoked_at = None


def _account_key(given: object) -> str:
    key = str(given)
    if as_id(key) != key:
        raise AdapterError(_("The adapter's key of the account is too long, or is no text that can be kept."))
    return key


def _remove(row: AccessGrant) -> None:
    if not others_wanted(row).exists() and not _given_by_opentrain(row):
        get_adapter().revoke_access(row)
    row.state = AccessGrant.State.REVOKED
    row.revoked_at = row.revoked_at or timezone.now()


def others_wanted(row: AccessGrant) -> AccessGrantQuerySet:
    """The other grants that want the same access: a trainer loses a project with the last of them."""
    return (
        AccessGrant.objects.wanted()
        .filter(
            participant__opentrain_user_id=row.participant.opentrain_user_id,
            link__install__tenant=row.tenant,
            link__external_project_id=row.external_project_id,
        )
        .exclude(pk=row.pk)
    )


def _outcome(row: AccessGrant) -> dict[str, object]:
    """What an attempt may change."""
    return {name: getattr(row, name) for name in (*_OUTCOME, *_SCHEDULE)}


def _given_by_opentrain(row: AccessGrant) -> bool:
    """Whether OpenTrain itself gives the same access by now: through a link whose accounts it provisions."""
    links = ProjectLink.objects.active().filter(
        install__tenant=row.tenant,
        external_project_id=row.external_project_id,
        provisioning_mode=ProjectLink.ProvisioningMode.MANAGED_ADAPTER,
    )
    trainer = row.participant.opentrain_user_id
    return Contract.objects.active().filter(links__in=links, trainer__opentrain_user_id=trainer).exists()


def _succeeded(row: AccessGrant, before: Mapping[str, object]) -> None:
    row.attempts, row.next_attempt_at, row.last_error = 0, None, ""
    if _outcome(row) != before:
        _save(row)
    if row.state != before["state"]:
        granted = row.state == AccessGrant.State.GRANTED
        signal = signals.access_granted if granted else signals.access_revoked
        signals.send_on_commit(signal, AccessGrant, grant=row)


def _failed(row: AccessGrant, error: Exception) -> None:
    text = describe(error)
    row.state = AccessGrant.State.FAILED
    row.attempts += 1
    row.next_attempt_at = timezone.now() + backoff(row.attempts)
    row.last_error = text
    _save(row)
    level = logging.ERROR if row.desired == AccessGrant.Desired.REVOKED else logging.WARNING
    logger.log(
        level,
        "Access grant %s should be %s, attempt %d failed: %s",
        row.pk,
        row.desired,
        row.attempts,
        text,
    )
    signals.send_on_commit(signals.access_failed, AccessGrant, grant=row, error=text)


def _save(row: AccessGrant) -> None:
    """Write down what became of an attempt.

    What is desired, and why, is for others to write, who may have done so while the host was at work: then the next
    attempt is due when they said.
    """
    row.save(update_fields=[*_OUTCOME, "updated_at"])
    schedule = {name: getattr(row, name) for name in _SCHEDULE}
    AccessGrant.objects.filter(pk=row.pk, desired=row.desired).update(**schedule)


def _lacks_email(row: AccessGrant) -> bool:
    wanted = row.desired == AccessGrant.Desired.GRANTED
    return wanted and not participants.readable_email(row.participant)


def _ask_for_email(row: AccessGrant) -> None:
    """Ask OpenTrain, outside of any transaction. An error leaves the next question where the schedule has it."""
    install = row.contract.install
    if not participants.can_learn_emails(install):
        reason = _("OpenTrain tells no Work Emails: reconnect with the PII consent and participants:email.")
    else:
        try:
            participants.fetch(row.contract)
            reason = _("OpenTrain has no Work Email for this trainer yet.")
        except (OpenTrainError, UndecryptableError) as error:
            reason = describe(error)
    AccessGrant.objects.filter(pk=row.pk).update(last_error=reason)


def _wait_for_email(row: AccessGrant) -> None:
    row.state = AccessGrant.State.WAITING_FOR_EMAIL
    row.next_attempt_at = next_question(row.attempts, timezone.now())
    row.attempts += 1
    _save(row)


def next_question(attempts: int, now: datetime) -> datetime:
    """When to ask for a Work Email that was missing this many times before."""
    known = attempts < len(EMAIL_RETRY_MINUTES)
    return now + timedelta(minutes=EMAIL_RETRY_MINUTES[attempts] if known else LATER_EMAIL_RETRY_MINUTES)
