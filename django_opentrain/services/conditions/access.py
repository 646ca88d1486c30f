"""Access that is not in its desired state, and trainers who can't log in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from django_opentrain.adapters import get_adapter
from django_opentrain.models import AccessGrant, TrainerAccount
from django_opentrain.models.access import TrainerAccountQuerySet
from django_opentrain.services.conditions.condition import Condition, Severity

#: A removal that fails is reported soon; a Work Email may take its time.
REMOVAL_LATE: Final = timedelta(minutes=10)
MAIL_LATE: Final = timedelta(minutes=10)
EMAIL_LATE: Final = timedelta(days=1)


def _failing(desired: str) -> Callable[[datetime], QuerySet[AccessGrant]]:
    """Access that should have ended, or be paused, and isn't; one that failed before that was wanted has time."""

    def find(now: datetime) -> QuerySet[AccessGrant]:
        late = Q(desired_at=None) | Q(desired_at__lte=now - REMOVAL_LATE)
        return AccessGrant.objects.unsettled(desired).filter(
            late | Q(state=AccessGrant.State.FAILED, attempts__gt=0)
        )

    return find


def _late_emails(now: datetime) -> QuerySet[AccessGrant]:
    since = Q(desired_at=None) | Q(desired_at__lte=now - EMAIL_LATE)
    return AccessGrant.objects.wanted().filter(since, state=AccessGrant.State.WAITING_FOR_EMAIL)


def _invited() -> TrainerAccountQuerySet:
    """None where the site sends no mails any more: those that were due before stay so."""
    accounts = TrainerAccount.objects.all()
    return accounts if get_adapter().sends_first_login else accounts.none()


ACCESS: Final = (
    Condition(
        name="removal-failing",
        severity=Severity.ERROR,
        model=AccessGrant,
        find=_failing(AccessGrant.Desired.REVOKED),
        title=_("Removals of access that keep failing"),
        advice=_(
            "This trainer should have no access and still has it. Lock the account by hand, fix the error, then run:"
            " manage.py opentrain_sync"
        ),
        for_customers=ngettext_lazy(
            "The access of %(count)d trainer could not be revoked.",
            "The access of %(count)d trainers could not be revoked.",
            "count",
        ),
    ),
    Condition(
        name="pause-failing",
        severity=Severity.ERROR,
        model=AccessGrant,
        find=_failing(AccessGrant.Desired.PAUSED),
        title=_("Pauses of access that keep failing"),
        advice=_(
            "This trainer can still work although the budget is used up, which the customer doesn't want. Fix the"
            " error, then run: manage.py opentrain_sync"
        ),
        for_customers=ngettext_lazy(
            "The access of %(count)d trainer could not be paused.",
            "The access of %(count)d trainers could not be paused.",
            "count",
        ),
    ),
    Condition(
        name="grant-failing",
        severity=Severity.ERROR,
        model=AccessGrant,
        find=lambda _now: AccessGrant.objects.wanted().filter(state=AccessGrant.State.FAILED),
        title=_("Access grants that keep failing"),
        advice=_("A trainer waits for access. Fix the error, then run: manage.py opentrain_sync"),
        for_customers=ngettext_lazy(
            "%(count)d trainer could not be given access.",
            "%(count)d trainers could not be given access.",
            "count",
        ),
    ),
    Condition(
        name="mail-failing",
        severity=Severity.ERROR,
        model=TrainerAccount,
        find=lambda now: _invited().invitation_overdue(now - MAIL_LATE),
        title=_("First-login mails that are not sent"),
        advice=_("These trainers have access and can't log in. Fix the error; it is retried automatically."),
        for_customers=ngettext_lazy(
            "%(count)d trainer could not be sent a login link.",
            "%(count)d trainers could not be sent a login link.",
            "count",
        ),
    ),
    Condition(
        name="email-held",
        severity=Severity.WARNING,
        model=AccessGrant,
        find=lambda _now: AccessGrant.objects.wanted().filter(state=AccessGrant.State.HELD),
        title=_("Trainers whose Work Email is to be accepted"),
        advice=_(
            "Check them with the customer. Accept them in the admin, or add the domain to WORK_EMAIL_DOMAINS."
        ),
        for_customers=ngettext_lazy(
            "The Work Email of %(count)d trainer has to be checked.",
            "The Work Emails of %(count)d trainers have to be checked.",
            "count",
        ),
    ),
    Condition(
        name="grant-waiting",
        severity=Severity.WARNING,
        model=AccessGrant,
        find=_late_emails,
        title=_("Trainers without a Work Email"),
        advice=_("OpenTrain shares no Work Email: check the customer's PII consent and participants:email."),
        for_customers=ngettext_lazy(
            "%(count)d trainer waits for a Work Email.", "%(count)d trainers wait for a Work Email.", "count"
        ),
    ),
    Condition(
        name="login-expired",
        severity=Severity.WARNING,
        model=TrainerAccount,
        find=lambda now: _invited().invitation_expired(
            now - timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
        ),
        title=_("Trainers whose login links all expired unused"),
        advice=_("Find out whether mails reach these trainers. A contract's page can send another link."),
        for_customers=ngettext_lazy(
            "%(count)d trainer has used none of the login links.",
            "%(count)d trainers have used none of the login links.",
            "count",
        ),
    ),
    Condition(
        name="removed-by-hand",
        severity=Severity.NOTE,
        model=AccessGrant,
        find=lambda _now: AccessGrant.objects.removed_by_hand(),
        title=_("Trainers whom a person has removed from this site by hand"),
        advice=_("Nothing, if that was meant. Give access again on the contract's page, or in the admin."),
    ),
)
