"""What services raise is shown by every page, API call, admin action and command: in words, and never as a 500."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from types import ModuleType
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import models
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from django_opentrain import errors, services
from django_opentrain.crypto import generate_key
from django_opentrain.errors import (
    EXPECTED,
    BadSignature,
    OpenTrainAPIError,
    OpenTrainError,
    ServiceError,
    UndecryptableError,
    UnknownEndpoint,
)
from django_opentrain.explanations import explain
from django_opentrain.models import AccessGrant, Install, ProjectLink
from django_opentrain.services import connect, linking
from django_opentrain.services.access import bindings, grants, invitations
from django_opentrain.services.linking import records
from django_opentrain.services.purge import erasure
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.admin.browsing import confirm
from tests.test_errors import kinds_of
from tests.web.adapter import NamesAdapter
from tests.web.conftest import ADAPTER
from tests.web.deliveries import deliver
from tests.web.markup import text_of
from tests.web.scenes import Scene, full_scene
from tests.web.test_connect import send

Error = OpenTrainError | ServiceError


@dataclass
class Site:
    """Two people and a front end at a site with something of everything."""

    scene: Scene = field(default_factory=full_scene)
    customer: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True))
    front_end: APIClient = field(default_factory=APIClient)
    operator: Client = field(default_factory=Client)

    def __post_init__(self) -> None:
        boss = factories.make_user("acme-boss")
        self.customer.force_login(boss)
        self.front_end.force_login(boss)
        self.operator.force_login(factories.make_user("ada", is_staff=True, is_superuser=True))


#: Calls the service at a site, and checks what it shows of the error.
Surface = Callable[[Site, Error], None]


def page(name: str, row: str = "", *, done_without: tuple[type[Error], ...] = (), **data: str) -> Surface:
    """A customer's page. ``done_without``: for these errors it says that the rest is done later."""

    def check(site: Site, error: Error) -> None:
        arguments = [getattr(site.scene, row).pk] if row else []
        response = send(site.customer, reverse(f"opentrain:{name}", args=arguments), **data)
        if isinstance(error, done_without):
            assert response.status_code == 302
            return
        shown = explain(error)
        assert response.status_code == shown.http_status
        assert shown.text in text_of(response)
        assert shown.advice in text_of(response)

    return check


def question(site: Site, error: Error) -> None:
    """The page that asks before an account is used."""
    response = site.customer.get(reverse("opentrain:use-account", args=[site.scene.grant.pk]))
    assert (response.status_code, str(error) in text_of(response)) == (error.http_status, True)


def callback(site: Site, error: Error) -> None:
    """The return from OpenTrain's consent screen."""
    response = site.customer.get(
        reverse("opentrain:callback"), {"state": "s", "opentrain_install_id": "ins_1"}
    )
    assert (response.status_code, str(error) in text_of(response)) == (error.http_status, True)


def api(
    name: str, row: str = "", *, method: str = "post", done_without: tuple[type[Error], ...] = (), **body: Any
) -> Surface:
    """A call of the API."""

    def check(site: Site, error: Error) -> None:
        arguments = [getattr(site.scene, row).pk] if row else []
        url = reverse(f"opentrain:api-{name}", args=arguments)
        response = getattr(site.front_end, method)(url, body, format="json")
        if isinstance(error, done_without):
            assert response.status_code == 202
            return
        shown = explain(error)
        said = response.json()
        assert (response.status_code, said["code"], said["error"]) == (
            shown.http_status,
            shown.code,
            shown.text,
        )
        waits = None if shown.retry_after is None else str(int(shown.retry_after))
        assert response.headers.get("Retry-After") == waits

    return check


def admin(row: str, action: str, filled: Mapping[str, str] | None = None, **values: Any) -> Surface:
    """An operator's action, with a form that is ``filled``; ``values`` make it one that can be applied to the row."""

    def check(site: Site, error: Error) -> None:
        chosen: models.Model = getattr(site.scene, row)
        type(chosen)._default_manager.filter(pk=chosen.pk).update(**values)
        assert str(error) in " ".join(confirm(site.operator, chosen, action, **(filled or {})))

    return check


