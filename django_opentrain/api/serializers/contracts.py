"""Contracts, their participants, access grants and budgets."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from django_opentrain.api.serializers.base import CamelSerializer, PageQuery
from django_opentrain.api.serializers.fields import (
    FailureReasonField,
    NullableCharField,
    PrimaryKeyField,
    StrictDateField,
    UTCDateTimeField,
)
from django_opentrain.fields import MAX_ID
from django_opentrain.models import AccessGrant, Contract, Participant, TrainerAccount
from django_opentrain.platform import catalog


class ParticipantSerializer(CamelSerializer):
    """An AI trainer. Their Work Email is not exposed: a manager doesn't need it."""

    opentrain_user_id = serializers.CharField()
    display_name = NullableCharField()
    country = NullableCharField()
    profile_url = NullableCharField()
    has_work_email = serializers.SerializerMethodField(method_name="_has_work_email")

    def _has_work_email(self, participant: Participant) -> bool:
        # The column, not the attribute: nothing needs to be decrypted for this.
        column: Any = Participant._meta.get_field("work_email")
        return column.value_from_object(participant) is not None


class InvitationSerializer(CamelSerializer):
    """How far a trainer's first login is: the mail with the link for it, until they have logged in."""

    state = serializers.ChoiceField(TrainerAccount.Invitation.choices, source="invitation")
    attempts = serializers.IntegerField(
        source="invitation_attempts", help_text="Since the last mail that was sent."
    )
    sent_at = UTCDateTimeField(source="invitation_sent_at", allow_null=True)
    expires_at = UTCDateTimeField(
        source="login_link_expires_at", allow_null=True, help_text="Until when the link works that was sent."
    )
    next_attempt_at = UTCDateTimeField(source="next_invitation_at", allow_null=True)
    error = FailureReasonField(source="invitation_error")


class GrantSerializer(CamelSerializer):
    """One trainer's access to one linked project: the desired state and the actual one."""

    id = serializers.IntegerField()
    project_link_id = serializers.IntegerField(source="link_id")
    external_project_id = serializers.CharField()
    opentrain_user_id = serializers.CharField(source="participant.opentrain_user_id")
    desired = serializers.ChoiceField(AccessGrant.Desired.choices)
    state = serializers.ChoiceField(AccessGrant.State.choices)
    cause = NullableCharField()
    attempts = serializers.IntegerField()
    next_attempt_at = UTCDateTimeField(allow_null=True)
    granted_at = UTCDateTimeField(allow_null=True)
    revoked_at = UTCDateTimeField(allow_null=True)
    last_error = FailureReasonField()
    last_error_code = NullableCharField()
    first_login = InvitationSerializer(
        source="invited_account",
        allow_null=True,
        help_text="Null if no mail is sent: the trainer already had an account.",
    )


class MilestoneSerializer(CamelSerializer):
    """The milestone that is being paid for now."""

    id = serializers.CharField()
    name = NullableCharField()
    status = NullableCharField()


class BudgetSerializer(CamelSerializer):
    """A contract's budget in OpenTrain's format, as last reported."""

    contract_id = serializers.CharField(source="opentrain_id", help_text="OpenTrain's id of the contract.")
    payment_type = NullableCharField()
    state = serializers.ChoiceField(Contract.BudgetState.choices, source="budget_state")
    funded_volume = serializers.FloatField(allow_null=True)
    consumed_volume = serializers.FloatField(allow_null=True)
    remaining_volume = serializers.FloatField(allow_null=True)
    consumed_fraction = serializers.FloatField(allow_null=True)
    active_milestone = MilestoneSerializer(allow_null=True)
    updated_at = UTCDateTimeField(source="budget_updated_at", allow_null=True)


class ContractSerializer(CamelSerializer):
    """A hire."""

    id = serializers.IntegerField()
    install_id = serializers.IntegerField()
    opentrain_id = serializers.CharField()
    job_id = NullableCharField()
    title = NullableCharField()
    status = serializers.ChoiceField(Contract.Status.choices)
    start_date = StrictDateField(allow_null=True)
    end_date = StrictDateField(allow_null=True)
    created_at = UTCDateTimeField()
    ended_at = UTCDateTimeField(allow_null=True, help_text="When we learned of its end.")
    trainer = ParticipantSerializer(allow_null=True)
    project_link_ids = serializers.SerializerMethodField(method_name="_link_ids")
    budget = BudgetSerializer(source="*")
    grants = GrantSerializer(many=True)
    usage_due = serializers.IntegerField(help_text="Days whose totals OpenTrain doesn't have yet.")
    usage_refused = serializers.IntegerField(help_text="Days whose totals OpenTrain refused.")
    usage_collected_at = UTCDateTimeField(allow_null=True)
    usage_reported_at = UTCDateTimeField(allow_null=True)
    collect_error = FailureReasonField(help_text="Why the last collection of work from this site failed.")
    collect_error_code = NullableCharField()
    report_error = FailureReasonField(help_text="Why the last report to OpenTrain failed.")
    report_error_code = NullableCharField()

    def _link_ids(self, contract: Contract) -> list[int]:
        return sorted(link.pk for link in contract.links.all())


class ParticipantList(CamelSerializer):
    """A contract's participants, in OpenTrain's format."""

    contract_id = serializers.CharField(help_text="OpenTrain's id of the contract.")
    participants = ParticipantSerializer(many=True)


class ContractQuery(PageQuery):
    """Filters of the list of contracts."""

    lookups = {
        "install_id": "install",
        "status": "status",
        "budget_state": "budget_state",
        "job_id": "job_id",
    }
    install_id = PrimaryKeyField(required=False)
    status = serializers.ChoiceField(Contract.Status.choices, required=False)
    budget_state = serializers.ChoiceField(Contract.BudgetState.choices, required=False)
    job_id = serializers.CharField(required=False, max_length=MAX_ID)
    project_link_id = PrimaryKeyField(required=False, help_text="Contracts under this link.")
    external_project_id = serializers.CharField(
        required=False,
        max_length=catalog.MAX_EXTERNAL_PROJECT_ID,
        help_text="Contracts under any link, also a removed one, of this project.",
    )
    ordering = serializers.ChoiceField(["-id", "id", "-startDate", "startDate"], default="-id")
