"""Who may call, and on whose rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import django
import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import include, path, reverse
from rest_framework.authentication import TokenAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.test import APIClient
from rest_framework.throttling import BaseThrottle

from django_opentrain.adapters import AdapterError
from django_opentrain.api.urls import ROUTES, api_urls
from django_opentrain.explanations import Reason
from django_opentrain.models import (
    AccessGrant,
    Contract,
    Install,
    Participant,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from tests import factories
from tests.api.conftest import log_in, url

OPERATIONS = [
    (name, method, "<int:pk>" in route) for route, _view, actions, name in ROUTES for method in actions
]


@pytest.mark.parametrize(("name", "method", "of_row"), OPERATIONS)
def test_nobody_calls_without_logging_in(name: str, method: str, of_row: bool) -> None:
    response = APIClient().generic(method, url(name, *([1] if of_row else [])))
    assert (response.status_code, response.json()["code"]) == (401, "UNAUTHORIZED")
    assert response["WWW-Authenticate"] == "Session"


@pytest.mark.parametrize(("name", "method", "of_row"), OPERATIONS)
@pytest.mark.parametrize("username", ["acme-clerk", "visitor"])
def test_nobody_calls_who_does_not_manage_a_tenant(
    name: str, method: str, of_row: bool, username: str
) -> None:
    response = log_in(username).generic(method, url(name, *([1] if of_row else [])))
    assert (response.status_code, response.json()["code"]) == (403, "FORBIDDEN")


@pytest.fixture
def rows(install: Install) -> dict[str, int]:
    """One row of acme's of each resource, by the first word of the views' names."""
    link, person = factories.make_link(install), factories.make_participant(install)
    contract = factories.make_contract(install, [link], trainer=person)
    grant = factories.make_grant(contract, link, person)
    endpoint = factories.make_endpoint(install)
    return {
        "install": install.pk,
        "project": link.pk,
        "contract": contract.pk,
        "grant": grant.pk,
        "webhook": endpoint.pk,
        "event": factories.make_event(endpoint).pk,
    }


@pytest.mark.parametrize(
    ("name", "method"), [(name, method) for name, method, of_row in OPERATIONS if of_row]
)
def test_another_tenants_rows_are_not_found(name: str, method: str, rows: dict[str, int]) -> None:
    pk = rows[name.partition("-")[0]]
    body = {"entries": [{"workDate": "2026-01-01"}]} if method == "post" and name == "contract-usage" else {}
    response = getattr(log_in("globex-boss"), method)(
        url(name, pk), body, format="json" if method == "post" else None
    )
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "name", [name for name, method, of_row in OPERATIONS if method == "get" and not of_row]
)
def test_lists_hold_the_callers_tenants_rows_only(name: str, rows: dict[str, int], boss: APIClient) -> None:
    assert [row["id"] for row in boss.get(url(name)).json()["results"]] == [rows[name.partition("-")[0]]]
    assert log_in("globex-boss").get(url(name)).json()["results"] == []


FILTERS = [
    ("project-link-list", "installId", "install"),
    ("contract-list", "installId", "install"),
    ("contract-list", "projectLinkId", "project"),
    ("webhook-endpoint-list", "installId", "install"),
    ("event-list", "installId", "install"),
    ("event-list", "endpointId", "webhook"),
]


@pytest.mark.parametrize(("name", "query", "row"), FILTERS)
def test_another_tenants_rows_are_not_found_by_a_filter(
    name: str, query: str, row: str, rows: dict[str, int], boss: APIClient
) -> None:
    given = {query: rows[row]}
    assert len(boss.get(url(name), given).json()["results"]) == 1
    assert log_in("globex-boss").get(url(name), given).json()["results"] == []


@pytest.mark.parametrize(
    ("name", "body"),
    [("project-link-list", {"externalProjectId": "globex-1"}), ("install-token", {"token": "ot_ptk_x"})],
)
def test_another_tenants_connection_is_not_acted_on(
    name: str, body: dict[str, str], rows: dict[str, int]
) -> None:
    given = {**body, "installId": rows["install"]}
    response = log_in("globex-boss").post(url(name), given, format="json")
    assert (response.status_code, list(response.json()["details"])) == (400, ["installId"])


@pytest.mark.parametrize("pk", [0, 2**31, 2**63 - 1, 2**63, 10**60])
def test_a_key_that_no_row_has_is_not_found(pk: int, boss: APIClient) -> None:
    assert boss.get(url("install-detail", pk)).status_code == 404


# The session and its CSRF token ---------------------------------------------------------------

View = Callable[[HttpRequest], HttpResponse]


def label_studio_switches_csrf_checks_off(get_response: View) -> Any:
    """As Label Studio's middleware does for every view that doesn't object."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    def process_view(request: HttpRequest, view: Any, _args: object, _kwargs: object) -> None:
        request.__dict__["_dont_enforce_csrf_checks"] = getattr(view, "_dont_enforce_csrf_checks", True)

    middleware.process_view = process_view  # type: ignore[attr-defined] # Django looks for it on the function
    return middleware


@pytest.mark.parametrize("switched_off", [False, True])
def test_a_form_on_another_site_can_do_nothing(switched_off: bool, install: Install, settings: Any) -> None:
    if switched_off:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.label_studio_switches_csrf_checks_off"]
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(factories.make_user("acme-boss"))
    response = client.post(url("install-disconnect", install.pk))
    assert (response.status_code, response.json()["code"]) == (403, "CSRF_FAILED")
    install.refresh_from_db()
    assert install.is_live


