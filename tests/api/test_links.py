"""Linking projects to jobs, as a front end does it."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from django_opentrain.api.views.links import ProjectLinkViewSet
from django_opentrain.models import Install, ProjectLink
from django_opentrain.services import connect
from django_opentrain.services.workers.locks import lease
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.api.conftest import url
from tests.factories import make_user
from tests.played import a_customer


def link(boss: APIClient, **body: Any) -> Any:
    return boss.post(url("project-link-list"), {"externalProjectId": "acme-1", **body}, format="json")


def test_link_and_unlink(boss: APIClient, opentrain: OpenTrain) -> None:
    install = a_customer(opentrain)
    made = link(boss, externalProjectName="Cats", externalProjectUrl="https://annotate.example/cats")
    shown = made.json()
    assert (made.status_code, shown["status"], shown["installId"]) == (201, "ACTIVE", install.pk)
    assert (shown["externalProjectName"], shown["jobId"]) == ("Cats", None)
    assert made["Location"] == url("project-link-detail", shown["id"])
    assert boss.get(made["Location"]).json() == shown
    gone = boss.delete(made["Location"])
    assert (gone.status_code, gone.json()["status"]) == (200, "REMOVED")
    assert boss.get(made["Location"]).status_code == boss.delete(made["Location"]).status_code == 404
    assert boss.get(url("project-link-list")).json()["results"] == []


def test_a_link_is_made_as_it_is_asked_for(boss: APIClient, opentrain: OpenTrain) -> None:
    a_customer(opentrain)
    asked = {
        "externalProjectName": "Cats",
        "externalProjectUrl": "https://annotate.example/cats",
        "provisioningMode": "MANAGED_ADAPTER",
    }
    shown = link(boss, **asked).json()
    assert {name: shown[name] for name in asked} == asked


def test_a_lost_answer_is_found_out_at_once(boss: APIClient, opentrain: OpenTrain) -> None:
    a_customer(opentrain)
    opentrain.lose_next_response()
    assert link(boss).status_code == 201


def test_a_link_that_opentrain_has_not_confirmed_is_accepted(boss: APIClient, opentrain: OpenTrain) -> None:
    a_customer(opentrain)
    opentrain.fail_next(500, times=2)
    pending = link(boss)
    assert (pending.status_code, pending.json()["status"]) == (202, "PENDING")
    opentrain.run()
    opentrain.travel(minutes=5)
    opentrain.run()
    assert boss.get(pending["Location"]).json()["status"] == "ACTIVE"


def test_an_unlinking_that_opentrain_has_not_heard_of_is_accepted(
    boss: APIClient, opentrain: OpenTrain
) -> None:
    a_customer(opentrain)
    row = opentrain.link("acme-1")
    opentrain.fail_next(500)
    response = boss.delete(url("project-link-detail", row.pk))
    assert (response.status_code, bool(response.json()["removalRequestedAt"])) == (202, True)
    opentrain.travel(minutes=5)
    opentrain.run()
    assert boss.get(url("project-link-detail", row.pk)).status_code == 404


def test_unlinking_shows_the_link_that_took_its_place(
    boss: APIClient, opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The customer reconnects just then: what is removed is the new connection's link."""
    install = a_customer(opentrain)
    old = link(boss).json()
    own = ProjectLinkViewSet.own

    def reconnect(*arguments: Any) -> Any:
        row = own(*arguments)
        token = opentrain.sandbox.approve(organization_id=install.organization_id).token
        connect.capture_token(connect.start_without_return(make_user(), install.tenant), token)
        return row

    monkeypatch.setattr(ProjectLinkViewSet, "own", reconnect)
    opentrain.fail_next(503, match="(GET|POST|DELETE) /project-links.*", times=9)
    answer = boss.delete(url("project-link-detail", old["id"]))
    shown = answer.json()
    assert (answer.status_code, shown["status"]) == (202, "PENDING")
    assert shown["id"] != old["id"]
    assert shown["installId"] != install.pk


def test_a_project_has_one_link(boss: APIClient, opentrain: OpenTrain) -> None:
    a_customer(opentrain)
    opentrain.link("acme-1")
    response = link(boss)
    assert (response.status_code, response.json()["code"]) == (409, "CONFLICT")


def test_only_the_tenants_projects(boss: APIClient, install: Install) -> None:
    response = link(boss, externalProjectId="globex-1")
    assert (response.status_code, list(response.json()["details"])) == (400, ["externalProjectId"])


def test_a_job_that_opentrain_does_not_know(boss: APIClient, opentrain: OpenTrain) -> None:
    a_customer(opentrain)
    response = link(boss, jobId="job_of_somebody_else")
    assert (response.status_code, response.json()["code"]) == (404, "OPENTRAIN_NOT_FOUND")
    assert response.json()["requestId"].startswith("req_")


