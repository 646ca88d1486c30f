"""Webhook endpoints and their events."""

from __future__ import annotations

from rest_framework import serializers

from django_opentrain.api.serializers.base import CamelSerializer, PageQuery, StrictSerializer
from django_opentrain.api.serializers.fields import (
    FailureReasonField,
    IdField,
    NullableCharField,
    PrimaryKeyField,
    StrictBooleanField,
    UTCDateTimeField,
)
from django_opentrain.fields import MAX_ID
from django_opentrain.models import WebhookEndpoint, WebhookEvent

LIVE_STATUSES = [
    choice for choice in WebhookEndpoint.Status.choices if choice[0] != WebhookEndpoint.Status.REMOVED
]
MAX_TYPE = 100


class EndpointSerializer(CamelSerializer):
    """Where OpenTrain sends events. Neither its secret nor its URL, which only OpenTrain needs, is shown."""

    id = serializers.IntegerField()
    install_id = serializers.IntegerField()
    opentrain_id = NullableCharField(help_text="Null until OpenTrain has confirmed the endpoint.")
    event_types = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(WebhookEndpoint.Status.choices)
    consecutive_failures = serializers.IntegerField()
    created_at = UTCDateTimeField()
    disabled_at = UTCDateTimeField(allow_null=True)
    disabled_reason = NullableCharField()
    checked_at = UTCDateTimeField(allow_null=True)
    retire_at = UTCDateTimeField(allow_null=True, help_text="When an endpoint that was replaced is deleted.")
    last_error = FailureReasonField()
    last_error_code = NullableCharField()


class EndpointQuery(PageQuery):
    """Filters of the list of endpoints."""

    lookups = {"install_id": "install", "status": "status"}
    install_id = PrimaryKeyField(required=False)
    status = serializers.ChoiceField(LIVE_STATUSES, required=False)


class RotateRequest(StrictSerializer):
    """Why the secret is replaced."""

    compromised = StrictBooleanField(
        default=False, help_text="Nothing that is signed with the old secret takes effect from now on."
    )


class RedeliverRequest(StrictSerializer):
    """Which delivery to send again; if omitted, all that failed."""

    delivery_id = IdField(required=False)


class Redelivered(CamelSerializer):
    """How many deliveries will be sent again, within about five minutes."""

    requeued = serializers.IntegerField()


class EventSerializer(CamelSerializer):
    """A received event and its status. Its body, which may hold a Work Email, is not shown."""

    id = serializers.IntegerField()
    endpoint_id = serializers.IntegerField()
    event_id = NullableCharField()
    type = NullableCharField()
    resource_id = NullableCharField()
    job_id = NullableCharField()
    status = serializers.ChoiceField(WebhookEvent.Status.choices)
    attempts = serializers.IntegerField()
    next_attempt_at = UTCDateTimeField(allow_null=True)
    received_at = UTCDateTimeField()
    processed_at = UTCDateTimeField(allow_null=True)
    error = FailureReasonField(help_text="Why it failed or was ignored.")
    error_code = NullableCharField()
    replayable = serializers.BooleanField(help_text="False once its body has been deleted.")


class EventQuery(PageQuery):
    """Filters of the list of events."""

    lookups = {
        "install_id": "endpoint__install",
        "endpoint_id": "endpoint",
        "type": "type",
        "status": "status",
        "resource_id": "resource_id",
    }
    install_id = PrimaryKeyField(required=False)
    endpoint_id = PrimaryKeyField(required=False)
    type = serializers.CharField(required=False, max_length=MAX_TYPE)
    status = serializers.ChoiceField(WebhookEvent.Status.choices, required=False)
    resource_id = serializers.CharField(required=False, max_length=MAX_ID)
