"""Who may call what: tokens, scopes, and the four conditions."""

from __future__ import annotations

import pytest
import requests

from django_opentrain.platform.catalog import API_PATH, SCOPES
from django_opentrain.sandbox import Approval, Sandbox
from django_opentrain.sandbox.api import OPERATIONS
from django_opentrain.sandbox.api.routing import Operation
from tests.sandbox.conftest import Api


def test_installs_current(api: Api, sandbox: Sandbox, approval: Approval) -> None:
    answer = api.get("/installs/current")
    assert answer.status == 200
    install = answer.body["install"]
    assert install["id"] == approval.install.id
    assert install["status"] == "ACTIVE"
    assert install["scopes"] == install["token"]["scopes"] == list(SCOPES)
    assert install["piiConsent"] is True
    assert install["partnerApp"]["slug"] == "annotation-demo"
    assert install["partnerApp"]["id"].startswith("ptnapp_")


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer ot_ptk_wrong", "Basic {token}", "{token}", "Bearer {token}x"],
)
def test_a_bad_token_is_401(
    api: Api, session: requests.Session, sandbox: Sandbox, authorization: str
) -> None:
    headers = {"Authorization": authorization.format(token=api.token)}
    response = session.get(f"{sandbox.base_url}{API_PATH}/installs/current", headers=headers)
    assert response.status_code == 401
    body = response.json()
    assert body["code"] == "UNAUTHORIZED"
    assert body["requestId"] == response.headers["X-Request-Id"]
    assert "ot_ptk_" not in response.text


def test_the_scheme_is_case_insensitive(api: Api) -> None:
    headers = {"Authorization": f"bearer {api.token}"}
    assert api.get("/installs/current", headers=headers).status == 200


def test_a_revoked_token_is_401(api: Api, sandbox: Sandbox) -> None:
    sandbox.disconnect()
    assert api.get("/installs/current").code == "UNAUTHORIZED"


def test_reconnecting_ends_the_old_token_and_starts_empty(api: Api, sandbox: Sandbox) -> None:
    api.link()
    api.subscribe()
    again = sandbox.approve()
    assert api.get("/installs/current").status == 401
    api.token = again.token
    assert api.get("/installs/current").body["install"]["id"] == again.install.id
    assert api.get("/project-links").body == {"projectLinks": []}
    assert api.get("/webhook-endpoints").body == {"webhookEndpoints": []}


def test_an_install_of_another_app_or_organization_stays(api: Api, sandbox: Sandbox) -> None:
    sandbox.create_app("other")
    sandbox.approve(app_slug="other")
    elsewhere = sandbox.create_organization("Elsewhere")
    sandbox.approve(organization_id=elsewhere.id)
    assert api.get("/installs/current").status == 200


def test_inactive_install_app_or_feature_is_403(api: Api, sandbox: Sandbox) -> None:
    install_id = api.get("/installs/current").body["install"]["id"]
    for off, on in (
        (
            lambda: sandbox.set_install(install_id, status="SUSPENDED"),
            lambda: sandbox.set_install(install_id, status="ACTIVE"),
        ),
        (lambda: sandbox.set_app(active=False), lambda: sandbox.set_app(active=True)),
        (
            lambda: sandbox.set_organization(feature_enabled=False),
            lambda: sandbox.set_organization(feature_enabled=True),
        ),
    ):
        off()
        assert api.get("/installs/current").code == "FORBIDDEN"
        on()
        assert api.get("/installs/current").status == 200


def _path(operation: Operation) -> str:
    return operation.path.replace("{", "").replace("}", "")


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.scope],
    ids=lambda each: f"{each.method} {each.path}",
)
def test_each_operation_needs_its_scope(
    sandbox: Sandbox, session: requests.Session, operation: Operation
) -> None:
    others = [scope for scope in SCOPES if scope != operation.scope]
    if operation.scope == "project-links:read":
        others.remove("project-links:write")  # which implies it
    without = Api(sandbox, session, sandbox.approve(scopes=others).token)
    refused = without.call(operation.method, _path(operation), {})
    assert refused.code == "FORBIDDEN"
    assert operation.scope in refused.body["error"]
    assert operation.scope is not None
    with_it = Api(sandbox, session, sandbox.approve(scopes=[operation.scope]).token)
    assert with_it.call(operation.method, _path(operation), {}).status not in {401, 403}


def test_the_scope_of_the_token_is_not_enough(api: Api, sandbox: Sandbox) -> None:
    sandbox.set_install(scopes=["contracts:read"])
    assert api.get("/contracts").status == 200
    assert api.get("/webhook-endpoints").code == "FORBIDDEN"


def test_the_scope_of_the_install_is_not_enough(sandbox: Sandbox, session: requests.Session) -> None:
    api = Api(sandbox, session, sandbox.approve(scopes=["contracts:read"]).token)
    sandbox.set_install(scopes=SCOPES)
    assert api.get("/contracts").status == 200
    assert api.get("/webhook-endpoints").code == "FORBIDDEN"


def test_write_implies_read(sandbox: Sandbox, session: requests.Session) -> None:
    token = sandbox.approve(scopes=["project-links:write"]).token
    assert Api(sandbox, session, token).get("/project-links").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/project-links/", 404),
        ("GET", "/project-links/a/b", 404),
        ("PUT", "/project-links", 405),
        ("POST", "/installs/current", 405),
        ("DELETE", "/contracts", 405),
    ],
)
def test_what_does_not_exist(
    sandbox: Sandbox, session: requests.Session, method: str, path: str, status: int
) -> None:
    response = session.request(method, f"{sandbox.base_url}{API_PATH}{path}")
    assert response.status_code == status
    assert set(response.json()) == {"error", "code", "requestId", "details"}
    assert ("Allow" in response.headers) == (status == 405)


@pytest.mark.parametrize("extra", ["?x=1", "?limit=1"])
def test_unknown_query_parameters_are_refused(api: Api, extra: str) -> None:
    assert api.get("/installs/current" + extra).code == "BAD_REQUEST"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'{"externalProjectId": NaN}', "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"externalProjectId": "1"}', "text/plain"),
        (b"externalProjectId=1", "application/x-www-form-urlencoded"),
        (b'{"externalProjectId": "' + b"x" * 1_000_001 + b'"}', "application/json"),
    ],
)
def test_unusable_bodies_are_400(api: Api, body: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = api.call("POST", "/project-links", data=body, headers=headers)
    assert answer.code == "BAD_REQUEST"


def test_json_may_name_its_charset(api: Api) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    body = b'{"externalProjectId": "1"}'
    assert api.call("POST", "/project-links", data=body, headers=headers).status == 201