def test_a_front_end_sends_the_csrf_token(install: Install) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(factories.make_user("acme-boss"))
    client.cookies["csrftoken"] = "a" * 32
    response = client.post(url("install-disconnect", install.pk), headers={"X-CSRFToken": "a" * 32})
    assert response.status_code == 200


@pytest.mark.skipif(django.VERSION < (5, 1), reason="Django has no LoginRequiredMiddleware yet")
def test_a_host_with_login_required_everywhere_answers_json(settings: Any) -> None:
    middleware = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, middleware]
    assert APIClient().get(url("install-list")).status_code == 401


# A host's own policy --------------------------------------------------------------------------


class HeaderAuthentication(TokenAuthentication):
    """A token of the host's, without a table."""

    def authenticate_credentials(self, key: str) -> Any:
        return (User.objects.get_or_create(username="acme-boss")[0], key) if key == "right" else None


class ReadOnly(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return bool(request.method == "GET")


class Never(BaseThrottle):
    def allow_request(self, request: Any, view: Any) -> bool:
        return "slowly" not in request.headers

    def wait(self) -> float:
        return 3.2


class Policy:
    authentication_classes = [HeaderAuthentication]
    permission_classes = [ReadOnly]
    throttle_classes = [Never]


urlpatterns = [
    path("own/api/", include((api_urls(Policy), "own_api"))),
    path("opentrain/", include("django_opentrain.urls")),
    path("alone/", include("django_opentrain.api.urls")),
]


@override_settings(ROOT_URLCONF=__name__)
def test_a_host_decides_who_may_call_but_not_on_which_tenants_rows(install: Install) -> None:
    factories.make_install("globex")
    client = APIClient()
    headers = {"Authorization": "Token right"}
    assert client.get("/own/api/installs/").json()["code"] == "UNAUTHORIZED"
    listed = client.get("/own/api/installs/", headers=headers)
    assert [row["id"] for row in listed.json()["results"]] == [install.pk]
    refused = client.post(f"/own/api/installs/{install.pk}/disconnect/", headers=headers)
    assert refused.json()["code"] == "FORBIDDEN"
    throttled = client.get("/own/api/installs/", headers={**headers, "slowly": "1"})
    assert (throttled.status_code, throttled.json()["code"]) == (429, "RATE_LIMITED")
    assert throttled["Retry-After"] == "4"
    assert client.get("/opentrain/api/installs/", headers=headers).status_code == 401


class Alone:
    """The URLs of a site without our pages."""

    urlpatterns = [path("alone/", include("django_opentrain.api.urls"))]


@pytest.mark.parametrize("urlconf", [__name__, Alone])
def test_the_api_can_be_mounted_by_itself(urlconf: object, rows: dict[str, int], boss: APIClient) -> None:
    with override_settings(ROOT_URLCONF=urlconf):
        assert reverse("opentrain_api:api-install-list") == "/alone/installs/"
        for name, method, of_row in OPERATIONS:
            if method == "get":
                page = reverse(
                    f"opentrain_api:api-{name}", args=[rows[name.partition("-")[0]]] if of_row else []
                )
                assert boss.get(page).status_code == 200, page


# What is not shown ------------------------------------------------------------------------------


def every_page(boss: APIClient, rows: dict[str, int]) -> bytes:
    """All that can be read."""
    reads = [(name, of_row) for name, method, of_row in OPERATIONS if method == "get"]
    pages = [url(name, *([rows[name.partition("-")[0]]] if of_row else [])) for name, of_row in reads]
    return b"".join(boss.get(page).content for page in pages)


def test_no_secret_leaves(rows: dict[str, int], boss: APIClient) -> None:
    # No id ends so, by chance or otherwise.
    token = f"ot_ptk_{uuid.uuid4().hex}-zyx"
    install = Install.objects.get()
    install.token, install.token_hint = token, token[-4:]
    install.save()
    participant = Participant.objects.get()
    participant.work_email = "m@opentrain.work"
    participant.save()
    endpoint = WebhookEndpoint.objects.get()
    endpoint.secret = "whsec_never_shown"
    endpoint.save()
    for event in WebhookEvent.objects.all():
        event.body = b'{"data": {"freelancer": {"workEmail": "m@opentrain.work"}}}'
        event.save()
    text = every_page(boss, rows)
    assert b'"hasWorkEmail":true' in text
    for secret in (token, token[-4:], "whsec_never_shown", "m@opentrain.work", str(endpoint.key)):
        assert secret.encode() not in text


def test_what_fails_inside_the_host_is_for_its_operators(rows: dict[str, int], boss: APIClient) -> None:
    """A database's words, say, may hold anything; OpenTrain's and an adapter's are for people."""
    inside = Reason.of(RuntimeError("password=swordfish"))
    for model in (Install, ProjectLink, WebhookEndpoint):
        model._default_manager.update(**inside.columns("last_error"))
    AccessGrant.objects.update(**Reason.of(AdapterError("Ask the host.")).columns("last_error"))
    Contract.objects.update(**inside.columns("report_error"))
    WebhookEvent.objects.update(**inside.columns("error"))
    text = every_page(boss, rows)
    assert b"swordfish" not in text
    assert (
        b'"lastError":"Ask this site\'s administrators for details.","lastErrorCode":"INTERNAL_ERROR"' in text
    )
    assert b'"lastError":"Ask the host.","lastErrorCode":"CONFLICT"' in text
