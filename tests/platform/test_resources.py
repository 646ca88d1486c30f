from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from contextlib import suppress
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_opentrain.platform import resources
from django_opentrain.platform.resources import (
    BudgetInfo,
    ContractInfo,
    CreatedWebhookEndpoint,
    InstallInfo,
    MalformedResource,
    ParticipantInfo,
    ProjectLinkInfo,
    Redelivery,
    UsageEntry,
    UsageResult,
    WebhookEndpointInfo,
)
from tests.platform.test_values import any_json, any_text

UTC = timezone.utc

LINK = {
    "id": "lnk_1",
    "jobId": "job_1",
    "externalProjectId": "7",
    "externalProjectName": "Street signs",
    "externalProjectUrl": "https://label.example/projects/7",
    "provisioningMode": "PARTNER_WEBHOOK",
    "createdAt": "2026-11-20T08:00:00.000Z",
}
CONTRACT = {
    "id": "ctr_1",
    "status": "active",
    "jobId": "job_1",
    "title": "Annotator",
    "startDate": "2026-11-21",
    "endDate": None,
    "createdAt": "2026-11-20T09:00:00Z",
    "projectLinkIds": ["lnk_1", "lnk_2"],
}
PARTICIPANT = {
    "opentrainUserId": "usr_1",
    "displayName": "Maria S.",
    "country": "PT",
    "profileUrl": "https://app.opentrain.ai/p/usr_1",
    "workEmail": "maria@opentrain.work",
}
BUDGET = {
    "contractId": "ctr_1",
    "paymentType": "PAY_PER_HOUR",
    "state": "LOW",
    "fundedVolume": 10,
    "fundedAmountUsd": "250.00",
    "consumed": {"seconds": 29250, "hours": 8.125, "labels": 0, "tasks": 40},
    "consumedVolume": 8.125,
    "remainingVolume": 1.875,
    "consumedFraction": 0.8125,
    "activeMilestone": {
        "id": "ms_1",
        "name": "First",
        "amountUsd": 250,
        "volume": None,
        "status": "ACTIVE_FUNDED",
    },
    "lastUsageAt": "2026-11-22T10:00:00Z",
}
ENDPOINT = {
    "id": "whe_1",
    "url": "https://label.example/opentrain/webhooks/k/",
    "eventTypes": ["contract.started", "contract.ended"],
    "status": "DISABLED",
    "createdAt": "2026-11-20T08:00:00Z",
    "consecutiveFailures": 10,
    "disabledAt": "2026-11-21T08:00:00Z",
    "disabledReason": "10 consecutive failures",
}
INSTALL = {
    "id": "ins_1",
    "status": "ACTIVE",
    "scopes": ["contracts:read", "usage:write"],
    "piiConsent": True,
    "organizationId": "org_1",
    "createdAt": "2026-11-20T08:00:00Z",
    "partnerApp": {"id": "ptnapp_1", "slug": "label-tool", "name": "Label Tool"},
    "token": {"id": "tok_1", "name": "Label Tool", "scopes": ["contracts:read"]},
}

CASES: list[tuple[Any, dict[str, Any], str]] = [
    (InstallInfo, INSTALL, "id"),
    (ProjectLinkInfo, LINK, "id"),
    (ContractInfo, CONTRACT, "id"),
    (ParticipantInfo, PARTICIPANT, "opentrainUserId"),
    (BudgetInfo, BUDGET, "state"),
    (UsageResult, {"contractId": "ctr_1", "accepted": 3, "budget": BUDGET}, "contractId"),
    (WebhookEndpointInfo, ENDPOINT, "id"),
    (
        CreatedWebhookEndpoint,
        {"webhookEndpoint": ENDPOINT, "secret": "whsec_1", "message": "Save it"},
        "secret",
    ),
    (Redelivery, {"webhookEndpoint": ENDPOINT, "requeued": 4, "message": "Soon"}, "webhookEndpoint"),
]
every_kind = pytest.mark.parametrize(
    ("kind", "document", "required"), CASES, ids=[case[0].__name__ for case in CASES]
)


def test_an_install() -> None:
    install = InstallInfo.from_json(INSTALL)
    assert install == InstallInfo(
        id="ins_1",
        status="ACTIVE",
        scopes=("contracts:read", "usage:write"),
        pii_consent=True,
        organization_id="org_1",
        created_at=datetime(2026, 11, 20, 8, tzinfo=UTC),
        app=resources.PartnerApp(id="ptnapp_1", slug="label-tool", name="Label Tool"),
        token=resources.TokenInfo(id="tok_1", name="Label Tool", scopes=("contracts:read",)),
    )


