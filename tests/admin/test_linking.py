"""An operator links a customer's project to a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from django_opentrain.models import Install, ProjectLink
from django_opentrain.services import linking
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.admin.browsing import messages_of, text_of, url
from tests.admin.conftest import logged_in
from tests.admin.test_pages import INLINE_CODE
from tests.played import a_customer

pytestmark = pytest.mark.django_db

VALUES = {"project": "1", "job_id": "", "provisioning_mode": "PARTNER_WEBHOOK"}


@pytest.fixture
def install(opentrain: OpenTrain, settings: Any) -> Install:
    """A connected customer with two projects."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.testing.hosts.ObservingAdapter"}
    return a_customer(opentrain)


def form_url(install: Install) -> str:
    return f"{url(ProjectLink, 'add')}?install={install.pk}"


def test_a_project_is_linked(install: Install, superuser: User) -> None:
    client = logged_in(superuser)
    page = text_of(client.get(url(Install, "change", install.pk)))
    assert f'<a href="{form_url(install)}">Link a project</a>' in page
    form = text_of(client.get(form_url(install)))
    assert '<option value="1">Project 1</option>' in form
    assert "Project 3" not in form, "another customer's"
    assert not INLINE_CODE.search(form)
    response = client.post(form_url(install), VALUES)
    link = ProjectLink.objects.get()
    assert response["Location"] == url(ProjectLink, "change", link.pk)
    assert (link.install, link.external_project_id, link.status) == (install, "1", "ACTIVE")
    assert messages_of(response) == ["Linked."]
    assert LogEntry.objects.get().object_id == str(link.pk)
    assert [each.external_project_id for each in install.client.list_project_links()] == ["1"]


def refused(client: Client, install: Install, values: dict[str, str], text: str) -> None:
    response = client.post(form_url(install), values)
    assert text in text_of(response)
    assert response.context["form"].errors


def test_what_cant_be_linked_is_said_in_the_form(
    opentrain: OpenTrain, install: Install, superuser: User
) -> None:
    client = logged_in(superuser)
    refused(client, install, {**VALUES, "project": "3"}, "Select a valid choice")
    client.post(form_url(install), VALUES)
    refused(client, install, VALUES, "is linked already")
    opentrain.fail_next(status=409)
    refused(client, install, {**VALUES, "project": "2"}, "OpenTrain")
    assert ProjectLink.objects.filter(live=True).count() == 1


@pytest.mark.parametrize("method", ["list_projects", "get_project"])
def test_a_host_that_fails_is_no_error_500(
    install: Install, superuser: User, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("maria@opentrain.work")

    monkeypatch.setattr(f"tests.testing.hosts.ObservingAdapter.{method}", fail)
    page = text_of(logged_in(superuser).post(form_url(install), VALUES))
    assert "the log says why" in page
    assert "maria@" not in page
    assert not ProjectLink.objects.exists()


def test_the_permission_is_needed(install: Install, viewer: User) -> None:
    client = logged_in(viewer)
    assert client.get(form_url(install)).status_code == 403
    assert client.post(form_url(install), VALUES).status_code == 403
    assert "Link a project" not in text_of(client.get(url(Install, "change", install.pk)))
    assert not ProjectLink.objects.exists()


@pytest.mark.parametrize("query", ["", "?install=0", "?install=x", "?install=99999999999999999999"])
def test_without_a_connection_there_is_no_form(install: Install, superuser: User, query: str) -> None:
    response = logged_in(superuser).get(url(ProjectLink, "add") + query)
    assert response["Location"] == url(Install, "changelist")


def test_an_ended_connection_links_nothing(superuser: User) -> None:
    ended = factories.make_install(status=Install.Status.REVOKED)
    client = logged_in(superuser)
    assert client.post(form_url(ended), VALUES).status_code == 302
    assert "Link a project" not in text_of(client.get(url(Install, "change", ended.pk)))
    assert not ProjectLink.objects.exists()


def test_no_transaction_surrounds_it(
    install: Install, superuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    surrounded: list[bool] = []
    link: Callable[..., ProjectLink] = linking.link

    def watched(*arguments: Any, **values: Any) -> ProjectLink:
        surrounded.append(connection.in_atomic_block)
        return link(*arguments, **values)

    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    monkeypatch.setattr(linking, "link", watched)
    before = connection.in_atomic_block
    logged_in(superuser).post(form_url(install), VALUES)
    assert surrounded == [before]
