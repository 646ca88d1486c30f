"""Usage, in the format of OpenTrain's own POST /contracts/{id}/usage: cumulative totals per worker and day."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from django_opentrain.api.serializers.base import CamelSerializer, PageQuery, StrictSerializer
from django_opentrain.api.serializers.fields import (
    FailureReasonField,
    IdField,
    NullableCharField,
    StrictDateField,
    StrictIntegerField,
    UTCDateTimeField,
)
from django_opentrain.models import DailyUsage
from django_opentrain.platform import catalog
from django_opentrain.platform.resources import MAX_TOTALS, UsageEntry
from django_opentrain.services import usage


class UsageEntrySerializer(StrictSerializer):
    """One worker's totals of one day. Each replaces the previous one; an omitted total keeps its value."""

    work_date = StrictDateField(help_text="In the site's USAGE_TIME_ZONE; not in the future.")
    total_seconds, tasks_completed, labels_completed = (
        StrictIntegerField(required=False, min_value=0, max_value=most) for most in MAX_TOTALS.values()
    )
    worker_opentrain_user_id = IdField(
        required=False, help_text="A participant of the contract; the hired trainer if omitted."
    )
    external_report_id = IdField(required=False)

    def validate_workDate(self, day: datetime.date) -> datetime.date:  # noqa: N802 - REST framework's way to name it
        if day > usage.today():
            raise serializers.ValidationError(_("This day is in the future."))
        return day

    def validate_workerOpentrainUserId(self, worker: str) -> str:  # noqa: N802 - REST framework's way to name it
        participants = self.context["workers"]
        # Without the scope to list participants there are none here; then OpenTrain validates the id.
        if participants and worker not in participants:
            raise serializers.ValidationError(_("This worker is not a participant of the contract."))
        return worker

    def validate(self, attrs: Mapping[str, Any]) -> UsageEntry:
        """The fields as the value that they are."""
        return UsageEntry(**attrs)


class UsageRequest(StrictSerializer):
    """Up to 100 totals; one invalid entry rejects all."""

    entries = serializers.ListField(
        child=UsageEntrySerializer(), min_length=1, max_length=catalog.MAX_USAGE_ENTRIES
    )


class UsageAccepted(CamelSerializer):
    """What was recorded. The workers report it to OpenTrain."""

    contract_id = serializers.CharField(help_text="OpenTrain's id of the contract.")
    accepted = serializers.IntegerField(help_text="Entries that were recorded.")
    due = serializers.IntegerField(help_text="Days of the contract whose totals OpenTrain doesn't have yet.")


class DaySerializer(CamelSerializer):
    """One worker's totals of one day, and whether OpenTrain has them."""

    work_date = StrictDateField()
    total_seconds = serializers.IntegerField(allow_null=True)
    tasks_completed = serializers.IntegerField(allow_null=True)
    labels_completed = serializers.IntegerField(allow_null=True)
    worker_opentrain_user_id = NullableCharField(source="worker_id", help_text="Null: the hired trainer.")
    external_report_id = NullableCharField()
    hours_withheld = serializers.BooleanField(
        help_text="Its hours are tracked elsewhere: `totalSeconds` is this site's alone, and not reported."
    )
    status = serializers.ChoiceField(DailyUsage.Status.choices)
    reported_at = UTCDateTimeField(allow_null=True)
    error = FailureReasonField(help_text="Why OpenTrain refused it.")
    error_code = NullableCharField()
    retry_at = UTCDateTimeField(
        allow_null=True,
        help_text="When a day that was refused before it was over everywhere is reported again.",
    )


class UsageQuery(PageQuery):
    """Filters of a contract's days."""

    lookups = {"since": "work_date__gte", "until": "work_date__lte", "status": "status"}
    ordering = serializers.ChoiceField(["-workDate", "workDate"], default="-workDate")
    since = StrictDateField(required=False)
    until = StrictDateField(required=False)
    status = serializers.ChoiceField(DailyUsage.Status.choices, required=False)


class UsagePage(CamelSerializer):
    """One page of a contract's days, the newest first."""

    contract_id = serializers.CharField(help_text="OpenTrain's id of the contract.")
    entries = DaySerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)
