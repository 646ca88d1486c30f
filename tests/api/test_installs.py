"""Connecting, and how a connection stands, as a front end sees it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from rest_framework.test import APIClient

from django_opentrain.models import AccessGrant, ConsentRequest, Install
from django_opentrain.services import reconcile
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.api.conftest import log_in, url
from tests.played import a_customer


def test_the_way_to_the_consent_screen(boss: APIClient) -> None:
    response = boss.post(
        url("install-connect"), {"externalProjectId": "acme-1", "nextUrl": "/projects/1/"}, format="json"
    )
    consent = urlsplit(response.json()["consentUrl"])
    assert consent.path == "/integrations/annotation-demo/connect"
    assert parse_qs(consent.query)["external_project_id"] == ["acme-1"]
    kept = ConsentRequest.objects.get()
    assert (kept.tenant, kept.external_project_id, kept.next_url) == ("acme", "acme-1", "/projects/1/")


def test_only_for_the_tenants_own_projects(boss: APIClient) -> None:
    response = boss.post(url("install-connect"), {"externalProjectId": "globex-1"}, format="json")
    assert (response.status_code, list(response.json()["details"])) == (400, ["externalProjectId"])


def approve(opentrain: OpenTrain, **values: Any) -> Any:
    """The customer approves on OpenTrain's consent screen."""
    organization = opentrain.sandbox.create_organization("acme")
    return opentrain.sandbox.approve(organization_id=organization.id, **values)


def test_a_token_connects_the_install_that_waits_for_it(boss: APIClient, opentrain: OpenTrain) -> None:
    approval = approve(opentrain)
    factories.make_install(status=Install.Status.PENDING, opentrain_id=None, token=None)
    pending = factories.make_install(
        status=Install.Status.PENDING, opentrain_id=None, token=None, expected_id=approval.install.id
    )
    body = {"token": approval.token, "installId": pending.pk}
    shown = boss.post(url("install-token"), body, format="json").json()
    assert (shown["id"], shown["status"], shown["opentrainId"]) == (pending.pk, "ACTIVE", approval.install.id)
    assert shown["reconcileDueAt"]
    assert approval.token not in str(shown)


def test_a_token_without_a_return_connects_too(boss: APIClient, opentrain: OpenTrain) -> None:
    approval = approve(opentrain, scopes=["contracts:read"], pii_consent=False)
    shown = boss.post(url("install-token"), {"token": f" {approval.token}\n"}, format="json").json()
    assert (shown["status"], shown["piiConsent"], shown["scopes"]) == ("ACTIVE", False, ["contracts:read"])
    assert "usage:write" in shown["missingScopes"]


def test_a_token_of_another_kind_is_refused(boss: APIClient) -> None:
    response = boss.post(url("install-token"), {"token": "not-a-token"}, format="json")
    assert (response.status_code, response.json()["code"]) == (400, "TOKEN_REFUSED")
    assert list(response.json()["details"]) == ["token"]
    assert "not-a-token" not in response.content.decode()
    assert not Install.objects.exists()  # or the customer's page would ask for the token, for days


def test_a_token_that_was_given_before_is_its_install_again(boss: APIClient, opentrain: OpenTrain) -> None:
    body = {"token": approve(opentrain).token}
    first, second = (boss.post(url("install-token"), body, format="json").json()["id"] for _ in range(2))
    assert first == second == Install.objects.get().pk


@pytest.mark.parametrize("status", ["ACTIVE", "elsewhere"])
def test_a_token_goes_only_to_an_install_of_the_tenant_that_waits(
    status: str, boss: APIClient, opentrain: OpenTrain
) -> None:
    other = (
        factories.make_install("globex", status=Install.Status.PENDING, opentrain_id=None, token=None)
        if status == "elsewhere"
        else factories.make_install()
    )
    body = {"token": approve(opentrain).token, "installId": other.pk}
    assert list(boss.post(url("install-token"), body, format="json").json()["details"]) == ["installId"]


def test_opentrain_away_while_the_token_is_given(boss: APIClient, opentrain: OpenTrain) -> None:
    token = approve(opentrain).token
    opentrain.fail_next(503)
    response = boss.post(url("install-token"), {"token": token}, format="json")
    assert (response.status_code, response.json()["code"]) == (503, "OPENTRAIN_UNAVAILABLE")
    assert int(response["Retry-After"]) > 0
    assert boss.post(url("install-token"), {"token": token}, format="json").status_code == 200


def test_verify_heals(boss: APIClient, opentrain: OpenTrain) -> None:
    install = a_customer(opentrain)
    Install.objects.update(status=Install.Status.UNAUTHORIZED, last_error="refused")
    shown = boss.post(url("install-verify", install.pk)).json()
    assert (shown["status"], shown["lastError"]) == ("ACTIVE", None)


