"""Other admin sites, other users, other ways to serve static files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.urls import path

import django_opentrain.admin as opentrain_admin
from django_opentrain.admin import ADMINS
from django_opentrain.models import AccessGrant, ConsentRequest, Install, ProjectLink, TrainerAccount
from tests import factories
from tests.admin.browsing import act, text_of, url
from tests.admin.conftest import Scene, logged_in

back_office = admin.AdminSite(name="backoffice")
opentrain_admin.register(back_office)
back_office.register(User)

#: A site that leaves most of our models, and the users, out.
small = admin.AdminSite(name="small")
small.register(Install, ADMINS[Install])
small.register(TrainerAccount, ADMINS[TrainerAccount])

urlpatterns = [path("back-office/", back_office.urls), path("small/", small.urls)]

ours = pytest.mark.urls(__name__)


@ours
@pytest.mark.parametrize("model", ADMINS, ids=lambda model: model.__name__)
def test_pages_of_another_site_stay_on_it(model: Any, scene: Scene, superuser: User) -> None:
    client = logged_in(superuser)
    pages = [
        text_of(client.get(url(model, "changelist", site="backoffice"))),
        text_of(client.get(url(model, "change", scene[model].pk, site="backoffice"))),
    ]
    for page in pages:
        assert 'href="/back-office/' in page
        assert re.findall(r'(?:href|action)="/admin/[^"]*"', page) == []


@ours
def test_actions_of_another_site_stay_on_it(scene: Scene, superuser: User) -> None:
    client, row = logged_in(superuser), scene[AccessGrant]
    chosen = {"action": "retry_now", "_selected_action": row.pk, "from_row": "1"}
    list_url = url(AccessGrant, "changelist", site="backoffice")
    assert "/back-office/" in text_of(client.post(list_url, chosen))
    response = client.post(list_url, {**chosen, "confirmed": "yes"})
    assert response["Location"] == url(AccessGrant, "change", row.pk, site="backoffice")


@ours
def test_what_a_site_leaves_out_is_not_linked(scene: Scene, superuser: User) -> None:
    client = logged_in(superuser)
    page = text_of(client.get(url(Install, "change", scene[Install].pk, site="small")))
    assert "project links" in page
    assert "projectlink/" not in page
    page = text_of(client.get(url(TrainerAccount, "change", scene[TrainerAccount].pk, site="small")))
    assert "m•••@opentrain.work" in page
    assert "/auth/user/" not in page


def test_registering_twice_is_refused() -> None:
    with pytest.raises(Exception, match="already registered"):
        opentrain_admin.register(back_office)


# Deleting users -------------------------------------------------------------------------------


@ours
def test_a_user_can_be_deleted_once_no_access_is_recorded_for_them(scene: Scene, superuser: User) -> None:
    client, user = logged_in(superuser), scene[TrainerAccount].user
    delete = url(User, "delete", user.pk, site="backoffice")
    client.post(delete, {"post": "yes"})
    assert User.objects.filter(pk=user.pk).exists(), "their access could not be taken away any more"

    AccessGrant.objects.update(state=AccessGrant.State.REVOKED)
    client.post(delete, {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()
    assert AccessGrant.objects.count() == 1


@ours
def test_a_user_who_once_set_out_to_connect_can_be_deleted(scene: Scene, superuser: User) -> None:
    user = scene[ConsentRequest].user
    logged_in(superuser).post(url(User, "delete", user.pk, site="backoffice"), {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()


def test_accounts_with_access_survive_a_deletion_of_many(scene: Scene, operator: User) -> None:
    without = factories.make_trainer_account(factories.make_user())
    keys = [str(scene[TrainerAccount].pk), str(without.pk)]
    client, list_url = logged_in(operator), url(TrainerAccount, "changelist")
    client.post(list_url, {"action": "delete_selected", "_selected_action": keys, "post": "yes"})
    assert TrainerAccount.objects.count() == 2
    client.post(list_url, {"action": "delete_selected", "_selected_action": keys[1:], "post": "yes"})
    assert TrainerAccount.objects.get() == scene[TrainerAccount]


# Settings of hosts ----------------------------------------------------------------------------


def test_csrf_checks_stay_on_where_the_host_switches_them_off(
    scene: Scene, operator: User, settings: Any
) -> None:
    settings.MIDDLEWARE = [
        name.replace("django.middleware.csrf.CsrfViewMiddleware", "tests.web.test_decorators.unchecked")
        for name in settings.MIDDLEWARE
    ]
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    row, request = scene[Install], scene[ConsentRequest]
    assert act(client, row, "disconnect", confirmed="yes").status_code == 403
    assert client.post(url(ConsentRequest, "delete", request.pk), {"post": "yes"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_no_transaction_surrounds_what_is_done_at_opentrain(
    scene: Scene, superuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    surrounded: list[bool] = []
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    monkeypatch.setattr(
        "django_opentrain.services.connect.verify",
        lambda _install: surrounded.append(connection.in_atomic_block),
    )
    act(logged_in(superuser), scene[Install], "verify", confirmed="yes")
    assert surrounded == [False]


# Static files, users --------------------------------------------------------------------------


def test_the_stylesheet_is_there_and_linked(scene: Scene, superuser: User) -> None:
    assert (Path(opentrain_admin.__file__).parents[1] / "static/opentrain/admin.css").is_file()
    page = text_of(logged_in(superuser).get(url(Install, "changelist")))
    assert '/static/opentrain/admin.css"' in page


def test_pages_open_where_a_manifest_does_not_have_our_stylesheet(
    scene: Scene, superuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def manifest(name: str) -> str:
        if name.startswith("opentrain/"):
            raise ValueError(f"Missing staticfiles manifest entry for {name!r}")
        return f"/static/{name}"

    monkeypatch.setattr("django.contrib.staticfiles.storage.staticfiles_storage.url", manifest)
    client = logged_in(superuser)
    for response in (
        client.get(url(ProjectLink, "changelist")),
        client.get(url(ProjectLink, "change", scene[ProjectLink].pk)),
        act(client, scene[ProjectLink], "unlink"),
    ):
        assert "opentrain/admin.css" not in text_of(response)


@override_settings(LANGUAGE_CODE="de", TIME_ZONE="Asia/Kathmandu", USE_THOUSAND_SEPARATOR=True)
def test_localised_numbers_do_not_get_into_forms(superuser: User) -> None:
    row = factories.make_install(pk=1_234_567)
    client = logged_in(superuser)
    assert 'name="_selected_action" value="1234567"' in text_of(client.get(url(Install, "change", row.pk)))
    assert 'name="_selected_action" value="1234567"' in text_of(act(client, row, "verify"))


def test_users_without_a_username(tmp_path: Path) -> None:
    """In a process of its own: a site's user model can't be changed while it runs."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.admin.emailusers"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "all pages open" in result.stdout