def test_a_project_link() -> None:
    assert ProjectLinkInfo.from_json(LINK) == ProjectLinkInfo(
        id="lnk_1",
        job_id="job_1",
        external_project_id="7",
        external_project_name="Street signs",
        external_project_url="https://label.example/projects/7",
        provisioning_mode="PARTNER_WEBHOOK",
        created_at=datetime(2026, 11, 20, 8, tzinfo=UTC),
    )


def test_a_contract() -> None:
    assert ContractInfo.from_json(CONTRACT) == ContractInfo(
        id="ctr_1",
        status="active",
        job_id="job_1",
        title="Annotator",
        start_date=date(2026, 11, 21),
        end_date=None,
        start_at=datetime(2026, 11, 21, tzinfo=UTC),
        created_at=datetime(2026, 11, 20, 9, tzinfo=UTC),
        project_link_ids=("lnk_1", "lnk_2"),
    )


def test_a_participant() -> None:
    assert ParticipantInfo.from_json(PARTICIPANT) == ParticipantInfo(
        opentrain_user_id="usr_1",
        display_name="Maria S.",
        country="PT",
        profile_url="https://app.opentrain.ai/p/usr_1",
        work_email="maria@opentrain.work",
    )


def test_a_budget() -> None:
    assert BudgetInfo.from_json(BUDGET) == BudgetInfo(
        contract_id="ctr_1",
        payment_type="PAY_PER_HOUR",
        state="LOW",
        funded_volume=Decimal(10),
        funded_amount_usd=Decimal("250.00"),
        consumed=resources.Consumed(seconds=29250, hours=Decimal("8.125"), labels=0, tasks=40),
        consumed_volume=Decimal("8.125"),
        remaining_volume=Decimal("1.875"),
        consumed_fraction=Decimal("0.8125"),
        active_milestone=resources.MilestoneInfo(
            id="ms_1", name="First", amount_usd=Decimal(250), volume=None, status="ACTIVE_FUNDED"
        ),
        last_usage_at=datetime(2026, 11, 22, 10, tzinfo=UTC),
    )


def test_an_endpoint() -> None:
    assert WebhookEndpointInfo.from_json(ENDPOINT) == WebhookEndpointInfo(
        id="whe_1",
        url="https://label.example/opentrain/webhooks/k/",
        event_types=("contract.started", "contract.ended"),
        status="DISABLED",
        created_at=datetime(2026, 11, 20, 8, tzinfo=UTC),
        consecutive_failures=10,
        disabled_at=datetime(2026, 11, 21, 8, tzinfo=UTC),
        disabled_reason="10 consecutive failures",
    )


@every_kind
def test_unknown_fields_are_ignored_and_kept_in_raw(
    kind: Any, document: dict[str, Any], required: str
) -> None:
    more = {**document, "novelty": [1]}
    assert kind.from_json(more) == kind.from_json(document)
    assert kind.from_json(more).raw == more


@every_kind
@pytest.mark.parametrize("value", [None, "", [], {}, True, 1.5, "a\x00"], ids=ascii)
def test_what_it_cant_do_without_is_named(
    kind: Any, document: dict[str, Any], required: str, value: object
) -> None:
    with pytest.raises(MalformedResource, match=rf"{required}(:|\.id:|$)"):
        kind.from_json({**document, required: value})


def test_a_required_field_is_enough() -> None:
    endpoint = WebhookEndpointInfo(id="whe_1")
    assert InstallInfo.from_json({"id": "ins_1"}) == InstallInfo(id="ins_1")
    assert ProjectLinkInfo.from_json({"id": "lnk_1"}) == ProjectLinkInfo(id="lnk_1")
    assert ContractInfo.from_json({"id": "ctr_1"}) == ContractInfo(id="ctr_1")
    assert ParticipantInfo.from_json({"opentrainUserId": "u"}) == ParticipantInfo(opentrain_user_id="u")
    assert BudgetInfo.from_json({"state": "OK"}) == BudgetInfo(state="OK")
    assert UsageResult.from_json({"contractId": "ctr_1"}) == UsageResult(contract_id="ctr_1")
    assert WebhookEndpointInfo.from_json({"id": "whe_1"}) == endpoint
    created = CreatedWebhookEndpoint.from_json({"webhookEndpoint": {"id": "whe_1"}, "secret": "s"})
    assert created == CreatedWebhookEndpoint(endpoint=endpoint, secret="s")
    assert Redelivery.from_json({"webhookEndpoint": {"id": "whe_1"}}) == Redelivery(endpoint=endpoint)


