"""The confirmation of held removals says who would lose what."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_opentrain.models import AccessGrant, Install, WebhookEndpoint
from django_opentrain.services import endpoints, reconcile
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.admin.browsing import act, text_of, url
from tests.admin.conftest import HOSTILE, logged_in
from tests.played import a_customer

pytestmark = pytest.mark.django_db


def hold(install: Install, count: int) -> list[AccessGrant]:
    """So many removals of this install's are held, and one grant would stay."""
    link, losing = factories.make_link(install), []
    for number in range(count + 1):
        person = factories.make_participant(install, display_name=f"Trainer {number:03}.")
        contract = factories.make_contract(install, [link], trainer=person)
        losing.append(factories.make_grant(contract, link, person))
    ends = [grant.contract.opentrain_id for grant in losing[:count]]
    Install.objects.filter(pk=install.pk).update(
        removals_held=count, reconcile_summary={"held": ["…"], "held_contracts": ends}
    )
    return losing


@pytest.mark.long
def test_what_a_sync_held_is_what_its_confirmation_says(
    opentrain: OpenTrain, settings: Any, superuser: User
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.testing.hosts.ObservingAdapter"}
    a_customer(opentrain)
    opentrain.link("1")
    opentrain.run()
    hires = [opentrain.hire(f"Trainer {number}.") for number in range(8)]
    opentrain.run()
    endpoints.pause(WebhookEndpoint.objects.get())
    for each in hires[:7]:
        opentrain.end(each)
    opentrain.travel(hours=1)
    reconcile.request_all()
    opentrain.run()
    install = Install.objects.get()
    assert install.removals_held == 7
    page = text_of(act(logged_in(superuser), install, "confirm_held_removals"))
    assert [f"<td>Trainer {number}.</td>" in page for number in range(8)] == [True] * 7 + [False]
    assert page.count("<td>Project 1</td><td>acme</td>") == 7
    assert "more</p>" not in page
    losing = set(reconcile.held_grants([install]))
    reconcile.confirm_removals(install)
    opentrain.run()
    assert losing == set(AccessGrant.objects.filter(state=AccessGrant.State.REVOKED))


def test_the_list_is_bounded_and_says_how_many_more(superuser: User) -> None:
    install = factories.make_install("acme")
    hold(install, 60)
    client = logged_in(superuser)
    page = text_of(act(client, install, "confirm_held_removals"))
    assert page.count("<td>Trainer ") == 50
    assert "<p>and 10 more</p>" in page


def test_of_other_customers_nothing_is_said(superuser: User) -> None:
    install, other = factories.make_install("acme"), factories.make_install("globex")
    hold(install, 2)
    hold(other, 3)
    page = text_of(act(logged_in(superuser), install, "confirm_held_removals"))
    assert page.count("<td>acme</td>") == 2
    assert "globex" not in page


def test_an_id_of_another_customers_contract_ends_nothing_of_it(superuser: User) -> None:
    install, other = factories.make_install("acme"), factories.make_install("globex")
    theirs = hold(other, 1)[0].contract.opentrain_id
    Install.objects.filter(pk=install.pk).update(
        removals_held=1, reconcile_summary={"held_contracts": [theirs]}
    )
    install.refresh_from_db()
    assert not reconcile.held_grants([install]).exists()
    page = text_of(act(logged_in(superuser), install, "confirm_held_removals"))
    assert "The next sync says who." in page


def test_the_cost_does_not_grow_and_names_are_escaped(superuser: User) -> None:
    install, client = factories.make_install("acme"), logged_in(superuser)
    hold(install, 1)
    act(client, install, "confirm_held_removals")
    with CaptureQueriesContext(connection) as few:
        act(client, install, "confirm_held_removals")
    hold(install, 20)
    install.participants.update(display_name=HOSTILE)
    with CaptureQueriesContext(connection) as many:
        page = text_of(act(client, install, "confirm_held_removals"))
    assert HOSTILE not in page
    assert len(many) == len(few)


def test_where_an_outage_holds_the_removals_of_all_customers_the_page_opens(superuser: User) -> None:
    install = factories.make_install("acme")
    hold(install, 2)
    summary = {"held_contracts": ["ctr_of_another"]}
    many = [Install(tenant=f"t{n}", removals_held=7, reconcile_summary=summary) for n in range(1100)]
    Install.objects.bulk_create(many)
    listed = url(Install, "changelist")
    chosen = {ACTION_CHECKBOX_NAME: install.pk, "action": "confirm_held_removals", "select_across": "1"}
    page = text_of(logged_in(superuser).post(listed, chosen))
    assert page.count("<td>acme</td>") == 2
    assert "<p>and 7,700 more</p>" in page


def test_other_actions_say_nothing_of_it(superuser: User) -> None:
    install = factories.make_install("acme")
    hold(install, 2)
    assert "Who loses access" not in text_of(act(logged_in(superuser), install, "reconcile_now"))


def test_those_who_may_not_view_grants_read_no_names() -> None:
    install = factories.make_install("acme")
    hold(install, 2)
    operator = factories.make_user(is_staff=True)
    for codename in ("view_install", "change_access"):
        operator.user_permissions.add(*Permission.objects.filter(codename=codename))
    page = text_of(act(logged_in(operator), install, "confirm_held_removals"))
    assert "Confirm held removals" in page
    assert "Trainer" not in page
    operator.user_permissions.add(Permission.objects.get(codename="view_accessgrant"))
    page = text_of(act(logged_in(operator), install, "confirm_held_removals"))
    assert page.count("<td>Trainer ") == 2