def trainers_page(name: str, row: str, **data: str) -> Surface:
    """A page of the trainer who was hired."""

    def check(site: Site, error: Error) -> None:
        trainer = factories.make_user("maria")
        hired = site.scene.grant.participant.opentrain_user_id
        factories.make_trainer_account(trainer, opentrain_user_id=hired)
        client = Client(enforce_csrf_checks=True)
        client.force_login(trainer)
        day = {"day": "2026-01-02"} if name == "work-object" else {}
        url = reverse(f"opentrain:{name}", kwargs={"pk": getattr(site.scene, row).pk, **day})
        response = send(client, url, **data)
        assert (response.status_code, str(error) in text_of(response)) == (error.http_status, True)

    return check


def command(name: str, *arguments: str, **values: Any) -> Surface:
    """A command; ``values`` are the install's."""

    def check(site: Site, error: Error) -> None:
        Install.objects.filter(pk=site.scene.install.pk).update(**values)
        out = StringIO()
        with pytest.raises(CommandError) as caught:
            call_command(name, *arguments, stdout=out)
        assert str(error) in f"{out.getvalue()} {caught.value}"

    return check


def bind_command(site: Site, error: Error) -> None:
    command("opentrain_bind", "--grant", str(site.scene.grant.pk))(site, error)


def receiver(site: Site, error: Error) -> None:
    """What OpenTrain is answered: nothing but a status. It sends again what isn't a 2xx."""
    answered = deliver(site.customer, site.scene.endpoint)
    assert answered == (503 if isinstance(error, UndecryptableError) else error.http_status)


LINK: dict[str, Any] = {"project": "acme-2", "job_id": "", "provisioning_mode": "PARTNER_WEBHOOK"}
#: Every service that documents what it raises, with whatever calls it for a person.
SURFACES: Mapping[str, tuple[Surface, ...]] = {
    "connect.begin": (
        page("connect", project="acme-2"),
        api("install-connect", externalProjectId="acme-2"),
    ),
    "connect.complete_return": (callback,),
    "connect.customers_callback": (callback,),
    "connect.capture_token": (
        page("token", "pending", token="ot_ptk_1"),
        api("install-token", token="ot_ptk_1"),
    ),
    "connect.verify": (
        page("verify", "install"),
        api("install-verify", "install"),
        admin("install", "verify"),
        command("opentrain_sync", "--dry-run", status="UNAUTHORIZED"),
    ),
    "connect.disconnect": (
        page("disconnect", "install"),
        api("install-disconnect", "install"),
        admin("install", "disconnect"),
    ),
    "linking.link": (
        page("link", "install", **LINK),
        api("project-link-list", externalProjectId="acme-2", provisioningMode="PARTNER_WEBHOOK"),
    ),
    "linking.configure": (
        page("link-settings", "link"),
        api("project-link-detail", "link", method="patch"),
        admin("link", "withhold_hours"),
    ),
    "linking.unlink": (
        page("unlink", "link", done_without=(OpenTrainError,)),
        api("project-link-detail", "link", method="delete", done_without=(OpenTrainError,)),
        admin("link", "unlink"),
    ),
    "endpoints.recover": (
        page("recover", "endpoint"),
        api("webhook-endpoint-recover", "endpoint"),
        admin("endpoint", "recover"),
    ),
    "endpoints.rotate_secret": (
        page("rotate", "endpoint"),
        api("webhook-endpoint-rotate", "endpoint"),
        admin("endpoint", "rotate_secret"),
    ),
    "endpoints.pause": (api("webhook-endpoint-pause", "endpoint"), admin("endpoint", "pause")),
    "endpoints.redeliver": (api("webhook-endpoint-redeliver", "endpoint"),),
    "access.invitations.resend": (page("invite", "grant"), api("grant-invite", "grant")),
    "access.bindings.bind": (
        admin("grant", "bind", desired=AccessGrant.Desired.GRANTED, state=AccessGrant.State.FAILED),
        bind_command,
    ),
    "access.bindings.find_candidate": (question,),
    "access.bindings.bind_for_customer": (page("use-account", "grant"), api("grant-use-account", "grant")),
    "access.converge_contract": (admin("contract", "apply_access"),),
    "access.grants.restore": (admin("grant", "restore", desired=AccessGrant.Desired.REVOKED),),
    "inbox.check_headers": (receiver,),
    "inbox.receive_body": (receiver,),
    "reconcile.confirm_removals": (
        page("confirm-removals", "install"),
        api("install-confirm-removals", "install"),
        admin("install", "confirm_held_removals"),
    ),
    "usage.answer": (
        page("answer-objection", "objection", text="Why not."),
        admin("objection", "answer_and_close", status="OPEN"),
    ),
    "usage.collect_and_report": (admin("contract", "collect_and_report"),),
    "usage.object_to": (trainers_page("work-object", "contract", text="Why?"),),
    "usage.withdraw": (trainers_page("work-withdraw", "objection"),),
    "usage.correct": (admin("contract", "correct_day", {"work_date": "2026-01-02", "tasks": "1"}),),
    "reconcile.install": (command("opentrain_sync", "--dry-run"),),
    "reconcile.reconcile_or_finish": (command("opentrain_sync"),),
    "purge.erasure.erase": (command("opentrain_erase", "--trainer", "usr_1"),),
}
#: Called by workers and by hosts' own code only.
NO_SURFACE = {
    "endpoints.ensure",
    "endpoints.look",
    "endpoints.remove_all",
    "endpoints.repair",
    "endpoints.subscribe",
    "inbox.receive",
    "linking.complete",
    "usage.add",
    "usage.record",
    "usage.report",
    "work.correct",
}


