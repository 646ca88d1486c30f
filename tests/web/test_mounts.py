"""The pages and the API where a host wants them, with one policy: walked over every URL pattern of such sites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.template import Context, Template
from django.test import Client, RequestFactory, override_settings
from django.urls import NoReverseMatch, URLPattern, include, path, reverse
from rest_framework.authentication import TokenAuthentication
from rest_framework.test import APIClient

from django_opentrain.api.urls import CanManageTenant, api_urls
from django_opentrain.models import Install
from django_opentrain.testing.kit import OpenTrain
from tests import factories, urls
from tests.web.adapter import ViewersAdapter
from tests.web.conftest import Visitor
from tests.web.scenes import Scene, full_scene
from tests.web.test_connect import send

pytestmark = pytest.mark.django_db

OTHERS = [each for each in urls.urlpatterns if str(each.pattern) != "opentrain/"]
POLICY = ("authentication_classes", "permission_classes")


class HeaderAuthentication(TokenAuthentication):
    """A token of the host's, without a table."""

    def authenticate_credentials(self, key: str) -> Any:
        return User.objects.get(username=key), key


class OurPolicy:
    authentication_classes = [HeaderAuthentication]
    permission_classes = [CanManageTenant]


class PagesOnly:
    """No API."""

    urlpatterns = [path("opentrain/", include("django_opentrain.web.urls")), *OTHERS]


class ApiElsewhere:
    """The API at a path of the host's, for its own tokens."""

    urlpatterns = [
        path("opentrain/", include("django_opentrain.web.urls")),
        path("api/v1/opentrain/", include((api_urls(OurPolicy), "opentrain_api"))),
        *OTHERS,
    ]


class Bypassed:
    """What the documents showed before: the default one stays open beside it."""

    urlpatterns = [
        path("opentrain/", include("django_opentrain.urls")),
        path("api/v1/opentrain/", include((api_urls(OurPolicy), "opentrain_api"))),
        *OTHERS,
    ]


