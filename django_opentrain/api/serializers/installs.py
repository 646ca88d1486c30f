"""Installs, and connecting."""

from __future__ import annotations

from rest_framework import serializers

from django_opentrain.api.serializers.base import CamelSerializer, PageQuery, StrictSerializer
from django_opentrain.api.serializers.fields import (
    FailureReasonField,
    IdField,
    NullableCharField,
    StrictCharField,
    StrictPrimaryKeyField,
    TokenField,
    UTCDateTimeField,
)
from django_opentrain.models import Install
from django_opentrain.platform import catalog
from django_opentrain.services.connect import MAX_TOKEN, missing_scopes

MAX_URL = 2048


class InstallCounts(CamelSerializer):
    """What depends on an install."""

    project_links = serializers.IntegerField(
        source="link_count", help_text="Links that exist or are being created."
    )
    active_contracts = serializers.IntegerField(source="contract_count")
    unsettled_grants = serializers.IntegerField(
        help_text="Access grants that are not in their desired state."
    )
    usage_due = serializers.IntegerField(help_text="Days whose totals OpenTrain doesn't have yet.")
    usage_refused = serializers.IntegerField(help_text="Days whose totals OpenTrain refused.")


class InstallSerializer(CamelSerializer):
    """A customer's connection. No part of its token is ever shown."""

    id = serializers.IntegerField()
    opentrain_id = NullableCharField(help_text="Null until the token has been given.")
    status = serializers.ChoiceField(Install.Status.choices)
    scopes = serializers.ListField(child=serializers.CharField())
    missing_scopes = serializers.SerializerMethodField(method_name="_missing_scopes")
    pii_consent = serializers.BooleanField()
    organization_id = NullableCharField()
    requested_project_id = NullableCharField(help_text="The project from which the customer connected.")
    superseded_by = serializers.IntegerField(
        source="superseded_by_id", allow_null=True, help_text="The install that took over after a reconnect."
    )
    created_at = UTCDateTimeField()
    verified_at = UTCDateTimeField(allow_null=True)
    revoked_at = UTCDateTimeField(allow_null=True)
    paused_until = UTCDateTimeField(
        allow_null=True, help_text="OpenTrain's rate limit: no calls before this time."
    )
    reconcile_due_at = UTCDateTimeField(
        source="next_reconcile_at", allow_null=True, help_text="Set while a reconciliation is waiting."
    )
    reconciled_at = UTCDateTimeField(
        allow_null=True, help_text="As of when: the last one that was completed."
    )
    reconcile_changes = serializers.ListField(
        source="last_reconciliation.changes",
        default=list,
        child=serializers.CharField(),
        help_text="What the last one changed.",
    )
    reconcile_problems = serializers.ListField(
        source="last_reconciliation.problems",
        default=list,
        child=serializers.CharField(),
        help_text="What the last one could not compare or do.",
    )
    reconcile_held = serializers.ListField(
        source="last_reconciliation.held",
        default=list,
        child=serializers.CharField(),
        help_text="The reasons for the removals that wait to be confirmed.",
    )
    removals_held = serializers.IntegerField(help_text="Removals that wait to be confirmed.")
    refused_at = UTCDateTimeField(allow_null=True, help_text="Since when OpenTrain has refused all calls.")
    last_error = FailureReasonField()
    last_error_code = NullableCharField()
    counts = InstallCounts(source="*")

    def _missing_scopes(self, install: Install) -> list[str]:
        return list(missing_scopes(install))


class InstallQuery(PageQuery):
    """Filters of the list of installs."""

    lookups = {"status": "status"}
    status = serializers.ChoiceField(Install.Status.choices, required=False)


class ConnectRequest(StrictSerializer):
    """The project to connect for, and where to go afterwards."""

    external_project_id = IdField(
        required=False, max_length=catalog.MAX_EXTERNAL_PROJECT_ID, help_text="Connect for this project."
    )
    next_url = StrictCharField(
        required=False,
        max_length=MAX_URL,
        help_text="A page of this site to go to afterwards; another site's is ignored.",
    )


class ConsentUrl(CamelSerializer):
    """Where to send the customer's browser."""

    consent_url = serializers.URLField()


class TokenRequest(StrictSerializer):
    """The token that OpenTrain showed the customer once."""

    token = TokenField(max_length=MAX_TOKEN)
    install_id = StrictPrimaryKeyField(
        required=False,
        help_text="The PENDING install that the return from OpenTrain led to. Leave it out for a customer who"
        " connected from OpenTrain's side.",
    )