def documented(service: Callable[..., object]) -> set[type[Error]]:
    """The errors that its docstring says it raises; what it raises as another one does is that one's."""
    shown = (inspect.getdoc(service) or "").partition("Raises")[2]
    named = {getattr(errors, name, None) for name in re.findall(r"``(\w+)``", shown)}
    others = re.findall(r"Raises as ``(\w+)``", inspect.getdoc(service) or "")
    raised = {kind for kind in named if isinstance(kind, type) and issubclass(kind, EXPECTED)}
    module = inspect.getmodule(service)
    return raised.union(*(documented(getattr(module, name)) for name in others))


def public_services() -> Iterator[tuple[str, Callable[..., object]]]:
    """The functions of the services that hosts, pages, API, admin and commands call, by their names."""
    modules: dict[str, ModuleType] = {name: getattr(services, name) for name in services.__all__}
    modules |= {
        "access.bindings": bindings,
        "access.grants": grants,
        "access.invitations": invitations,
        "purge.erasure": erasure,
    }
    for name, module in modules.items():
        for each in getattr(module, "__all__", None) or vars(module):
            function = getattr(module, each)
            ours = inspect.isfunction(function) and function.__module__.startswith(module.__name__)
            if ours and not each.startswith("_"):
                yield f"{name}.{each}", function


PUBLIC = dict(public_services())


def examples(kind: type[Error]) -> Iterator[Error]:
    """One error of this kind and of each kind below it, with a text by which it is recognised."""
    for each in kinds_of(kind):
        text = f"Why it is {each.__name__}."
        if issubclass(each, OpenTrainAPIError):
            yield each(text, status=400, code="WHY", request_id="req_1")
        else:
            yield each(text)


CASES = [
    pytest.param(name, error, id=f"{name}-{type(error).__name__}")
    for name in SURFACES
    for kind in sorted(documented(PUBLIC[name]), key=lambda kind: kind.__name__)
    for error in examples(kind)
]


@pytest.fixture
def site(db: None, settings: Any) -> Site:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": ADAPTER}
    return Site()


