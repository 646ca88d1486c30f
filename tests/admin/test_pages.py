"""Every page of every model, for everybody who may see it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from django_opentrain.admin import ADMINS
from django_opentrain.models import (
    ConsentRequest,
    Contract,
    DailyUsage,
    Install,
    Participant,
    ProjectLink,
    TrainerAccount,
    WebhookEndpoint,
    WebhookEvent,
)
from tests import factories
from tests.admin.browsing import stored, text_of, url
from tests.admin.conftest import EMAIL, HOSTILE, SECRET, TOKEN, Scene, logged_in, make_scene

if TYPE_CHECKING:
    pass

every_model = pytest.mark.parametrize("model", ADMINS, ids=lambda model: model.__name__)

SECRETS = (TOKEN, "planted-token", SECRET, "planted-secret", EMAIL, "maria.planted")
#: What those who may see an event's body unmasked find in it.
SECRETS_OF_BODIES = (EMAIL, "maria.planted")
#: What a strict Content-Security-Policy refuses.
INLINE_CODE = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*json)|<style|\sstyle=|\son[a-z]+=|javascript:")


def test_every_model_of_the_app_is_registered() -> None:
    ours = {model for model in admin.site._registry if model._meta.app_label == "django_opentrain"}
    assert ours == set(ADMINS) == set(apps.get_app_config("django_opentrain").get_models())


@every_model
def test_lists_open_and_show_no_secret(model: type[models.Model], scene: Scene, anyone: Client) -> None:
    page = text_of(anyone.get(url(model, "changelist")))
    assert url(model, "change", scene[model].pk) in page
    assert [secret for secret in SECRETS if secret in page] == []
    assert not INLINE_CODE.search(page)


@every_model
def test_rows_open_and_show_no_secret(model: type[models.Model], scene: Scene, anyone: Client) -> None:
    response = anyone.get(url(model, "change", scene[model].pk))
    page = text_of(response)
    may_see = SECRETS_OF_BODIES if model is WebhookEvent and response.context["user"].is_superuser else ()
    assert [secret for secret in SECRETS if secret in page and secret not in may_see] == []
    assert not INLINE_CODE.search(page)
    assert "_save" not in page


@every_model
def test_what_people_called_things_is_escaped(model: type[models.Model], superuser: User) -> None:
    scene, client = make_scene(text=HOSTILE), logged_in(superuser)
    pages = [client.get(url(model, "changelist")), client.get(url(model, "change", scene[model].pk))]
    assert not any(HOSTILE in text_of(page) for page in pages)
    if model is not TrainerAccount:
        assert any(escape(HOSTILE) in text_of(page) for page in pages)


@every_model
def test_nothing_is_added_or_edited_by_hand(model: type[models.Model], scene: Scene, anyone: Client) -> None:
    if model is not ProjectLink:
        assert anyone.get(url(model, "add")).status_code == 403
        assert anyone.post(url(model, "add"), {}).status_code == 403
    before = stored(scene[model])
    assert anyone.post(url(model, "change", scene[model].pk), {"status": "ACTIVE"}).status_code == 403
    assert stored(scene[model]) == before


@every_model
def test_only_what_records_no_access_can_be_deleted(
    model: type[models.Model], scene: Scene, operator: User
) -> None:
    response = logged_in(operator).post(url(model, "delete", scene[model].pk), {"post": "yes"})
    assert response.status_code == (302 if model is ConsentRequest else 403)
    assert type(scene[model]).objects.filter(pk=scene[model].pk).exists() == (model is not ConsentRequest)


@pytest.mark.long
@every_model
def test_every_search_and_filter_works(model: type[models.Model], scene: Scene, superuser: User) -> None:
    client = logged_in(superuser)
    model_admin = admin.site._registry[model]
    assert text_of(client.get(url(model, "changelist"), {"q": "Photos planted"}))
    page = text_of(client.get(url(model, "changelist")))
    links = set(re.findall(r'href="(\?[^"]+)"', page))
    assert len(links) >= len(model_admin.list_filter)
    for link in links:
        assert text_of(client.get(url(model, "changelist") + link.replace("&amp;", "&")))


def listed(client: Client, model: type[models.Model], attention: str) -> list[models.Model]:
    response = client.get(url(model, "changelist"), {"attention": attention})
    return list(response.context["cl"].result_list)


def test_a_list_is_filtered_by_the_conditions_of_its_rows(superuser: User) -> None:
    client = logged_in(superuser)
    endpoint = factories.make_endpoint(factories.make_install())
    waiting = factories.make_event(endpoint, received_at=timezone.now() - timedelta(hours=5))
    failed = factories.make_event(endpoint, status=WebhookEvent.Status.FAILED)
    factories.make_event(endpoint)
    assert listed(client, WebhookEvent, "yes") == [failed, waiting]
    assert listed(client, WebhookEvent, "events-waiting") == [waiting]
    assert listed(client, WebhookEvent, "events-failed") == [failed]


def test_a_superseded_install_needs_no_attention(superuser: User) -> None:
    successor = factories.make_install(tenant="acme")
    problems = {"last_error": "403", "removals_held": 3, "refused_at": timezone.now()}
    factories.make_install(tenant="acme", status="REVOKED", superseded_by=successor, **problems)
    assert listed(logged_in(superuser), Install, "yes") == []


@every_model
def test_the_cost_of_a_list_does_not_grow(model: type[models.Model], scene: Scene, superuser: User) -> None:
    client = logged_in(superuser)
    client.get(url(model, "changelist"))
    with CaptureQueriesContext(connection) as one:
        client.get(url(model, "changelist"))
    for _ in range(19):
        make_another(scene)
    with CaptureQueriesContext(connection) as twenty:
        page = text_of(client.get(url(model, "changelist")))
    assert page.count('name="_selected_action"') in (0, 20)
    assert len(twenty) == len(one)


@every_model
def test_the_cost_of_a_row_is_bounded(
    model: type[models.Model], scene: Scene, superuser: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_opentrain.admin.base.INLINE_ROWS", 3)
    client = logged_in(superuser)
    client.get(url(model, "change", scene[model].pk))
    with CaptureQueriesContext(connection) as few:
        client.get(url(model, "change", scene[model].pk))
    for _ in range(4):
        add_to(scene)
    with CaptureQueriesContext(connection) as many:
        page = text_of(client.get(url(model, "change", scene[model].pk)))
    assert len(many) == len(few)
    assert page.count('class="form-row has_original') == 3 * len(admin.site._registry[model].inlines)


def make_another(scene: Scene) -> None:
    """One more row of each model, each with parents of its own."""
    install = factories.make_install(tenant="another")
    user = factories.make_user()
    factories.make_trainer_account(user)
    factories.make_consent_request(user)
    link = factories.make_link(install)
    person = factories.make_participant(install)
    contract = factories.make_contract(install, [link], trainer=person)
    grant = factories.make_grant(contract, link, person)
    factories.make_usage(contract)
    factories.make_objection(contract)
    factories.make_work(grant, timezone.now())
    factories.make_event(factories.make_endpoint(install))


def add_to(scene: Scene) -> None:
    """One more of everything that belongs to the scene's rows."""
    install = scene[Install]
    link, person = factories.make_link(install), factories.make_participant(install)
    contract = factories.make_contract(install, [scene[ProjectLink]], trainer=person)
    factories.make_grant(contract, scene[ProjectLink], scene[Participant])
    factories.make_grant(scene[Contract], link, person)
    factories.make_usage(scene[Contract])
    factories.make_endpoint(install)
    factories.make_event(scene[WebhookEndpoint])


def test_the_list_of_contracts_says_why_work_is_not_collected(superuser: User) -> None:
    install = factories.make_install()
    factories.make_contract(install, collect_error="KeyError: no table", report_error="OpenTrain said no")
    page = text_of(logged_in(superuser).get(url(Contract, "changelist"), {"attention": "usage-uncollected"}))
    assert "KeyError: no table" in page


def test_budgets_are_shown_with_their_units_and_days_with_their_trainers_name(superuser: User) -> None:
    install, client = factories.make_install(), logged_in(superuser)
    person = factories.make_participant(install, display_name="Maria S.")
    contract = factories.make_contract(
        install,
        trainer=person,
        payment_type="PAY_PER_HOUR",
        funded_volume="60.0000",
        consumed_volume="41.5000",
    )
    factories.make_usage(contract)
    assert "60 h" in text_of(client.get(url(Contract, "changelist")))
    page = text_of(client.get(url(Contract, "change", contract.pk)))
    assert "41.5 h" in page
    assert "by the hour" in page
    assert "PAY_PER_HOUR" not in page
    usage = text_of(client.get(url(DailyUsage, "changelist")))
    assert "Maria S." in usage
    # Before what may be long.
    assert usage.index("column-labels") < usage.index("column-hire")
