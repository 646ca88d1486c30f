"""Project links."""

from __future__ import annotations

from rest_framework import serializers

from django_opentrain.api.serializers.base import CamelSerializer, PageQuery, StrictSerializer
from django_opentrain.api.serializers.fields import (
    WEB_URL,
    FailureReasonField,
    IdField,
    NullableCharField,
    PrimaryKeyField,
    StrictBooleanField,
    StrictCharField,
    StrictPrimaryKeyField,
    UTCDateTimeField,
)
from django_opentrain.fields import MAX_ID
from django_opentrain.models import ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.services.linking.jobs import MAX_JOB

#: A removed link is not listed.
LIVE_STATUSES = [choice for choice in ProjectLink.Status.choices if choice[0] != ProjectLink.Status.REMOVED]


class LinkSerializer(CamelSerializer):
    """One of the host's projects, linked to one of the customer's jobs."""

    id = serializers.IntegerField()
    install_id = serializers.IntegerField()
    opentrain_id = NullableCharField(help_text="Null until OpenTrain has confirmed the link.")
    external_project_id = serializers.CharField()
    external_project_name = NullableCharField()
    external_project_url = NullableCharField()
    job_id = NullableCharField()
    provisioning_mode = serializers.ChoiceField(ProjectLink.ProvisioningMode.choices)
    hours_tracked_elsewhere = serializers.BooleanField(
        help_text="The days of its contracts are reported without their hours, which stay on this site."
    )
    stop_when_depleted = serializers.BooleanField(
        help_text="Trainers have no access while the budget of their contract is used up."
    )
    status = serializers.ChoiceField(ProjectLink.Status.choices)
    created_at = UTCDateTimeField()
    removal_requested_at = UTCDateTimeField(
        allow_null=True, help_text="Set once the link is being removed: the access that it gave has ended."
    )
    last_error = FailureReasonField()
    last_error_code = NullableCharField()


class LinkQuery(PageQuery):
    """Filters of the list of links."""

    lookups = {
        "install_id": "install",
        "status": "status",
        "external_project_id": "external_project_id",
        "job_id": "job_id",
    }
    install_id = PrimaryKeyField(required=False)
    status = serializers.ChoiceField(LIVE_STATUSES, required=False)
    external_project_id = serializers.CharField(required=False, max_length=catalog.MAX_EXTERNAL_PROJECT_ID)
    job_id = serializers.CharField(required=False, max_length=MAX_ID)


class LinkRequest(StrictSerializer):
    """A project and the job whose trainers are to work in it. Link before hiring."""

    install_id = StrictPrimaryKeyField(
        required=False, help_text="Needed only by a customer with several active connections."
    )
    external_project_id = IdField(max_length=catalog.MAX_EXTERNAL_PROJECT_ID)
    job_id = IdField(
        required=False, max_length=MAX_JOB, help_text="The job's id, or the URL of its page on OpenTrain."
    )
    external_project_name = StrictCharField(required=False, max_length=catalog.MAX_EXTERNAL_PROJECT_NAME)
    external_project_url = StrictCharField(
        required=False, max_length=catalog.MAX_EXTERNAL_PROJECT_URL, validators=[WEB_URL]
    )
    provisioning_mode = serializers.ChoiceField(
        ProjectLink.ProvisioningMode.choices, default=ProjectLink.ProvisioningMode.PARTNER_WEBHOOK
    )


class LinkChanges(StrictSerializer):
    """What the customer decides about a link. An omitted field keeps its value."""

    hours_tracked_elsewhere = StrictBooleanField(required=False)
    stop_when_depleted = StrictBooleanField(required=False)
    report_withheld_hours = StrictBooleanField(
        default=False,
        help_text="Once hours are no longer tracked elsewhere: also report those that were withheld until then.",
    )
