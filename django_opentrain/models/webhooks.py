"""Webhook endpoints and the inbox of their events."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_opentrain.conf import conf
from django_opentrain.fields import EncryptedBinaryField, EncryptedTextField, IdField
from django_opentrain.models.base import SecretKeepingModel, TimestampedModel
from django_opentrain.models.installs import Install
from django_opentrain.platform.payloads import parse_body


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    """Endpoints by where they stand."""

    def live(self) -> WebhookEndpointQuerySet:
        """Endpoints that exist at OpenTrain, or are about to."""
        return self.exclude(status=WebhookEndpoint.Status.REMOVED)


class WebhookEndpoint(TimestampedModel):
    """Where OpenTrain sends one install's events.

    Its key is in the URL, because no event's body says which install it is for.
    """

    class Status(models.TextChoices):
        PENDING = "PENDING", _("being created")
        ACTIVE = "ACTIVE", _("active")
        DISABLED = "DISABLED", _("disabled by OpenTrain")
        PAUSED = "PAUSED", _("paused by an operator")
        RETIRING = "RETIRING", _("being replaced")
        REMOVED = "REMOVED", _("removed")

    install = models.ForeignKey(Install, on_delete=models.CASCADE, related_name="webhook_endpoints")
    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    opentrain_id = IdField(_("OpenTrain id"), blank=True, db_index=True)
    url = models.TextField(blank=True)
    event_types = models.JSONField(default=list, blank=True)
    secret = EncryptedTextField(null=True, blank=True, editable=False)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    consecutive_failures = models.PositiveIntegerField(default=0)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.TextField(blank=True)
    retire_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text=_("When a replaced endpoint is deleted: its retries may still come until then"),
    )
    checked_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")

    def __str__(self) -> str:
        return f"{self.install.tenant}: {self.key}"

    @property
    def expected_url(self) -> str:
        """The URL at which this site receives the endpoint's deliveries now."""
        return conf.view_url("webhook", key=self.key)


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    """Events by what is left to do for them."""

    def due(self, now: datetime) -> WebhookEventQuerySet:
        """Unprocessed events whose next attempt's time has come."""
        return self.filter(status=WebhookEvent.Status.PENDING).filter(
            Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
        )


class WebhookEvent(SecretKeepingModel):
    """One verified delivery, as it came. Written once by the receiver, then only marked."""

    class Status(models.TextChoices):
        PENDING = "PENDING", _("pending")
        PROCESSED = "PROCESSED", _("processed")
        IGNORED = "IGNORED", _("ignored")
        FAILED = "FAILED", _("failed")

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="events")
    delivery_id = IdField(blank=True, help_text=_("As the unsigned header says: a hint, for support"))
    # Of what is signed. The delivery header is not, so a forged one must not make a real delivery look like a
    # repeat.
    digest = models.CharField(max_length=64, editable=False)
    event_id = IdField(blank=True, db_index=True)
    type = models.CharField(max_length=100, blank=True)
    resource_id = IdField(blank=True)
    job_id = IdField(blank=True)
    body = EncryptedBinaryField(null=True, editable=False)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, help_text=_("Why it failed or was ignored"))
    received_at = models.DateTimeField(db_index=True)
    processed_at = models.DateTimeField(null=True, blank=True)

    objects = WebhookEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook event")
        verbose_name_plural = _("webhook events")
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "digest"], name="opentrain_delivery_once"),
        ]
        indexes = [models.Index(fields=["status", "next_attempt_at"], name="opentrain_event_due")]

    def __str__(self) -> str:
        return f"{self.type or '?'} {self.event_id}"

    @property
    def payload(self) -> dict[str, Any]:
        """The parsed body; empty when it can't be parsed or its retention is over.

        Raises ``UndecryptableError`` when the key is lost.
        """
        return {} if self.body is None else (parse_body(self.body) or {})
