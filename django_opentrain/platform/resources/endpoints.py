"""Where webhooks go."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django_opentrain.platform.resources.base import Resource
from django_opentrain.platform.values import (
    MESSAGE_LENGTH,
    Fields,
    as_choice,
    as_count,
    as_datetime,
    as_id,
    as_text,
    as_url,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookEndpointInfo(Resource):
    """Where OpenTrain delivers events to, and how that goes. Never holds the secret."""

    id: str
    url: str = ""
    event_types: tuple[str, ...] = ()
    status: str = ""
    created_at: datetime | None = None
    consecutive_failures: int = 0
    disabled_at: datetime | None = None
    disabled_reason: str = ""

    @classmethod
    def from_json(cls, data: object) -> WebhookEndpointInfo:
        """Raises ``MalformedResource`` without ``id``."""
        fields = Fields(data, "webhookEndpoint")
        return cls(
            id=fields.required("id", as_id),
            url=as_url(fields.get("url")),
            event_types=fields.items("eventTypes", as_id),
            status=as_choice(fields.get("status")),
            created_at=as_datetime(fields.get("createdAt")),
            consecutive_failures=as_count(fields.get("consecutiveFailures")) or 0,
            disabled_at=as_datetime(fields.get("disabledAt")),
            disabled_reason=as_text(fields.get("disabledReason"), MESSAGE_LENGTH),
            raw=fields.raw,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatedWebhookEndpoint(Resource):
    """A new endpoint with its secret, which OpenTrain shows this once."""

    endpoint: WebhookEndpointInfo
    secret: str = field(repr=False)
    message: str = ""

    @classmethod
    def from_json(cls, data: object) -> CreatedWebhookEndpoint:
        """Raises ``MalformedResource`` without the endpoint's ``id`` or the ``secret``."""
        fields = Fields(data, "answer")
        return cls(
            endpoint=WebhookEndpointInfo.from_json(fields.get("webhookEndpoint")),
            secret=fields.required("secret", as_id),
            message=as_text(fields.get("message"), MESSAGE_LENGTH),
            raw=fields.raw,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Redelivery(Resource):
    """How many failed deliveries go out again."""

    endpoint: WebhookEndpointInfo
    requeued: int | None = None
    message: str = ""

    @classmethod
    def from_json(cls, data: object) -> Redelivery:
        """Raises ``MalformedResource`` without the endpoint's ``id``."""
        fields = Fields(data, "answer")
        return cls(
            endpoint=WebhookEndpointInfo.from_json(fields.get("webhookEndpoint")),
            requeued=as_count(fields.get("requeued")),
            message=as_text(fields.get("message"), MESSAGE_LENGTH),
            raw=fields.raw,
        )
