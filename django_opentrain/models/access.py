"""Access grants: who should have access, who has it, and why."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils.translation import gettext_lazy as _

from django_opentrain.errors import AccountExists
from django_opentrain.explanations import MAX_CODE
from django_opentrain.fields import IdField
from django_opentrain.models.base import TimestampedModel, manager_of
from django_opentrain.models.contracts import Contract, Participant
from django_opentrain.models.links import ProjectLink
from django_opentrain.platform import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

#: The prefix of the causes that name an event of OpenTrain's.
EVENT_CAUSE: Final = "event"
#: What a grant says of its trainer's account, see ``with_invitation()``.
INVITATION_COLUMNS: Final = (
    "invitation",
    "invitation_sent_at",
    "invitation_attempts",
    "next_invitation_at",
    "invitation_error",
    "invitation_error_code",
)


def event_cause(event_id: str, event_type: str) -> str:
    """What a grant names as its cause that an event made desired."""
    return f"{EVENT_CAUSE} {event_id} {event_type}"


class AccessGrantQuerySet(models.QuerySet["AccessGrant"]):
    """Grants by what remains to be done for them."""

    def unsettled(self, *some: str) -> AccessGrantQuerySet:
        """Grants that are not in their desired state, which is one of these if any are named."""
        # Not a comparison of the two columns: no index would find the few among all settled ones.
        unsettled = Q(pk__in=())
        for desired in some or AccessGrant.SETTLED:
            settled = AccessGrant.SETTLED[AccessGrant.Desired(desired)]
            others = [state for state in AccessGrant.State if state not in settled]
            unsettled |= Q(desired=desired, state__in=others)
        return self.filter(unsettled)

    def removed_by_hand(self) -> AccessGrantQuerySet:
        """Grants whose trainer a person has removed on the host, although they should give access."""
        return self.filter(AccessGrant.REMOVED_BY_HAND)

    def due(self, now: datetime) -> AccessGrantQuerySet:
        """Unsettled grants whose next attempt is due, and whose trainer no other worker has leased."""
        free = Q(participant__leased_until=None) | Q(participant__leased_until__lte=now)
        return self.unsettled().filter(free, Q(next_attempt_at=None) | Q(next_attempt_at__lte=now))

    def of_project(self, tenant: str, external_project_id: str) -> AccessGrantQuerySet:
        """Grants that open this project of the tenant's, or have opened it."""
        unopened = Q(opened_project_id="", link__external_project_id=external_project_id)
        opened = Q(opened_project_id=external_project_id)
        return self.filter(unopened | opened, link__install__tenant=tenant)

    def with_invitation(self) -> AccessGrantQuerySet:
        """With what the trainer's account says of their first login, under the names of its columns."""
        accounts = TrainerAccount.objects.filter(
            opentrain_user_id=OuterRef("participant__opentrain_user_id")
        ).order_by()
        return self.annotate(**{name: Subquery(accounts.values(name)) for name in INVITATION_COLUMNS})

    def wanted(self) -> AccessGrantQuerySet:
        """Grants that should give access."""
        return self.filter(desired=AccessGrant.Desired.GRANTED)

    def unrevoked(self) -> AccessGrantQuerySet:
        """Grants that should give access, now or once their contract is funded again."""
        return self.exclude(desired=AccessGrant.Desired.REVOKED)

    def of_trainer(self, grant: AccessGrant) -> AccessGrantQuerySet:
        """The other grants of this grant's trainer, across all customers."""
        return self.filter(participant__opentrain_user_id=grant.participant.opentrain_user_id).exclude(
            pk=grant.pk
        )


