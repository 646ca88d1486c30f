"""The actions behind a contract's days, and what trainers object to them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from rest_framework import serializers

from django_opentrain.api.serializers.base import CamelSerializer, PageQuery
from django_opentrain.api.serializers.fields import NullableCharField, StrictDateField, UTCDateTimeField
from django_opentrain.models import UsageObjection, WorkEntry

_MICROSECOND: Final = timedelta(microseconds=1)


class SecondsField(serializers.FloatField):
    """A duration in seconds."""

    def to_representation(self, value: Any) -> Any:
        return float(Decimal(value // _MICROSECOND) / 1_000_000)


class WorkEntrySerializer(CamelSerializer):
    """One action of a trainer, as it was observed."""

    id = serializers.IntegerField()
    at = UTCDateTimeField()
    worker_opentrain_user_id = serializers.CharField(source="opentrain_user_id")
    external_project_id = serializers.CharField()
    object_id = NullableCharField(help_text="The site's own id of what was worked on.")
    kind = serializers.ChoiceField(WorkEntry.Kind.choices)
    claimed_seconds = SecondsField(source="duration", help_text="The time that the action claims.")
    counted_seconds = SecondsField(source="counted", help_text="What of it is no other action's, and counts.")
    tasks = serializers.IntegerField()
    labels = serializers.IntegerField()
    reason = NullableCharField(help_text="Of a correction.")
    corrected_by = NullableCharField()


class WorkQuery(PageQuery):
    """Which day, and whose."""

    ordering = serializers.ChoiceField(["at"], default="at")
    work_date = StrictDateField(required=False, help_text="In the site's USAGE_TIME_ZONE; today if omitted.")
    worker_opentrain_user_id = serializers.CharField(required=False, max_length=200)


class WorkPage(CamelSerializer):
    """One page of a day's actions, in the order of their time."""

    contract_id = serializers.CharField(help_text="OpenTrain's id of the contract.")
    entries = WorkEntrySerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ObjectionSerializer(CamelSerializer):
    """What a trainer objects to a day of theirs."""

    id = serializers.IntegerField()
    worker_opentrain_user_id = serializers.CharField(source="opentrain_user_id")
    work_date = StrictDateField()
    text = NullableCharField(help_text="Null: it was erased with the trainer's personal data.")
    status = serializers.ChoiceField(UsageObjection.Status.choices)
    created_at = UTCDateTimeField()
    answer = NullableCharField()
    closed_by = NullableCharField()
    closed_at = UTCDateTimeField(allow_null=True)


class ObjectionQuery(PageQuery):
    """Filters of a contract's objections."""

    lookups = {"status": "status", "work_date": "work_date"}
    status = serializers.ChoiceField(UsageObjection.Status.choices, required=False)
    work_date = StrictDateField(required=False)
