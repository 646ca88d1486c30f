"""Webhook endpoints and the inbox of their events."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_opentrain.conf import conf
from django_opentrain.explanations import MAX_CODE
from django_opentrain.fields import EncryptedBinaryField, EncryptedTextField, IdField
from django_opentrain.models.base import SecretKeepingModel, TimestampedModel, manager_of
from django_opentrain.models.installs import Install
from django_opentrain.platform.payloads import parse_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    """Endpoints by their status."""

    def live(self) -> WebhookEndpointQuerySet:
        """Endpoints that exist on OpenTrain, or are being created."""
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

    #: As OpenTrain listed it last: enabled, and the last delivery succeeded.
    WORKING: Final = Q(status=Status.ACTIVE, consecutive_failures=0, last_error="")

    install = models.ForeignKey(
        Install, verbose_name=_("connection"), on_delete=models.CASCADE, related_name="webhook_endpoints"
    )
    key = models.UUIDField(_("key"), default=uuid.uuid4, unique=True, editable=False)
    opentrain_id = IdField(_("OpenTrain id"), blank=True, db_index=True)
    url = models.TextField(_("URL"), blank=True)
    event_types = models.JSONField(_("event types"), default=list, blank=True)
    secret = EncryptedTextField(_("secret"), null=True, blank=True, editable=False, bound_to=("key",))
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.PENDING)
    consecutive_failures = models.PositiveIntegerField(_("consecutive failures"), default=0)
    disabled_at = models.DateTimeField(_("disabled at"), null=True, blank=True)
    disabled_reason = models.TextField(_("disabled reason"), blank=True)
    retire_at = models.DateTimeField(
        _("retire at"),
        null=True,
        blank=True,
        help_text=_("When a replaced or removed endpoint is refused: until then retries may still arrive"),
    )
    compromised_at = models.DateTimeField(
        _("compromised at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("Since when what is signed with its secret takes no effect"),
    )
    checked_at = models.DateTimeField(_("checked at"), null=True, blank=True)
    last_error = models.TextField(_("last error"), blank=True)
    last_error_code = models.CharField(_("last error code"), max_length=MAX_CODE, blank=True)

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    install_id: int
    events: WebhookEventQuerySet
    get_status_display: Callable[[], str]

    objects: ClassVar[WebhookEndpointQuerySet] = manager_of(WebhookEndpointQuerySet)

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        permissions = [("rotate_secret", "Can replace the secrets of webhook endpoints")]

    def __str__(self) -> str:
        return f"{self.install.tenant}: {self.key}"

    @property
    def expected_url(self) -> str:
        """The URL at which this site currently receives the endpoint's deliveries."""
        return conf.view_url("webhook", key=self.key)


#: Attempts after which an event is said to be failing. The third follows within a minute.
FAILING_AFTER: Final = 3


class WebhookEventQuerySet(models.QuerySet["WebhookEvent"]):
    """Events by what remains to be done for them."""

    def due(self, now: datetime) -> WebhookEventQuerySet:
        """Unprocessed events whose next attempt is due."""
        return self.filter(status=WebhookEvent.Status.PENDING).filter(
            Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
        )

    def about(
        self, tenant: str, resources: Iterable[str | None], ids: Iterable[str] = ()
    ) -> WebhookEventQuerySet:
        """A customer's events about these resources of OpenTrain, and those with these ids. Without their bodies."""
        named = Q(resource_id__in=[*filter(None, resources)]) | Q(event_id__in=[*filter(None, ids)])
        return self.filter(named, endpoint__install__tenant=tenant).defer("body")


class WebhookEvent(SecretKeepingModel):
    """One verified delivery, as received. Written once by the receiver; afterwards only its status changes."""

    class Status(models.TextChoices):
        PENDING = "PENDING", _("pending")
        PROCESSED = "PROCESSED", _("processed")
        IGNORED = "IGNORED", _("ignored")
        FAILED = "FAILED", _("failed")

    #: Has failed several times, and will be retried.
    FAILING = Q(status=Status.PENDING, attempts__gte=FAILING_AFTER, next_attempt_at__isnull=False)
    #: Settled, and with its body: migration 0038 has an index for it on PostgreSQL, to which no delivery writes.
    PURGEABLE = Q(status__in=[Status.PROCESSED, Status.IGNORED], body__isnull=False)
    #: Settled, and without it.
    PURGED = Q(status__in=[Status.PROCESSED, Status.IGNORED], body__isnull=True)

    # Two of the indexes below begin with it: each one more is written at each delivery.
    endpoint = models.ForeignKey(
        WebhookEndpoint,
        verbose_name=_("endpoint"),
        on_delete=models.CASCADE,
        related_name="events",
        db_index=False,
    )
    delivery_id = IdField(
        _("delivery id"), blank=True, help_text=_("As the unsigned header says: a hint, for support")
    )
    # Of the signed body. The delivery header is not signed: a forged one must not make a real delivery look like a
    # duplicate.
    digest = models.CharField(_("digest"), max_length=64, editable=False)
    event_id = IdField(_("event id"), blank=True)
    type = models.CharField(_("type"), max_length=100, blank=True)
    resource_id = IdField(_("resource id"), blank=True)
    job_id = IdField(_("job id"), blank=True)
    body = EncryptedBinaryField(_("body"), null=True, editable=False, bound_to=("endpoint", "digest"))
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.PENDING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True, help_text=_("Why it failed or was ignored"))
    error_code = models.CharField(_("error code"), max_length=MAX_CODE, blank=True)
    received_at = models.DateTimeField(_("received at"))
    processed_at = models.DateTimeField(_("processed at"), null=True, blank=True)

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    endpoint_id: int
    get_status_display: Callable[[], str]

    objects: ClassVar[WebhookEventQuerySet] = manager_of(WebhookEventQuerySet)

    class Meta:
        verbose_name = _("webhook event")
        verbose_name_plural = _("webhook events")
        permissions = [("view_payload", "Can view the bodies of webhook events unmasked")]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "digest"], name="opentrain_delivery_once"),
        ]
        indexes = [
            # A customer's next events, in a flood of everybody's; on PostgreSQL without those that were processed.
            models.Index(fields=["status", "endpoint", "id"], name="opentrain_event_waiting"),
            models.Index(fields=["received_at", "status"], name="opentrain_event_received"),
            # Not the column's own index: PostgreSQL's has a second one with it, for LIKE.
            models.Index(fields=["event_id"], name="opentrain_event_id"),
            # What the admin's list is searched for.
            models.Index(fields=["delivery_id"], name="opentrain_event_delivery"),
            models.Index(fields=["resource_id"], name="opentrain_event_resource"),
            # The last event of an endpoint, and how many failed lately.
            models.Index(fields=["endpoint", "received_at"], name="opentrain_event_endpoint"),
        ]

    def __str__(self) -> str:
        return f"{self.type or '?'} {self.event_id}"

    @property
    def payload(self) -> dict[str, Any]:
        """The parsed body; empty when it can't be parsed or its retention is over.

        Raises ``UndecryptableError`` when the key is lost.
        """
        return {} if self.body is None else (parse_body(self.body) or {})
