"""Consent requests and the installs they lead to."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_opentrain.clients import client_for
from django_opentrain.fields import EncryptedTextField, IdField
from django_opentrain.lazy_messages import restored
from django_opentrain.models.base import TimestampedModel
from django_opentrain.platform.catalog import has_scope
from django_opentrain.platform.client import PlatformClient


class ConsentRequest(models.Model):
    """A customer who was sent to OpenTrain's consent screen and has not come back yet."""

    state = models.CharField(_("state"), max_length=64, unique=True, help_text=_("SHA-256 of the state"))
    tenant = IdField(_("customer"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="+"
    )
    external_project_id = IdField(_("external project id"), blank=True)
    next_url = models.CharField(_("next URL"), max_length=2048, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"), db_index=True)
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)

    class Meta:
        verbose_name = _("consent request")
        verbose_name_plural = _("consent requests")

    def __str__(self) -> str:
        return f"{self.tenant} ({self.created_at:%Y-%m-%d %H:%M})"


class InstallQuerySet(models.QuerySet["Install"]):
    """Installs by what can be done with them."""

    def usable(self) -> InstallQuerySet:
        """Installs whose token may be used."""
        return self.filter(status=Install.Status.ACTIVE)

    def live(self) -> InstallQuerySet:
        """Installs whose grant stands, even if the token needs renewing."""
        return self.filter(status__in=Install.LIVE)

    def callable_at(self, now: datetime) -> InstallQuerySet:
        """Usable installs that OpenTrain's rate limit doesn't hold back."""
        return self.usable().filter(Q(paused_until=None) | Q(paused_until__lte=now))


class Install(TimestampedModel):
    """One customer's grant to our platform app. Every token belongs to exactly one install."""

    class Status(models.TextChoices):
        PENDING = "PENDING", _("waiting for its token")
        ACTIVE = "ACTIVE", _("connected")
        UNAUTHORIZED = "UNAUTHORIZED", _("OpenTrain refuses the token")
        REVOKED = "REVOKED", _("revoked on OpenTrain")
        DISCONNECTED = "DISCONNECTED", _("disconnected here")

    #: The customer's grant stands, even if its token needs renewing.
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
    token = EncryptedTextField(_("token"), null=True, blank=True, editable=False)
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
        max_length=64,
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
    reconcile_summary = models.JSONField(_("sync result"), default=dict, blank=True)
    removals_held = models.PositiveIntegerField(
        _("removals held"),
        default=0,
        help_text=_("Removals that the breaker holds back until they are confirmed"),
    )
    removals_confirmed = models.BooleanField(_("removals confirmed"), default=False, editable=False)

    objects = InstallQuerySet.as_manager()

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
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
        return client_for(self)

    @property
    def last_reconciliation(self) -> dict[str, list[str]]:
        """What the last reconciliation came to (``changes``, ``held``, ``problems``), in the reader's language."""
        return {kind: [str(restored(each)) for each in kept] for kind, kept in self.reconcile_summary.items()}

    @property
    def is_usable(self) -> bool:
        """Whether calls with this install's token can be expected to work."""
        return self.status == self.Status.ACTIVE

    @property
    def is_live(self) -> bool:
        """Whether the customer's grant stands, even if its token needs renewing."""
        return self.status in self.LIVE

    def has_scope(self, scope: str) -> bool:
        """Whether the customer granted this scope."""
        return has_scope(self.scopes, scope)
