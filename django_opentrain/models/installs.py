"""Installs: each customer's connection, and what OpenTrain's responses say about it."""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.conf import settings
from django.db import models
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_opentrain.clients import build_client
from django_opentrain.conf import conf
from django_opentrain.explanations import MAX_CODE, NO_REASON, Reason
from django_opentrain.fields import EncryptedTextField, IdField
from django_opentrain.lazy_messages import restored
from django_opentrain.models.base import TimestampedModel, manager_of
from django_opentrain.platform.catalog import PARTICIPANTS_EMAIL, has_scope
from django_opentrain.platform.errors import (
    Forbidden,
    OpenTrainError,
    RateLimited,
    Unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_opentrain.models.contracts import ContractQuerySet, Participant
    from django_opentrain.models.links import ProjectLinkQuerySet
    from django_opentrain.models.webhooks import WebhookEndpointQuerySet
    from django_opentrain.platform.client import PlatformClient

#: How long OpenTrain may refuse an install before the access that it gave ends.
REFUSAL_GRACE: Final = timedelta(days=1)
#: How long an install is paused after a 429 without ``Retry-After``.
DEFAULT_PAUSE_SECONDS: Final = 60
LONGEST_PAUSE_SECONDS: Final = 3600
#: How long a client goes on with what it has read of its install: the calls of a run come one after the other.
STATE_SECONDS: Final = 1.0
#: What a reconciliation says to people.
RECONCILED: Final = frozenset({"changes", "held", "problems"})


class InstallQuerySet(models.QuerySet["Install"]):
    """Installs by what can be done with them."""

    def usable(self) -> InstallQuerySet:
        """Installs whose token may be used."""
        return self.filter(status=Install.Status.ACTIVE)

    def live(self) -> InstallQuerySet:
        """Installs that have not ended, even if the token needs to be renewed."""
        return self.filter(status__in=Install.LIVE)

    def callable_at(self, now: datetime) -> InstallQuerySet:
        """Usable installs that are not paused by OpenTrain's rate limit."""
        return self.usable().filter(Q(paused_until=None) | Q(paused_until__lte=now))

    def abandoned(self, now: datetime) -> InstallQuerySet:
        """Installs that were revoked on OpenTrain, and whose customer did not reconnect in time.

        Their ``access_ends_at`` has passed.
        """
        revoked = self.filter(status=Install.Status.REVOKED, superseded_by=None)
        return revoked.filter(revoked_at__lte=now - _revoke_grace())

    # Recording the outcome of a call ----------------------------------------------------------

    def clear_error(self) -> None:
        """A call succeeded."""
        self.exclude(last_error="").update(refused_at=None, **NO_REASON.columns("last_error"))

    def record_error(self, error: Unauthorized | Forbidden) -> None:
        """OpenTrain refused a call, but perhaps not all calls."""
        self.update(**Reason.of(error).columns("last_error"))

    def record_refusal(self, error: Unauthorized | Forbidden) -> None:
        """OpenTrain refuses all calls: because of the token, or because the install, app or feature is inactive.

        A refusal without OpenTrain's code is a proxy's: it says nothing about the token or the install.
        """
        if not error.from_opentrain:
            self.record_error(error)
            return
        columns: dict[str, Any] = {**Reason.of(error).columns("last_error")}
        columns["refused_at"] = Coalesce("refused_at", timezone.now())
        if isinstance(error, Unauthorized):
            unauthorized = When(status=Install.Status.ACTIVE, then=Value(Install.Status.UNAUTHORIZED))
            columns["status"] = Case(unauthorized, default="status")
        self.update(**columns)

    def pause_until(self, until: datetime) -> None:
        """OpenTrain asked for no calls until then. A later time that another worker recorded stays."""
        self.filter(Q(paused_until=None) | Q(paused_until__lt=until)).update(paused_until=until)


class Install(TimestampedModel):
    """One customer's connection to our platform app. Every token belongs to exactly one install."""

    class Status(models.TextChoices):
        PENDING = "PENDING", _("waiting for its token")
        ACTIVE = "ACTIVE", _("connected")
        UNAUTHORIZED = "UNAUTHORIZED", _("OpenTrain refuses the token")
        REVOKED = "REVOKED", _("revoked on OpenTrain")
        DISCONNECTED = "DISCONNECTED", _("disconnected here")

    #: Not ended, even if the token needs to be renewed.
    LIVE = (Status.ACTIVE, Status.UNAUTHORIZED)

    tenant = IdField(_("customer"), db_index=True)
    opentrain_id = IdField(_("OpenTrain id"), unique=True, null=True, blank=True)
    expected_id = IdField(
        _("expected id"),
        blank=True,
        help_text=_(
            "The connection that the return from the consent screen named: a hint, until a token confirms it."
        ),
    )
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.PENDING)
    # To the customer, too: a row that is given another one loses its token.
    token = EncryptedTextField(
        _("token"), null=True, blank=True, editable=False, bound_to=("tenant", "opentrain_id")
    )
    token_hint = models.CharField(
        _("token hint"), max_length=4, blank=True, help_text=_("The last characters of the token")
    )
    scopes = models.JSONField(_("scopes"), default=list, blank=True)
    pii_consent = models.BooleanField(_("PII consent"), default=False)
    organization_id = IdField(_("organization id"), blank=True)
    app_slug = IdField(_("app slug"), blank=True)
    requested_project_id = IdField(
        _("requested project id"),
        blank=True,
        help_text=_("The project from which the customer connected"),
    )
    connected_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("connected by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    superseded_by = models.ForeignKey(
        "self",
        verbose_name=_("superseded by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="supersedes",
        help_text=_("The connection that took over after a reconnect"),
    )
    verified_at = models.DateTimeField(_("verified at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    last_error = models.TextField(_("last error"), blank=True)
    last_error_code = models.CharField(
        _("last error code"),
        max_length=MAX_CODE,
        blank=True,
        help_text=_("Machine-readable reason of the last error"),
    )
    refused_at = models.DateTimeField(
        _("refused at"),
        null=True,
        blank=True,
        help_text=_("Since when OpenTrain has refused all calls, because of the token or the connection"),
    )
    paused_until = models.DateTimeField(
        _("paused until"),
        null=True,
        blank=True,
        help_text=_("OpenTrain's rate limit: no calls before this time"),
    )
    lease = models.UUIDField(_("lease"), null=True, blank=True, editable=False)
    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True, editable=False)
    next_reconcile_at = models.DateTimeField(_("next sync at"), null=True, blank=True)
    reconcile_attempts = models.PositiveIntegerField(_("sync attempts"), default=0)
    reconciled_at = models.DateTimeField(_("synced at"), null=True, blank=True)
    # Since when each reconciliation has found nothing, once events have been seen to arrive; null while one may not.
    in_sync_since = models.DateTimeField(null=True, blank=True, editable=False)
    # Until when each settled grant has had its turn to be asserted again; null before the first time.
    asserted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # While a reconciliation asserts access again; it stays when the adapter's answer ended its process.
    access_asked_at = models.DateTimeField(null=True, blank=True, editable=False)
    reconcile_summary = models.JSONField(_("sync result"), default=dict, blank=True)
    removals_held = models.PositiveIntegerField(
        _("removals held"),
        default=0,
        help_text=_("Removals that the breaker holds back until they are confirmed"),
    )
    removals_confirmed = models.BooleanField(_("removals confirmed"), default=False, editable=False)
    foreign_endpoints = models.JSONField(
        _("endpoints of other sites"),
        default=list,
        blank=True,
        help_text=_(
            "The origins of other sites at which OpenTrain lists webhook endpoints of this connection"
        ),
    )

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    connected_by_id: int | None
    superseded_by_id: int | None
    supersedes: InstallQuerySet
    project_links: ProjectLinkQuerySet
    participants: models.QuerySet[Participant]
    contracts: ContractQuerySet
    webhook_endpoints: WebhookEndpointQuerySet
    get_status_display: Callable[[], str]

    objects: ClassVar[InstallQuerySet] = manager_of(InstallQuerySet)

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        permissions = [("disconnect", "Can disconnect customers")]
        indexes = [
            models.Index(fields=["status", "next_reconcile_at"], name="opentrain_install_due"),
        ]

    def __str__(self) -> str:
        return f"{self.tenant}: {self.opentrain_id or self.get_status_display()}"

    @property
    def client(self) -> PlatformClient:
        """The typed client of the Platform API that acts for this install.

        Raises ``UndecryptableError`` when the token's key is lost.
        """
        return build_client(self.token or "", scopes=self.scopes, observer=InstallObserver(self))

    @property
    def access_ends_at(self) -> datetime | None:
        """When the access that this install gave ends, unless its customer reconnects or OpenTrain accepts it again.

        None while it is neither revoked nor refused, and if access ended at once.
        """
        if self.is_live:
            return self.refused_at and self.refused_at + max(REFUSAL_GRACE, _revoke_grace())
        if self.status == self.Status.REVOKED and self.superseded_by_id is None:
            return self.revoked_at and self.revoked_at + _revoke_grace()
        return None

    @property
    def last_reconciliation(self) -> dict[str, list[str]]:
        """The last reconciliation's result (``changes``, ``held``, ``problems``), in the reader's language."""
        shown = {kind: kept for kind, kept in self.reconcile_summary.items() if kind in RECONCILED}
        return {kind: [str(restored(each)) for each in kept] for kind, kept in shown.items()}

    @property
    def is_usable(self) -> bool:
        """Whether calls with this install's token can be expected to work."""
        return self.status == self.Status.ACTIVE

    @property
    def is_being_set_up(self) -> bool:
        """Whether its jobs and contracts have not been fetched yet, and nothing says that they can't be."""
        return self.is_usable and self.reconciled_at is None and not self.last_error

    @property
    def shares_work_emails(self) -> bool:
        """Whether OpenTrain shows Work Emails to this site: that needs consent and scope."""
        return self.pii_consent and self.has_scope(PARTICIPANTS_EMAIL)

    @property
    def is_live(self) -> bool:
        """Whether it has not ended, even if the token needs to be renewed."""
        return self.status in self.LIVE

    @property
    def log_fields(self) -> dict[str, str | None]:
        """What a line about it in the log has as ``extra``."""
        return {"install": self.opentrain_id}

    def has_scope(self, scope: str) -> bool:
        """Whether the customer granted this scope."""
        return has_scope(self.scopes, scope)


def pause_after(error: OpenTrainError) -> timedelta:
    """How long to make no calls, after an error that asks for a pause."""
    seconds = DEFAULT_PAUSE_SECONDS if error.retry_after is None else error.retry_after
    return timedelta(seconds=min(seconds, LONGEST_PAUSE_SECONDS))


class InstallObserver:
    """Keeps calls back that can't succeed, and records what an answer says about the install.

    What one worker met (a pause, a dead token) holds for all: the state is read and written in the database.
    """

    def __init__(self, install: Install) -> None:
        self._rows = Install.objects.filter(pk=install.pk)
        self._had_error = False
        self._read_at = -math.inf

    def before_call(self) -> None:
        """Raises ``Unauthorized`` or ``RateLimited`` where OpenTrain has already said so, at least a moment ago."""
        if time.monotonic() - self._read_at < STATE_SECONDS:
            return
        read_at = time.monotonic()
        columns = "status", "paused_until", "last_error"
        status, paused_until, last_error = self._rows.values_list(*columns).get()
        self._had_error = bool(last_error)
        if status not in (Install.Status.ACTIVE, Install.Status.DISCONNECTED):
            # Disconnected here: until the last usage is reported, the token is still there to do it with.
            raise Unauthorized(
                gettext("OpenTrain no longer accepts this connection's token: connect again."),
                status=401,
                code=Unauthorized.code,
            )
        now = timezone.now()
        if paused_until is not None and paused_until > now:
            raise RateLimited(
                gettext("OpenTrain is limiting the calls for this customer."),
                status=429,
                code=RateLimited.code,
                retry_after=(paused_until - now).total_seconds(),
            )
        self._read_at = read_at  # calls may be made, for a moment without another look

    def after_call(self, error: OpenTrainError | None) -> None:
        """Record what this outcome says about the install."""
        if error is not None:
            self._read_at = -math.inf  # the state is another one now
        if error is None:
            if self._had_error:
                self._rows.clear_error()
                self._had_error = False
        elif isinstance(error, Unauthorized):
            self._rows.usable().record_refusal(error)
        elif isinstance(error, Forbidden):
            # Of this call: whether the install is refused, GET /installs/current says, which needs no scope.
            self._rows.record_error(error)
        elif error.asks_for_pause:
            self._rows.pause_until(timezone.now() + pause_after(error))


def _revoke_grace() -> timedelta:
    return timedelta(seconds=conf.revoke_grace)