class AccessGrant(TimestampedModel):
    """One trainer's access to one linked project under one contract: the desired state and the actual one."""

    class Desired(models.TextChoices):
        GRANTED = "GRANTED", _("granted")
        PAUSED = "PAUSED", _("paused: the budget is used up")
        REVOKED = "REVOKED", _("revoked")

    class State(models.TextChoices):
        PENDING = "PENDING", _("pending")
        HELD = "HELD", _("held: the Work Email is to be accepted")
        WAITING_FOR_EMAIL = "WAITING_FOR_EMAIL", _("waiting for a Work Email")
        GRANTED = "GRANTED", _("granted")
        PAUSED = "PAUSED", _("paused: the budget is used up")
        REVOKED = "REVOKED", _("revoked")
        REMOVED_BY_HAND = "REMOVED_BY_HAND", _("removed by hand")
        FAILED = "FAILED", _("failed, will be retried")

    #: By the desired state: the states in which there is nothing left to do for us.
    SETTLED: Final = {
        Desired.GRANTED: (State.GRANTED, State.REMOVED_BY_HAND),
        Desired.PAUSED: (State.PAUSED, State.REMOVED_BY_HAND),
        Desired.REVOKED: (State.REVOKED,),
    }
    #: A person has removed the trainer on the host, although the grant should give access, now or once it is funded.
    REMOVED_BY_HAND = Q(desired__in=(Desired.GRANTED, Desired.PAUSED), state=State.REMOVED_BY_HAND)

    contract = models.ForeignKey(
        Contract,
        verbose_name=_("contract"),
        on_delete=models.CASCADE,
        related_name="grants",
        db_index=False,  # a unique constraint begins with it
    )
    link = models.ForeignKey(
        ProjectLink, verbose_name=_("link"), on_delete=models.CASCADE, related_name="grants"
    )
    participant = models.ForeignKey(
        Participant, verbose_name=_("participant"), on_delete=models.CASCADE, related_name="grants"
    )
    desired = models.CharField(_("desired"), max_length=16, choices=Desired.choices, default=Desired.GRANTED)
    state = models.CharField(_("state"), max_length=20, choices=State.choices, default=State.PENDING)
    host_user_ref = IdField(
        _("account on this site"), blank=True, db_index=True, help_text=_("The host's id of the account")
    )
    opened_project_id = IdField(
        _("opened project id"),
        max_length=catalog.MAX_EXTERNAL_PROJECT_ID,
        blank=True,
        editable=False,
        help_text=_("The project to which access was given, or was about to be: that is the one to close"),
    )
    cause = models.CharField(_("cause"), max_length=300, blank=True, help_text=_("What made it desired"))
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True, blank=True)
    attempt_began_at = models.DateTimeField(
        _("attempt began at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("While an attempt is under way; it stays when the attempt ended its process"),
    )
    last_error = models.TextField(_("last error"), blank=True)
    last_error_code = models.CharField(_("last error code"), max_length=MAX_CODE, blank=True)
    desired_at = models.DateTimeField(_("desired at"), null=True, blank=True)
    granted_at = models.DateTimeField(_("granted at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    # There with with_invitation(); None and "" where the trainer has no account of this site's user model.
    invitation: str | None = None
    invitation_sent_at: datetime | None = None
    invitation_attempts: int | None = None
    next_invitation_at: datetime | None = None
    invitation_error: str | None = None
    invitation_error_code: str | None = None

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    contract_id: int
    link_id: int
    participant_id: int
    get_desired_display: Callable[[], str]
    get_state_display: Callable[[], str]

    objects: ClassVar[AccessGrantQuerySet] = manager_of(AccessGrantQuerySet)

    class Meta:
        verbose_name = _("access grant")
        verbose_name_plural = _("access grants")
        permissions = [("change_access", "Can decide who has access")]
        constraints = [
            models.UniqueConstraint(fields=["contract", "link", "participant"], name="opentrain_grant_once"),
        ]
        indexes = [models.Index(fields=["desired", "state"], name="opentrain_grant_unsettled")]

    def __str__(self) -> str:
        return f"{self.participant} → {self.link}"

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to do for us."""
        return self.state in self.SETTLED[AccessGrant.Desired(self.desired)]

    @property
    def is_removed_by_hand(self) -> bool:
        """Whether a person has removed the trainer on the host, although the grant should give access."""
        return self.is_settled and self.state == AccessGrant.State.REMOVED_BY_HAND

    @property
    def account_exists(self) -> bool:
        """Whether access waits for consent that the trainer uses an account which they had before."""
        refused = self.state == self.State.FAILED and self.last_error_code == AccountExists.code
        return refused and self.desired == self.Desired.GRANTED

    @property
    def invited_account(self) -> AccessGrant | None:
        """The grant itself where it says how far its trainer's first login is; else None."""
        return self if self.invitation else None

    @property
    def login_link_expires_at(self) -> datetime | None:
        """Until when the last link for the first login works."""
        return link_expires_at(self.invitation_sent_at)

    @property
    def tenant(self) -> str:
        """The customer whose project this opens."""
        return str(self.link.install.tenant)

    @property
    def external_project_id(self) -> str:
        """The host's id of the project this opens; once it may be open, of that one, whatever the link says."""
        return str(self.opened_project_id or self.link.external_project_id)


class TrainerAccountQuerySet(models.QuerySet["TrainerAccount"]):
    """Accounts by what is left to do about their first login."""

    def with_access(self) -> TrainerAccountQuerySet:
        """Accounts of trainers who have access to a project."""
        given = AccessGrant.objects.wanted().filter(
            state=AccessGrant.State.GRANTED,
            participant__opentrain_user_id=OuterRef("opentrain_user_id"),
        )
        return self.filter(Exists(given))

    def invited(self) -> TrainerAccountQuerySet:
        """Accounts with which the trainer has still to log in for the first time."""
        return self.filter(invitation__in=TrainerAccount.OPEN_INVITATIONS)

    def invitation_overdue(self, before: datetime) -> TrainerAccountQuerySet:
        """Accounts with access whose mail fails, or was requested before that and is not sent."""
        unsent = Q(invitation=TrainerAccount.Invitation.PENDING, invitation_requested_at__lte=before)
        return self.with_access().filter(Q(invitation=TrainerAccount.Invitation.FAILED) | unsent)

    def invitation_expired(self, before: datetime) -> TrainerAccountQuerySet:
        """Accounts with access whose last link expired unused, and that are sent no other automatically."""
        return self.with_access().filter(
            invitation=TrainerAccount.Invitation.SENT, next_invitation_at=None, invitation_sent_at__lte=before
        )

    def invitation_due(self, now: datetime) -> TrainerAccountQuerySet:
        """Accounts with access whose first-login mail is to be sent now, for the first time or again."""
        unsent = Q(invitation=TrainerAccount.Invitation.PENDING) | Q(
            invitation=TrainerAccount.Invitation.FAILED
        )
        due = Q(next_invitation_at__lte=now) | Q(next_invitation_at=None) & unsent
        return self.with_access().invited().filter(due)


class TrainerAccount(models.Model):
    """Which of the site's users is which trainer: one to one, across all customers.

    And the status of their first login: the mail with the link is retried until the mail server has accepted it, and
    sent again when the link has expired unused.
    """

    class Invitation(models.TextChoices):
        PENDING = "PENDING", _("to be sent")
        SENT = "SENT", _("sent")
        FAILED = "FAILED", _("failed, will be retried")
        LOGGED_IN = "LOGGED_IN", _("logged in")

    OPEN_INVITATIONS: Final = (Invitation.PENDING, Invitation.SENT, Invitation.FAILED)

    opentrain_user_id = IdField(_("OpenTrain user id"), unique=True)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="opentrain_account",
    )
    created_by_us = models.BooleanField(
        _("created by us"),
        default=False,
        help_text=_("The account was created for the trainer, not adopted."),
    )
    deactivated_at = models.DateTimeField(
        _("deactivated at"),
        null=True,
        blank=True,
        help_text=_("When it was deactivated because no grant was left"),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    consented_by = models.CharField(
        _("consented by"),
        max_length=300,
        blank=True,
        help_text=_("Who said that an account which was there before is the trainer's"),
    )
    consented_at = models.DateTimeField(_("consented at"), null=True, blank=True)
    bound_for = IdField(
        _("only for customer"),
        blank=True,
        help_text=_("The customer who consented: for others, an operator has to. Empty: for all"),
    )

    invitation = models.CharField(
        _("first login"),
        max_length=16,
        choices=Invitation.choices,
        blank=True,
        help_text=_("Empty where no mail is needed: the account was there before."),
    )
    invitation_requested_at = models.DateTimeField(_("mail requested at"), null=True, blank=True)
    invitation_sent_at = models.DateTimeField(_("mail sent at"), null=True, blank=True)
    invitation_count = models.PositiveIntegerField(
        _("mails sent"), default=0, help_text=_("Since it was requested")
    )
    invitation_attempts = models.PositiveIntegerField(
        _("attempts"), default=0, help_text=_("Since the last mail that was sent")
    )
    next_invitation_at = models.DateTimeField(_("next mail at"), null=True, blank=True)
    invitation_error_code = models.CharField(_("error code"), max_length=64, blank=True)
    invitation_error = models.TextField(_("error"), blank=True)

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    user_id: Any
    get_invitation_display: Callable[[], str]

    objects: ClassVar[TrainerAccountQuerySet] = manager_of(TrainerAccountQuerySet)

    class Meta:
        verbose_name = _("trainer account")
        verbose_name_plural = _("trainer accounts")
        indexes = [models.Index(fields=["invitation", "next_invitation_at"], name="opentrain_invitation_due")]

    def __str__(self) -> str:
        return str(self.opentrain_user_id)

    @property
    def link_expires_at(self) -> datetime | None:
        """Until when the last link works that was sent; None before one was."""
        return link_expires_at(self.invitation_sent_at)


def link_expires_at(sent_at: datetime | None) -> datetime | None:
    """Until when a link for a first login works that was sent then."""
    return None if sent_at is None else sent_at + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