@pytest.fixture(autouse=True)
def _adapter(settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.web.adapter.ViewersAdapter"}


def patterns(of: Any, prefix: str = "/", namespace: str = "") -> Iterator[tuple[str, str, URLPattern]]:
    """Path, name and pattern of each view of the package's."""
    for each in of:
        route = prefix + str(each.pattern)
        if not isinstance(each, URLPattern):
            yield from patterns(each.url_patterns, route, each.namespace or namespace)
        elif namespace.startswith("opentrain"):
            yield route, f"{namespace}:{each.name}", each


def url_of(route: str, scene: Scene) -> str:
    rows = {"installs": "install", "project-links": "link", "links": "link", "grants": "grant"}
    rows |= {"contracts": "contract", "endpoints": "endpoint", "webhook-endpoints": "endpoint"}
    rows |= {"objections": "objection"}
    parent = route.partition("<int:pk>")[0].rstrip("/").rpartition("/")[2]
    key = getattr(scene, rows[parent]).pk if parent in rows else 1
    return route.replace("<int:pk>", str(key)).replace("<str:day>", "2026-01-02").replace("^", "").rstrip("$")


#: For those who aren't logged in: what they send or know is checked, and no account's rights.
FOR_ANYONE = {"webhook", "None", "health", "metrics", "asset", "set-password", "set-password-done"}


def guarded(urlconf: Any) -> list[tuple[str, str, URLPattern]]:
    return [
        (route, name, each)
        for route, name, each in patterns(urlconf.urlpatterns)
        if name.partition(":")[2] not in FOR_ANYONE
    ]


def answers(client: Client, url: str, **extra: Any) -> Iterator[Any]:
    client.cookies["csrftoken"] = "c" * 32
    for method in ("GET", "POST", "PATCH", "DELETE"):
        response = client.generic(method, url, HTTP_X_CSRFTOKEN="c" * 32, **extra)
        if response.status_code != 405:
            yield response


# One policy -------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("urlconf", [urls, PagesOnly, ApiElsewhere], ids=lambda each: each.__name__)
def test_a_policy_that_denies_holds_everywhere(urlconf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = full_scene()
    boss = Client()
    boss.force_login(factories.make_user("acme-boss"))
    monkeypatch.setattr(ViewersAdapter, "mfa", True)
    with override_settings(ROOT_URLCONF=urlconf if isinstance(urlconf, type) else urlconf.__name__):
        walked = guarded(urlconf)
        assert len(walked) > 25
        for route, _name, each in walked:
            own = getattr(getattr(each.callback, "cls", None), "authentication_classes", [])
            token = {"HTTP_AUTHORIZATION": "Token acme-boss"} if HeaderAuthentication in own else {}
            found = list(answers(boss, url_of(route, scene), **token))
            assert found, route
            for response in found:
                assert response.status_code == 403, route
                assert "second factor" in response.content.decode(), route
        assert boss.get("/opentrain/", headers={"second-factor": "yes"}).status_code == 200
    assert Install.objects.filter(status=Install.Status.DISCONNECTED).count() == 0


@pytest.mark.parametrize("route", ["work/", "timer/?project=1"])
def test_it_holds_for_trainers(route: str, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ViewersAdapter, "mfa", True)
    response = visitor("maria").get(f"/opentrain/{route}")
    assert (response.status_code, "second factor" in response.content.decode()) == (403, True)


# The pages without the API ----------------------------------------------------------------------


@override_settings(ROOT_URLCONF=PagesOnly)
def test_pages_work_without_the_api(opentrain: OpenTrain, visitor: Visitor) -> None:
    with pytest.raises(NoReverseMatch):
        reverse("opentrain:api-install-list")
    opentrain.connect("acme")
    opentrain.link("acme-1")
    opentrain.hire()
    opentrain.run()
    boss = visitor("acme-boss")
    assert boss.get("/opentrain/").status_code == 200
    assert boss.get("/opentrain/contracts/").status_code == 200
    assert boss.get("/opentrain/api/installs/").status_code == 404


# The API elsewhere ------------------------------------------------------------------------------


@override_settings(ROOT_URLCONF=ApiElsewhere)
def test_the_api_is_where_the_host_wants_it_and_nowhere_else() -> None:
    scene = full_scene()
    boss = APIClient()
    boss.force_login(factories.make_user("acme-boss"))
    where = reverse("opentrain_api:api-install-list")
    assert where == "/api/v1/opentrain/installs/"
    assert boss.get(where).status_code == 401, "a session is not what this host's policy takes"
    listed = boss.get(where, headers={"Authorization": "Token acme-boss"}).json()["results"]
    assert scene.install.pk in [each["id"] for each in listed]
    assert boss.get("/opentrain/api/installs/").status_code == 404
    policies = {
        tuple(getattr(each.callback.cls, name)[0] for name in POLICY)
        for _route, _name, each in patterns(ApiElsewhere.urlpatterns)
        if hasattr(each.callback, "cls")
    }
    assert policies == {(HeaderAuthentication, CanManageTenant)}


@pytest.mark.parametrize(
    ("urlconf", "found"),
    [(urls.__name__, []), (PagesOnly, []), (ApiElsewhere, []), (Bypassed, ["opentrain.W020"])],
)
def test_a_policy_that_is_bypassed_is_a_warning(urlconf: Any, found: list[str]) -> None:
    with override_settings(ROOT_URLCONF=urlconf):
        messages = [each for each in run_checks(tags=["opentrain"]) if each.id == "opentrain.W020"]
    assert [each.id for each in messages] == found
    for each in messages:
        assert "/opentrain/api/installs/, /api/v1/opentrain/installs/" in each.msg


# Parts of the pages -----------------------------------------------------------------------------


@pytest.fixture
def closed(settings: Any) -> None:
    """A site with a front end of its own."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "PAGES": []}
    settings.ROOT_URLCONF = ApiElsewhere


def test_closed_pages_do_not_exist_and_their_names_do(closed: None, visitor: Visitor) -> None:
    scene = full_scene()
    client, kept = visitor("acme-boss"), set()
    for route, name, each in guarded(ApiElsewhere):
        if hasattr(each.callback, "cls"):
            continue
        statuses = {response.status_code for response in answers(client, url_of(route, scene))}
        if statuses - {404}:
            kept.add(name)
    assert kept == {"opentrain:connect", "opentrain:callback", "opentrain:start", "opentrain:token"}
    assert reverse("opentrain:home") == "/opentrain/"


def test_connecting_ends_at_the_hosts_own_page(closed: None, visitor: Visitor, opentrain: OpenTrain) -> None:
    boss = visitor("acme-boss")
    approval = opentrain.sandbox.approve(organization_id=opentrain.sandbox.create_organization("Acme").id)
    token_page = send(boss, reverse("opentrain:start"))["Location"]
    page = boss.get(token_page).content.decode()
    assert 'href="/opentrain/"' not in page
    assert "/opentrain/contracts/" not in page
    done = send(boss, f"{token_page}?next=/projects/7/", token=approval.token)
    assert (done.status_code, done["Location"]) == (302, "/projects/7/")


def test_without_a_place_to_go_it_ends_at_the_site(
    closed: None, visitor: Visitor, opentrain: OpenTrain
) -> None:
    boss = visitor("acme-boss")
    approval = opentrain.sandbox.approve(organization_id=opentrain.sandbox.create_organization("Acme").id)
    token_page = send(boss, reverse("opentrain:start"))["Location"]
    done = send(boss, token_page, token=approval.token)
    assert done["Location"].startswith("https://annotate.example/?done=connected")


def test_nothing_links_to_closed_pages(closed: None) -> None:
    full_scene()
    request = RequestFactory().get("/")
    request.user = factories.make_user("acme-boss")
    tags = "{% opentrain_project_status 'acme-1' %}{% opentrain_my_work %}{% opentrain_timer 1 %}"
    shown = Template(f"{{% load opentrain %}}{tags}").render(Context({"request": request}))
    assert "Linked to OpenTrain" in shown
    assert ("<a" in shown, "<script" in shown) == (False, False)