def test_a_scope_that_is_missing(boss: APIClient, opentrain: OpenTrain) -> None:
    opentrain.connect(scopes=["contracts:read"])
    response = link(boss)
    assert (response.status_code, response.json()["code"]) == (403, "MISSING_SCOPE")
    assert response.json()["details"] == {"scope": "project-links:write"}
    assert not ProjectLink.objects.exists()


def test_a_rate_limit(boss: APIClient, opentrain: OpenTrain) -> None:
    install = a_customer(opentrain)
    opentrain.fail_next(429, retry_after="17")
    response = boss.post(url("install-verify", install.pk))
    assert (response.status_code, response.json()["code"], response["Retry-After"]) == (
        429,
        "RATE_LIMITED",
        "17",
    )


def test_which_of_several_connections(boss: APIClient, opentrain: OpenTrain) -> None:
    assert link(boss).json()["code"] == "RECONNECT_REQUIRED"
    install = a_customer(opentrain)
    assert list(link(boss, installId=install.pk + 1).json()["details"]) == ["installId"]
    factories.make_install("acme")
    assert list(link(boss).json()["details"]) == ["installId"]
    assert link(boss, installId=install.pk).status_code == 201


@pytest.mark.parametrize("name", ["status", "externalProjectId", "jobId", "installId"])
def test_filters(name: str, boss: APIClient, install: Install) -> None:
    mine = factories.make_link(install, status="PENDING")
    factories.make_link(factories.make_install("acme"))
    shown = boss.get(url("project-link-detail", mine.pk)).json()
    listed = boss.get(url("project-link-list"), {name: shown[name]}).json()["results"]
    assert listed == [shown]


def test_another_change_is_under_way(boss: APIClient, opentrain: OpenTrain) -> None:
    install = a_customer(opentrain)
    endpoint = install.webhook_endpoints.get()
    with lease(install.pk):
        response = boss.post(url("webhook-endpoint-rotate", endpoint.pk))
    assert (response.status_code, response.json()["code"]) == (409, "BUSY")
    assert int(response["Retry-After"]) > 0


# Settings ---------------------------------------------------------------------------------------


def test_hours_are_tracked_elsewhere_and_here_again(boss: APIClient, install: Install) -> None:
    row = factories.make_link(install)
    where = url("project-link-detail", row.pk)
    assert boss.get(where).json()["hoursTrackedElsewhere"] is False
    changed = boss.patch(where, {"hoursTrackedElsewhere": True}, format="json")
    assert (changed.status_code, changed.json()["hoursTrackedElsewhere"]) == (200, True)
    day = factories.make_usage(factories.make_contract(install, [row]), hours_withheld=True)
    days = url("contract-usage", day.contract_id)
    assert boss.patch(where, {}, format="json").json()["hoursTrackedElsewhere"] is True
    assert boss.patch(where, {"hoursTrackedElsewhere": False}, format="json").status_code == 200
    assert boss.get(days).json()["entries"][0]["hoursWithheld"] is True
    assert boss.patch(where, {"reportWithheldHours": True}, format="json").status_code == 200
    assert boss.get(days).json()["entries"][0]["hoursWithheld"] is False


def test_work_stops_and_goes_on(boss: APIClient, install: Install) -> None:
    row = factories.make_link(install)
    contract = factories.make_contract(install, [row], budget_state="DEPLETED")
    factories.make_grant(contract, row, factories.make_participant(install))
    where, contracts = url("project-link-detail", row.pk), url("contract-detail", contract.pk)
    assert boss.get(where).json()["stopWhenDepleted"] is False
    for on, desired in ((True, "PAUSED"), (False, "GRANTED")):
        changed = boss.patch(where, {"stopWhenDepleted": on}, format="json")
        assert (changed.status_code, changed.json()["stopWhenDepleted"]) == (200, on)
        assert boss.get(contracts).json()["grants"][0]["desired"] == desired


@pytest.mark.parametrize(
    "body", [{"hoursTrackedElsewhere": "yes"}, {"hoursTrackedElsewhere": None}, {"jobId": "j"}]
)
def test_other_settings_are_refused(boss: APIClient, install: Install, body: dict[str, Any]) -> None:
    response = boss.patch(url("project-link-detail", factories.make_link(install).pk), body, format="json")
    assert (response.status_code, list(response.json()["details"])) == (400, list(body))


def test_only_the_customers_own_links_are_changed(boss: APIClient, install: Install) -> None:
    foreign = factories.make_link(factories.make_install("other"))
    gone = factories.make_link(install, status=ProjectLink.Status.REMOVED)
    for row in (foreign, gone):
        response = boss.patch(
            url("project-link-detail", row.pk), {"hoursTrackedElsewhere": True}, format="json"
        )
        row.refresh_from_db()
        assert (response.status_code, row.hours_tracked_elsewhere) == (404, False)
