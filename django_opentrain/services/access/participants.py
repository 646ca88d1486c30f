"""Participants of contracts, and their Work Emails."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conf import conf
from django_opentrain.conflicts import retried
from django_opentrain.errors import OperationRefused, UndecryptableError
from django_opentrain.models import Contract, Install, Participant
from django_opentrain.platform import catalog
from django_opentrain.platform.resources import ParticipantInfo
from django_opentrain.services.access import contracts, grants
from django_opentrain.services.access.unit_of_work import UnitOfWork, unit_of_work
from django_opentrain.transactions import atomic

#: What OpenTrain says of a trainer that the host may show.
SHOWN: Final = ("display_name", "country", "profile_url")
#: A row that says nothing new is written only this often: when a trainer was last named decides when they are purged.
SEEN_PRECISION: Final = timedelta(hours=1)


def readable_email(participant: Participant) -> str | None:
    """The Work Email; None if there is none, or its key is lost: then it is fetched again."""
    try:
        email: str | None = participant.work_email
    except UndecryptableError:
        return None
    return email


def accepts_email(participant: Participant) -> bool:
    """Whether access may be given by this Work Email: it is as documented, or an operator has accepted it."""
    domains = conf.work_email_domains
    if "*" in domains or (readable_email(participant) or "").rpartition("@")[2].lower() in domains:
        return True
    accepted, changed = participant.email_accepted_at, participant.email_changed_at
    return accepted is not None and (changed is None or accepted >= changed)


@retried
def accept_email(participant: Participant) -> None:
    """An operator accepts the Work Email, which is at an unexpected domain: every grant of it goes on.

    Raises ``OperationRefused`` when it has changed since ``participant`` was loaded.
    """
    same = Participant.objects.filter(pk=participant.pk, email_changed_at=participant.email_changed_at)
    with atomic():
        if not same.update(email_accepted_at=timezone.now()):
            raise OperationRefused(_("The Work Email has changed. Look at it again."))
        grants.email_accepted(participant)


@retried
def save(install: Install, info: ParticipantInfo, *, at_work: bool = True) -> Participant:
    """Save a trainer; what OpenTrain omits keeps its value. A new Work Email makes their grants due.

    Erased personal data is saved again only while the trainer is ``at_work``: a late delivery restores none of it.
    """
    with unit_of_work(install) as unit:
        return record(unit, info, at_work=at_work)


def record(unit: UnitOfWork, info: ParticipantInfo, *, at_work: bool) -> Participant:
    """What ``save`` does."""
    participant, _created = unit.participants.get_or_add(info.opentrain_user_id)
    if participant.purged_at is not None and not at_work:
        return participant
    shown = {name: getattr(info, name) or getattr(participant, name) for name in SHOWN}
    is_news = any(value != getattr(participant, name) for name, value in shown.items())
    for name, value in shown.items():
        setattr(participant, name, value)
    participant.purged_at = None
    if info.work_email and info.work_email != readable_email(participant):
        participant.work_email = info.work_email
        participant.email_changed_at = timezone.now()
        unit.add_email(participant)
    elif is_news:
        unit.add_details(participant)
    now = timezone.now()
    if participant.pk and participant.updated_at < now - SEEN_PRECISION:
        participant.updated_at = now
    return participant


def seen(install: Install, infos: Iterable[ParticipantInfo]) -> dict[ParticipantInfo, int]:
    """The keys of those participants of whom nothing new is said; that they were named is noted."""
    named = {info.opentrain_user_id: info for info in infos}
    rows = Participant.objects.filter(install=install, opentrain_user_id__in=named)
    known = {row.opentrain_user_id: row for row in rows}
    same = {
        info: known[info.opentrain_user_id].pk
        for info in named.values()
        if info.opentrain_user_id in known and not _is_news(known[info.opentrain_user_id], info)
    }
    now = timezone.now()
    old = Participant.objects.filter(pk__in=same.values(), updated_at__lt=now - SEEN_PRECISION)
    old.update(updated_at=now)
    return same


def _is_news(participant: Participant, info: ParticipantInfo) -> bool:
    if participant.purged_at is not None:
        return True
    if info.work_email and info.work_email != readable_email(participant):
        return True
    return any(getattr(info, name) not in ("", getattr(participant, name)) for name in SHOWN)


def fetch(contract: Contract, *, at_work: bool = True) -> list[Participant]:
    """Fetch a contract's participants from OpenTrain and save them, as ``save`` does. Raises ``OpenTrainError``."""
    infos = contract.install.client.list_participants(contract.opentrain_id)
    return save_listed(contract, infos, at_work=at_work)


def save_listed(
    contract: Contract, infos: Iterable[ParticipantInfo], *, at_work: bool = True
) -> list[Participant]:
    """Save a contract's participants as OpenTrain has listed them."""
    # If the customer has reconnected during the call, they belong to the install that took over.
    contract.refresh_from_db(fields=["install"])
    participants = [save(contract.install, info, at_work=at_work) for info in infos]
    if contract.trainer_id is None and len(participants) == 1:
        contracts.set_trainer(contract, participants[0])
    return participants


def can_fetch_emails(install: Install) -> bool:
    """Whether OpenTrain shares Work Emails with this install: it needs the scope and the PII consent."""
    return install.pii_consent and install.has_scope(catalog.PARTICIPANTS_EMAIL)