@every_kind
@pytest.mark.parametrize(
    "value",
    [None, 7.5, "\ud800", [None], {"id": {}}, False, float("nan"), pytest.param(10**5000, id="huge")],
    ids=ascii,
)
def test_any_other_field_may_be_ill_typed(
    kind: Any, document: dict[str, Any], required: str, value: object
) -> None:
    for name in set(document) - {required, "webhookEndpoint"}:
        kind.from_json({**document, name: value})


@every_kind
def test_is_frozen_hashable_copies_and_pickles(kind: Any, document: dict[str, Any], required: str) -> None:
    resource = kind.from_json(document)
    with pytest.raises(dataclasses.FrozenInstanceError):
        resource.raw = {}
    assert hash(resource) == hash(kind.from_json(document))
    for twin in (copy.deepcopy(resource), pickle.loads(pickle.dumps(resource))):
        assert twin == resource
        assert twin.raw == document


def test_work_emails_and_secrets_are_not_shown() -> None:
    assert "opentrain.work" not in repr(ParticipantInfo.from_json(PARTICIPANT))
    created = CreatedWebhookEndpoint.from_json({"webhookEndpoint": ENDPOINT, "secret": "whsec_hush"})
    assert created.secret == "whsec_hush"
    assert "hush" not in repr(created)


def test_numbers_do_as_ids() -> None:
    contract = ContractInfo.from_json({"id": 17, "jobId": 4, "projectLinkIds": [1, 2, None]})
    assert (contract.id, contract.job_id, contract.project_link_ids) == ("17", "4", ("1", "2"))


def test_a_dates_timestamp_is_its_utc_day() -> None:
    contract = ContractInfo.from_json(
        {"id": "c", "startDate": "2026-11-21T23:30:00-02:00", "endDate": "2026-12-01T00:00:00.000Z"}
    )
    assert (contract.start_date, contract.end_date) == (date(2026, 11, 22), date(2026, 12, 1))


def test_consent_is_only_true_when_it_is_true() -> None:
    for value in ("true", 1, "yes", [True], None):
        assert InstallInfo.from_json({"id": "i", "piiConsent": value}).pii_consent is False


def test_a_malformed_milestone_does_not_spoil_the_budget() -> None:
    budget = BudgetInfo.from_json({**BUDGET, "activeMilestone": {"name": "no id"}, "consumed": "much"})
    assert budget.active_milestone is None
    assert budget.consumed == resources.Consumed()


def _keys(document: object) -> set[str]:
    if isinstance(document, dict):
        return set(document).union(*(_keys(value) for value in document.values()))
    return set()


KEYS = sorted(set[str]().union(*(_keys(document) for _, document, _ in CASES)))
plausible = st.recursive(
    any_json, lambda inner: st.dictionaries(st.sampled_from(KEYS) | any_text, inner, max_size=6), max_leaves=8
)


@pytest.mark.long
@given(data=plausible | st.dictionaries(st.sampled_from(KEYS), plausible, max_size=8))
def test_whatever_json_holds_is_read_or_named(data: object) -> None:
    for kind, _, _ in CASES:
        with suppress(MalformedResource):
            repr(kind.from_json(data)).encode()  # no lone surrogate got through


def test_a_usage_entry_leaves_out_what_is_not_given() -> None:
    day = date(2026, 11, 22)
    assert UsageEntry(work_date=day).as_json() == {"workDate": "2026-11-22"}
    assert UsageEntry(work_date=day, total_seconds=0, labels_completed=0).as_json() == {
        "workDate": "2026-11-22",
        "totalSeconds": 0,
        "labelsCompleted": 0,
    }
    full = UsageEntry(
        work_date=day,
        total_seconds=3600,
        tasks_completed=12,
        labels_completed=40,
        worker_opentrain_user_id="usr_1",
        external_report_id="rep_1",
    )
    assert json.loads(json.dumps(full.as_json())) == {
        "workDate": "2026-11-22",
        "totalSeconds": 3600,
        "tasksCompleted": 12,
        "labelsCompleted": 40,
        "workerOpentrainUserId": "usr_1",
        "externalReportId": "rep_1",
    }