def test_verify_tells_that_it_takes_a_reconnect(boss: APIClient, opentrain: OpenTrain) -> None:
    install = a_customer(opentrain)
    opentrain.disconnect()
    response = boss.post(url("install-verify", install.pk))
    assert (response.status_code, response.json()["code"]) == (409, "RECONNECT_REQUIRED")
    assert boss.get(url("install-detail", install.pk)).json()["status"] == "UNAUTHORIZED"


def test_disconnect_ends_access(boss: APIClient, opentrain: OpenTrain) -> None:
    install = a_customer(opentrain)
    assert boss.post(url("install-disconnect", install.pk)).json()["status"] == "DISCONNECTED"
    assert boss.post(url("install-disconnect", install.pk)).status_code == 200


@pytest.mark.parametrize("action", ["reconcile", "confirm-removals"])
def test_reconcile_is_asked_for_and_read_from_the_install(
    action: str, boss: APIClient, opentrain: OpenTrain
) -> None:
    install = a_customer(opentrain)
    opentrain.link("acme-1")
    opentrain.hire()
    before = boss.get(url("install-detail", install.pk)).json()
    assert before["reconcileDueAt"]
    opentrain.run()
    accepted = boss.post(url(f"install-{action}", install.pk))
    assert accepted.status_code == 202
    assert accepted.json()["reconcileDueAt"]
    reconcile.run_due()
    after = boss.get(url("install-detail", install.pk)).json()
    assert after["reconcileDueAt"] is None
    assert after["reconciledAt"] > before["reconciledAt"]
    assert after["counts"]["projectLinks"] == after["counts"]["activeContracts"] == 1


@pytest.mark.parametrize("action", ["reconcile", "confirm-removals"])
def test_an_ended_connection_is_not_reconciled(action: str, boss: APIClient) -> None:
    install = factories.make_install(status=Install.Status.REVOKED)
    response = boss.post(url(f"install-{action}", install.pk))
    assert (response.status_code, response.json()["code"]) == (409, "RECONNECT_REQUIRED")


def test_an_install_counts_what_hangs_on_it(boss: APIClient, install: Install) -> None:
    link, person = factories.make_link(install), factories.make_participant(install)
    contract = factories.make_contract(install, [link])
    factories.make_contract(install, status="ended")
    factories.make_link(install, status="REMOVED")
    factories.make_grant(contract, link, person, state=AccessGrant.State.FAILED)
    factories.make_usage(contract)
    factories.make_usage(contract)
    factories.make_usage(contract, status="REFUSED")
    other = factories.make_contract(factories.make_install("acme"))
    factories.make_usage(other)
    assert boss.get(url("install-detail", install.pk)).json()["counts"] == {
        "projectLinks": 1,
        "activeContracts": 1,
        "unsettledGrants": 1,
        "usageDue": 2,
        "usageRefused": 1,
    }


def test_what_is_held_is_told_before_it_is_confirmed(boss: APIClient, install: Install) -> None:
    shown = boss.get(url("install-detail", install.pk)).json()
    assert (shown["removalsHeld"], shown["reconcileHeld"]) == (0, [])
    held = ["contract ctr_9 (Boxes) has ended"]
    Install.objects.update(removals_held=7, reconcile_summary={"held": held})
    shown = boss.get(url("install-detail", install.pk)).json()
    assert (shown["removalsHeld"], shown["reconcileHeld"]) == (7, held)
    assert boss.post(url("install-confirm-removals", install.pk)).status_code == 202
    install.refresh_from_db()
    assert install.removals_confirmed


def test_a_lost_key_is_told(boss: APIClient, install: Install, settings: Any) -> None:
    settings.OPENTRAIN = {
        **settings.OPENTRAIN,
        "ENCRYPTION_KEYS": ["MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="],
    }
    response = boss.post(url("install-verify", install.pk))
    assert (response.status_code, response.json()["code"]) == (409, "SECRET_UNREADABLE")
    assert boss.get(url("install-list")).status_code == 200


def test_installs_by_status(boss: APIClient, install: Install) -> None:
    revoked = factories.make_install("acme", status=Install.Status.REVOKED)
    listed = boss.get(url("install-list"), {"status": "REVOKED"}).json()["results"]
    assert [row["id"] for row in listed] == [revoked.pk]


def test_a_token_without_a_return_belongs_to_who_gave_it(opentrain: OpenTrain) -> None:
    client = log_in("acme-boss")
    client.post(url("install-token"), {"token": approve(opentrain).token}, format="json")
    assert Install.objects.get().connected_by_id
