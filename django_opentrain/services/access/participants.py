"""The people that contracts hire, and their Work Emails."""

from __future__ import annotations

from django.utils import timezone

from django_opentrain.errors import UndecryptableError
from django_opentrain.models import Contract, Install, Participant
from django_opentrain.platform import catalog
from django_opentrain.platform.resources import ParticipantInfo
from django_opentrain.services.access import contracts, grants
from django_opentrain.services.workers.locks import install_lock


def readable_email(participant: Participant) -> str | None:
    """The Work Email; None when there is none, or its key is lost: then OpenTrain is asked again."""
    try:
        email: str | None = participant.work_email
    except UndecryptableError:
        return None
    return email


def save(install: Install, info: ParticipantInfo, *, at_work: bool = True) -> Participant:
    """Remember a trainer; what OpenTrain leaves out stays as it is. A new Work Email wakes their grants.

    What was forgotten about somebody is remembered again only while they are ``at_work``: a late delivery brings none
    of it back.
    """
    with install_lock(install):
        participant, _created = Participant.objects.get_or_create(
            install=install, opentrain_user_id=info.opentrain_user_id
        )
        if participant.purged_at is not None and not at_work:
            return participant
        for name in ("display_name", "country", "profile_url"):
            setattr(participant, name, getattr(info, name) or getattr(participant, name))
        participant.purged_at = None
        email_is_new = bool(info.work_email) and info.work_email != readable_email(participant)
        if email_is_new:
            participant.work_email = info.work_email
            participant.email_changed_at = timezone.now()
        participant.save()
        if email_is_new:
            grants.email_arrived(participant)
    return participant


def fetch(contract: Contract, *, at_work: bool = True) -> list[Participant]:
    """Ask OpenTrain for a contract's participants and remember them, as ``save`` does. Raises ``OpenTrainError``."""
    infos = contract.install.client.list_participants(contract.opentrain_id)
    # After a reconnect meanwhile, they are people of the install that took over.
    contract.refresh_from_db(fields=["install"])
    people = [save(contract.install, info, at_work=at_work) for info in infos]
    if contract.trainer_id is None and len(people) == 1:
        contracts.set_trainer(contract, people[0])
    return people


def can_learn_emails(install: Install) -> bool:
    """Whether OpenTrain will ever tell this install a Work Email: it takes the scope and the PII consent."""
    return install.pii_consent and install.has_scope(catalog.PARTICIPANTS_EMAIL)