@pytest.mark.parametrize(("name", "error"), CASES)
def test_every_surface_tells_what_a_service_raises(
    name: str, error: Error, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise error

    monkeypatch.setattr(f"django_opentrain.services.{name}", refuse)
    for surface in SURFACES[name]:
        surface(site, error)


def test_every_service_that_raises_is_tried() -> None:
    raising = {name for name, function in PUBLIC.items() if documented(function)}
    assert raising == SURFACES.keys() | NO_SURFACE
    assert documented(PUBLIC["inbox.receive"]) == {UnknownEndpoint, BadSignature, UndecryptableError}


@pytest.mark.parametrize("method", ["get_tenant", "can_manage", "list_projects"])
def test_what_an_adapter_raises_is_told_on_every_page(
    method: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise errors.AdapterError("The seat server is away.")

    monkeypatch.setattr(NamesAdapter, method, refuse)
    response = site.customer.get(reverse("opentrain:home"))
    assert (response.status_code, "The seat server is away." in text_of(response)) == (409, True)
    if method != "list_projects":
        said = site.front_end.get(reverse("opentrain:api-install-list"))
        assert (said.status_code, said.json()["code"]) == (409, "CONFLICT")


# What slips in between the look-up of a row and its lock ---------------------------------------


@pytest.fixture
def linked(opentrain: OpenTrain, settings: Any) -> ProjectLink:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": ADAPTER}
    opentrain.connect("acme")
    return opentrain.link("acme-1")


def first(monkeypatch: pytest.MonkeyPatch, service: str, happens: Callable[[], object]) -> None:
    """Let this happen when the service is called with rows that were looked up before."""
    name = f"django_opentrain.services.{service}"
    real: Callable[..., object] = PUBLIC[service]

    def call(*arguments: object, **more: object) -> object:
        happens()
        return real(*arguments, **more)

    monkeypatch.setattr(name, call)


@pytest.mark.long
def test_a_reconnect_while_a_link_is_removed(
    linked: ProjectLink, opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row to be locked is another install's by then: nothing is removed, and nothing is a 500."""
    site, real = Site(full_scene("globex")), records.request_removal

    def overtaken(link: ProjectLink, cause: str) -> None:
        opentrain.connect("acme")
        real(link, cause)

    monkeypatch.setattr(records, "request_removal", overtaken)
    response = send(site.customer, reverse("opentrain:unlink", args=[linked.pk]))
    assert (response.status_code, "Try again in a moment" in text_of(response)) == (409, True)
    link = ProjectLink.objects.live().get(install__tenant="acme")
    assert link.removal_requested_at is None

    said = site.front_end.delete(reverse("opentrain:api-project-link-detail", args=[link.pk]))
    assert (said.status_code, said.json()["code"]) == (409, "BUSY")
    [link] = ProjectLink.objects.live().filter(install__tenant="acme")
    assert "under way" in " ".join(confirm(site.operator, link, "unlink"))


@pytest.mark.parametrize(
    ("service", "name", "row"),
    [
        ("linking.unlink", "unlink", "link"),
        ("endpoints.recover", "recover", "endpoint"),
        ("endpoints.rotate_secret", "rotate", "endpoint"),
        ("connect.disconnect", "disconnect", "install"),
    ],
)
def test_a_row_that_is_deleted_in_the_meantime(
    service: str, name: str, row: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link or an endpoint whose creation OpenTrain refused, a connection that waited for its token."""
    chosen: models.Model = getattr(site.scene, row)
    rows = type(chosen)._default_manager.filter(pk=chosen.pk)
    first(monkeypatch, service, rows.delete)
    response = send(site.customer, reverse(f"opentrain:{name}", args=[chosen.pk]))
    assert (response.status_code, "Try again in a moment" in text_of(response)) == (409, True)


def test_a_link_that_goes_while_it_is_in_the_way(
    linked: ProjectLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row was in the way, and is gone when it is looked at for the words."""
    monkeypatch.setattr(ProjectLink.objects, "live", ProjectLink.objects.none)
    with pytest.raises(errors.BusyError):
        linking.link(linked.install, "acme-1", job_id="job_1")


def test_no_project_is_linked_to_a_connection_that_has_ended(linked: ProjectLink) -> None:
    connect.disconnect(linked.install)
    response = send(
        Site(full_scene("globex")).customer, reverse("opentrain:link", args=[linked.install.pk]), **LINK
    )
    assert response.status_code == 409
    assert not ProjectLink.objects.filter(external_project_id="acme-2").exists()


def test_a_link_that_could_not_be_sent_leaves_no_row(linked: ProjectLink, settings: Any) -> None:
    """The key is lost, which the customer reads: it must not be made when the key is back."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [generate_key()]}
    with pytest.raises(UndecryptableError):
        linking.link(Install.objects.get(), "acme-2", job_id="job_1")
    assert not ProjectLink.objects.filter(external_project_id="acme-2").exists()
