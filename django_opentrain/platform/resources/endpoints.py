"""Where webhooks go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django_opentrain.platform import catalog
from django_opentrain.platform.resources.base import (
    CHOICE,
    COUNT,
    DATETIME,
    ID,
    IDS,
    TOTAL,
    URL,
    Resource,
    member,
    nested,
    text,
)
from django_opentrain.platform.values import MESSAGE_LENGTH


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookEndpointInfo(Resource):
    """Where OpenTrain delivers events to, and how that goes. Never holds the secret."""

    id: str = member(ID, essential=True)
    url: str = member(URL)
    event_types: tuple[str, ...] = member(IDS, known=catalog.EVENT_TYPES)
    status: str = member(CHOICE, known=catalog.ENDPOINT_STATUSES)
    created_at: datetime | None = member(DATETIME)
    consecutive_failures: int = member(TOTAL)
    disabled_at: datetime | None = member(DATETIME)
    disabled_reason: str = member(text(MESSAGE_LENGTH))


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatedWebhookEndpoint(Resource):
    """A new endpoint with its secret, which OpenTrain shows this once."""

    endpoint: WebhookEndpointInfo = nested(WebhookEndpointInfo, name="webhookEndpoint", essential=True)
    secret: str = member(ID, essential=True, repr=False)
    message: str = member(text(MESSAGE_LENGTH))


@dataclass(frozen=True, kw_only=True, slots=True)
class Redelivery(Resource):
    """How many failed deliveries go out again."""

    endpoint: WebhookEndpointInfo = nested(WebhookEndpointInfo, name="webhookEndpoint", essential=True)
    requeued: int | None = member(COUNT)
    message: str = member(text(MESSAGE_LENGTH))
