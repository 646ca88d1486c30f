"""What customers do on their pages, with OpenTrain at the other end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from django_opentrain.adapters import AdapterError
from django_opentrain.crypto import generate_key
from django_opentrain.errors import BusyError, ServiceError
from django_opentrain.explanations import explain
from django_opentrain.models import (
    AccessGrant,
    Contract,
    Install,
    ProjectLink,
    TrainerAccount,
    WebhookEndpoint,
)
from django_opentrain.platform import errors
from django_opentrain.services.workers.locks import lease
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.played import a_customer
from tests.web.adapter import NamesAdapter
from tests.web.markup import page_of, text_of
from tests.web.scenes import full_scene
from tests.web.test_connect import send


@pytest.fixture
def install(opentrain: OpenTrain) -> Install:
    return a_customer(opentrain)


NOW = timezone.now()


def act(client: Client, name: str, row: object, **data: str) -> tuple[int, str]:
    """Send an action's form; its status, and what the customer then reads."""
    response = send(client, reverse(f"opentrain:{name}", args=[row.pk]), **data)  # type: ignore[attr-defined] # a row
    if response.status_code == 302:
        return 302, text_of(client.get(response["Location"]))
    return response.status_code, text_of(response)


def expect(client: Client, name: str, row: object, *, answer: tuple[int, str], **data: str) -> None:
    """Send an action's form, and read these words with this status."""
    status, text = act(client, name, row, **data)
    assert (status, answer[1] in text) == (answer[0], True), text


def link_data(opentrain: OpenTrain, install: Install, project: str = "acme-1", **data: str) -> dict[str, str]:
    job = opentrain.sandbox.create_job("Boxes", organization_id=install.organization_id)
    return {"project": project, "job_id": job.id, "provisioning_mode": "PARTNER_WEBHOOK", **data}


# Projects ---------------------------------------------------------------------------------------


def test_a_project_is_linked(boss: Client, opentrain: OpenTrain, install: Install) -> None:
    status, text = act(boss, "link", install, **link_data(opentrain, install))
    assert (status, "The project is linked." in text) == (302, True)
    link = ProjectLink.objects.get()
    assert (link.status, link.external_project_id, link.external_project_name) == (
        "ACTIVE",
        "acme-1",
        "Acme project 1",
    )


def test_a_job_may_be_chosen_later(boss: Client, opentrain: OpenTrain, install: Install) -> None:
    status, _text = act(boss, "link", install, **link_data(opentrain, install, job_id=""))
    assert (status, ProjectLink.objects.get().job_id) == (302, "")


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        ({"project": ""}, 400, "This field is required."),
        ({"project": "other-1"}, 400, "not one of the available choices"),
        ({"job_id": "x" * 201}, 400, "at most 200"),
        ({"job_id": "job_unknown"}, 404, "OpenTrain doesn't know this job."),
        ({"provisioning_mode": "MAGIC"}, 400, "not one of the available choices"),
    ],
)
def test_a_link_that_cannot_be_is_refused_beside_the_form(
    boss: Client, opentrain: OpenTrain, install: Install, data: dict[str, str], status: int, words: str
) -> None:
    answered, text = act(boss, "link", install, **link_data(opentrain, install, **data))
    assert (answered, words in text, "Link a project" in text) == (status, True, True), text
    assert not ProjectLink.objects.exists()


@pytest.mark.long
def test_the_page_that_refuses_a_link_leads_on(
    boss: Client, opentrain: OpenTrain, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the home page at another address, to which nothing can be asked for with GET."""
    monkeypatch.setattr(NamesAdapter, "projects", 45)
    factories.make_install("acme")
    response = send(boss, reverse("opentrain:link", args=[install.pk]), project="")
    ways = [a.attributes["href"] for a in page_of(response).all("a") if "install=" in a.attributes["href"]]
    assert len(ways) >= 22  # projects to link, their next page, the other connection
    assert {boss.get(urljoin(response.request["PATH_INFO"], way)).status_code for way in ways} == {200}


@pytest.mark.long
def test_a_project_is_linked_once(boss: Client, opentrain: OpenTrain, install: Install) -> None:
    data = link_data(opentrain, install)
    act(boss, "link", install, **data)
    status, text = act(boss, "link", install, **data)
    assert (status, "is linked to job" in text) == (409, True)
    assert ProjectLink.objects.count() == 1


def test_a_link_without_an_answer_is_completed_later(
    boss: Client, opentrain: OpenTrain, install: Install
) -> None:
    data = link_data(opentrain, install)
    opentrain.fail_next(503, times=5)
    status, text = act(boss, "link", install, **data)
    assert (status, "hasn't confirmed the link yet" in text) == (302, True)
    assert ProjectLink.objects.get().status == ProjectLink.Status.PENDING


def test_unlinking_asks_first_and_tells_who_loses_access(
    boss: Client, opentrain: OpenTrain, install: Install
) -> None:
    link = opentrain.link("acme-1")
    contract = factories.make_contract(install, [link])
    factories.make_grant(contract, link, factories.make_participant(install))
    text = text_of(boss.get(reverse("opentrain:unlink", args=[link.pk])))
    assert "1 trainer loses their access" in text
    status, text = act(boss, "unlink", link)
    assert (status, "The project is unlinked" in text) == (302, True)
    assert AccessGrant.objects.get().desired == AccessGrant.Desired.REVOKED
    assert act(boss, "unlink", link)[0] == 404


def test_access_ends_also_while_opentrain_is_away(
    boss: Client, opentrain: OpenTrain, install: Install
) -> None:
    link = opentrain.link("acme-1")
    opentrain.fail_next(503, times=5)
    status, text = act(boss, "unlink", link)
    assert (status, "couldn't be notified yet" in text) == (302, True)


# The connection ---------------------------------------------------------------------------------


def test_a_connection_is_checked(boss: Client, install: Install) -> None:
    expect(boss, "verify", install, answer=(302, "OpenTrain confirms this connection."))


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (401, 409, "Connect again: your projects"),
        (403, 403, "OpenTrain is refusing this"),
        (429, 429, "Try again in"),
        (500, 503, "Try again in a minute"),
    ],
)
def test_what_keeps_an_action_from_working_is_explained(
    boss: Client, opentrain: OpenTrain, install: Install, code: int, status: int, words: str
) -> None:
    opentrain.fail_next(code, times=5)
    expect(boss, "verify", install, answer=(status, words))


def test_a_lost_key_is_explained(boss: Client, install: Install) -> None:
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ENCRYPTION_KEYS": [generate_key()]}):
        expect(boss, "verify", install, answer=(409, "Ask this site's administrators"))


def test_a_lost_key_lets_access_end_all_the_same(
    boss: Client, opentrain: OpenTrain, install: Install
) -> None:
    link = opentrain.link("acme-1")
    factories.make_grant(factories.make_contract(install, [link]), link, factories.make_participant(install))
    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ENCRYPTION_KEYS": [generate_key()]}):
        expect(boss, "unlink", link, answer=(409, "Ask this site's administrators"))
    assert AccessGrant.objects.get().desired == AccessGrant.Desired.REVOKED


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (
            errors.MissingScope("No usage:write.", scope="usage:write", status=403, code="FORBIDDEN"),
            403,
            "approve every permission",
        ),
        (errors.InvalidRequest("Too long."), 400, "Too long."),
        (errors.Conflict("A limit is reached.", status=409, code="CONFLICT"), 409, "A limit is reached."),
        (errors.NotFound("No such job.", status=404, code="NOT_FOUND"), 404, "No such job."),
        (errors.UnusableResponse("Cut short.", status=200), 503, "Nothing is lost"),
        (errors.OpenTrainConnectionError("No answer."), 503, "Nothing is lost"),
        (errors.RateLimited("Slow down.", status=429, retry_after=150), 429, "in 3 minutes"),
        (errors.RateLimited("Slow down.", status=429), 429, "in a minute"),
        (AdapterError("Not one of yours."), 409, "Not one of yours."),
        (BusyError(), 409, "Try again in a moment"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_expected_error_has_words(
    error: errors.OpenTrainError | ServiceError, status: int, words: str
) -> None:
    problem = explain(error)
    assert problem.http_status == status
    assert words in f"{problem.text} {problem.advice}"
    assert problem.title


def test_disconnecting_asks_first(boss: Client, opentrain: OpenTrain) -> None:
    scene = full_scene(contracts=2)
    text = text_of(boss.get(reverse("opentrain:disconnect", args=[scene.install.pk])))
    assert "2 trainers lose their access" in text
    expect(boss, "disconnect", scene.install, answer=(302, "Disconnected. The trainers"))
    scene.install.refresh_from_db()
    assert scene.install.status == Install.Status.DISCONNECTED
    assert not AccessGrant.objects.wanted().exists()


def test_held_removals_are_confirmed(boss: Client) -> None:
    scene = full_scene()
    text = text_of(boss.get(reverse("opentrain:confirm-removals", args=[scene.install.pk])))
    assert "7 access grants should end at the same time" in text
    assert "Contract ctr_9 (Boxes) has ended" in text
    expect(boss, "confirm-removals", scene.install, answer=(302, "Confirmed."))
    scene.install.refresh_from_db()
    assert scene.install.removals_confirmed


def test_those_of_an_ended_connection_too(boss: Client) -> None:
    row = factories.make_install(
        "acme",
        status=Install.Status.REVOKED,
        revoked_at=timezone.now() - timedelta(hours=1),
        removals_held=7,
        token=None,
    )
    home = text_of(boss.get(reverse("opentrain:home")))
    assert "Trainers keep their access until its removal is confirmed." in home
    assert "7 removals of access wait for your confirmation." in home
    text = text_of(boss.get(reverse("opentrain:confirm-removals", args=[row.pk])))
    assert "The connection was ended on OpenTrain: 7 access grants should end" in text
    expect(boss, "confirm-removals", row, answer=(302, "Confirmed."))
    row.refresh_from_db()
    assert row.removals_confirmed


def test_they_are_shown_beside_another_connection(boss: Client) -> None:
    ended = factories.make_install(
        "acme", status=Install.Status.REVOKED, revoked_at=timezone.now() - timedelta(hours=1), removals_held=7
    )
    factories.make_install("acme")
    page = boss.get(reverse("opentrain:home")).content.decode()
    assert "7 removals of access wait for your confirmation." in page
    assert reverse("opentrain:confirm-removals", args=[ended.pk]) in page


# Notifications and access -------------------------------------------------------------------------


def test_an_endpoint_is_switched_on_again(boss: Client, opentrain: OpenTrain, install: Install) -> None:
    endpoint = WebhookEndpoint.objects.get()
    WebhookEndpoint.objects.update(status=WebhookEndpoint.Status.DISABLED)
    expect(boss, "recover", endpoint, answer=(302, "Notifications are enabled again."))
    endpoint.refresh_from_db()
    assert endpoint.status == WebhookEndpoint.Status.ACTIVE


def test_an_endpoint_gets_a_new_secret(boss: Client, opentrain: OpenTrain, install: Install) -> None:
    endpoint = WebhookEndpoint.objects.get()
    expect(boss, "rotate", endpoint, answer=(302, "Notifications have a new secret."))
    assert sorted(WebhookEndpoint.objects.values_list("status", flat=True)) == ["ACTIVE", "RETIRING"]


@pytest.mark.parametrize("status", ["ACTIVE", "RETIRING"])
def test_a_compromised_secret_is_refused(
    boss: Client, opentrain: OpenTrain, install: Install, status: str
) -> None:
    endpoint = WebhookEndpoint.objects.get()
    WebhookEndpoint.objects.update(status=status)
    assert 'name="compromised"' in boss.get(reverse("opentrain:home")).content.decode()
    expect(boss, "rotate", endpoint, answer=(302, "the old one is refused"), compromised="")
    endpoint.refresh_from_db()
    assert endpoint.compromised_at is not None


def test_two_changes_at_once_wait_for_each_other(boss: Client, install: Install) -> None:
    with lease(install.pk):
        expect(boss, "rotate", WebhookEndpoint.objects.get(), answer=(409, "Try again in a moment"))


def test_a_failed_grant_is_tried_at_once(boss: Client) -> None:
    scene = full_scene()
    expect(boss, "retry", scene.grant, answer=(302, "It is being retried now."))
    scene.grant.refresh_from_db()
    assert scene.grant.next_attempt_at is None


def test_who_was_removed_by_hand_is_given_access_again(boss: Client) -> None:
    scene = full_scene()
    AccessGrant.objects.update(state="REMOVED_BY_HAND", revoked_at=NOW, last_error="")
    page = text_of(boss.get(reverse("opentrain:contract", args=[scene.contract.pk])))
    assert "Removed by hand" in page
    assert "A person has removed this trainer on annotate.example" in page
    assert "Give access again" in page
    assert "Retry now" not in page
    expect(boss, "give-again", scene.grant, answer=(302, "Access is being given again."))
    scene.grant.refresh_from_db()
    assert scene.grant.state == AccessGrant.State.PENDING


@pytest.fixture
def known(settings: Any) -> User:
    """An account of the customer's that has a trainer's Work Email, whose access was refused for that."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.web.adapter.AccountsAdapter"}
    scene = full_scene()
    AccessGrant.objects.update(last_error="There is an account.", last_error_code="ACCOUNT_EXISTS")
    return factories.make_user("acme-maria", email=str(scene.grant.participant.work_email).upper())


def test_an_account_that_was_there_is_used_after_asking(boss: Client, known: User) -> None:
    grant = AccessGrant.objects.get()
    page = boss.get(reverse("opentrain:contract", args=[grant.contract_id]))
    question = reverse("opentrain:use-account", args=[grant.pk])
    assert question in page.content.decode()
    asked = text_of(boss.get(question))
    assert "Is this the account of" in asked
    assert "Others who know the address may have signed up with it." in asked
    assert f"Account {known.pk}, m•••@opentrain.work" in asked
    assert not TrainerAccount.objects.exists(), "only asked"
    expect(
        boss, "use-account", grant, answer=(302, "The account is the trainer's now"), account=str(known.pk)
    )
    account = TrainerAccount.objects.get(user=known)
    boss_id = boss.session["_auth_user_id"]
    assert (account.bound_for, account.consented_by) == ("acme", f"customer acme, user {boss_id}")
    assert AccessGrant.objects.get().next_attempt_at is None


def test_without_a_token_or_the_account_that_was_seen_nothing_is_bound(boss: Client, known: User) -> None:
    grant = AccessGrant.objects.get()
    assert boss.post(reverse("opentrain:use-account", args=[grant.pk])).status_code == 403
    expect(boss, "use-account", grant, answer=(409, "Another account"), account="999")
    expect(boss, "use-account", grant, answer=(409, "Another account"))
    assert not TrainerAccount.objects.exists()


def test_only_the_customer_whose_account_it_is_is_asked(
    boss: Client, visitor: Callable[[str], Client], known: User
) -> None:
    grant = AccessGrant.objects.get()
    question = reverse("opentrain:use-account", args=[grant.pk])
    assert visitor("globex-boss").get(question).status_code == 404
    assert visitor("acme-clerk").get(question).status_code == 403
    User.objects.filter(pk=known.pk).update(username="globex-maria")
    asked = boss.get(question)
    assert "Only an administrator of this site" in text_of(asked)
    assert 'name="account"' not in asked.content.decode()
    expect(boss, "use-account", grant, answer=(409, "Only an administrator"), account=str(known.pk))
    AccessGrant.objects.update(last_error_code="NOTE")
    assert boss.get(question).status_code == 409
    assert not TrainerAccount.objects.exists()


@pytest.mark.parametrize(
    ("mail", "answer"),
    [
        (True, (302, "was sent to the trainer's Work Email")),
        (False, (409, "The mail could not be sent.")),
        (None, (409, "They had an account before.")),
    ],
)
def test_the_login_link_is_sent_again(
    boss: Client, monkeypatch: pytest.MonkeyPatch, mail: bool | None, answer: tuple[int, str]
) -> None:
    scene = full_scene()
    AccessGrant.objects.update(state=AccessGrant.State.GRANTED)
    monkeypatch.setattr(NamesAdapter, "mail", mail)
    page = boss.get(reverse("opentrain:contract", args=[scene.contract.pk]))
    assert "Send the login link again" in text_of(page)
    expect(boss, "invite", scene.grant, answer=answer)


@pytest.mark.parametrize(
    ("invitation", "words"),
    [
        ({"invitation": "PENDING"}, ["The login link is being sent"]),
        (
            {"invitation": "FAILED", "invitation_error": "No.", "invitation_error_code": "MAIL_REFUSED"},
            ["The login link could not be sent", "No."],
        ),
        (
            {"invitation": "FAILED", "invitation_error": "at db1", "invitation_error_code": "INTERNAL_ERROR"},
            ["The login link could not be sent", "administrators"],
        ),
        ({"invitation": "SENT", "invitation_sent_at": NOW}, ["Has not logged in yet", "link sent"]),
        ({"invitation": "SENT", "invitation_sent_at": NOW - timedelta(days=4)}, ["expired unused"]),
        ({"invitation": "LOGGED_IN"}, ["Has logged in"]),
    ],
)
def test_the_page_says_how_far_the_first_login_is(
    invitation: dict[str, Any], words: list[str], boss: Client
) -> None:
    scene = full_scene()
    page = reverse("opentrain:contract", args=[scene.contract.pk])
    trainer = scene.grant.participant.opentrain_user_id
    factories.make_trainer_account(factories.make_user("maria"), opentrain_user_id=trainer, **invitation)
    assert words[0] not in text_of(boss.get(page)), "has no access yet"
    AccessGrant.objects.update(state=AccessGrant.State.GRANTED)
    Contract.objects.update(budget_state=Contract.BudgetState.OK)
    text = text_of(boss.get(page))
    assert [each for each in words if each not in text] == []
    assert "db1" not in text
    alert = "1 trainer could not be sent a login link."
    home, contracts = reverse("opentrain:home"), reverse("opentrain:contracts")
    failed = invitation["invitation"] == "FAILED"
    assert (alert in text_of(boss.get(home))) == failed
    attention = text_of(boss.get(contracts, {"status": "mail-failing"}))
    assert (scene.contract.title in attention) == failed


def test_no_login_link_where_there_is_none_to_send(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = full_scene()
    assert act(boss, "invite", scene.grant)[0] == 409  # has no access yet
    AccessGrant.objects.update(state=AccessGrant.State.GRANTED)
    monkeypatch.setattr(NamesAdapter, "sends_first_login", False)
    assert act(boss, "invite", scene.grant)[0] == 409
    page = boss.get(reverse("opentrain:contract", args=[scene.contract.pk]))
    assert "login link" not in text_of(page)


# A link's settings ------------------------------------------------------------------------------


def test_a_customer_tells_that_hours_are_tracked_elsewhere(boss: Client, install: Install) -> None:
    link = factories.make_link(install, external_project_id="acme-1")
    said = "Hours are tracked elsewhere: only tasks and labels are reported."
    assert said not in text_of(boss.get(reverse("opentrain:home")))
    page = page_of(boss.get(reverse("opentrain:link-settings", args=[link.pk])))
    boxes = [each.attributes for each in page.all("input") if each.attributes.get("type") == "checkbox"]
    assert [("checked" in each, each["name"]) for each in boxes] == [
        (False, "stop_when_depleted"),
        (False, "hours_tracked_elsewhere"),
    ]
    status, text = act(boss, "link-settings", link, hours_tracked_elsewhere="on")
    assert (status, "The settings are saved." in text, said in text) == (302, True, True)
    link.refresh_from_db()
    assert link.hours_tracked_elsewhere
    status, text = act(boss, "link-settings", link)
    assert (status, said in text) == (302, False)


@pytest.mark.long
def test_a_customer_has_work_stopped_and_go_on(boss: Client, install: Install) -> None:
    link = factories.make_link(install, external_project_id="acme-1")
    contract = factories.make_contract(install, [link], budget_state="DEPLETED")
    factories.make_grant(contract, link, factories.make_participant(install))
    said = "Work stops while a budget is used up."
    assert said not in text_of(boss.get(reverse("opentrain:home")))
    status, text = act(boss, "link-settings", link, stop_when_depleted="on")
    assert (status, said in text, "Access is being paused" in text) == (302, True, True)
    assert AccessGrant.objects.get().desired == AccessGrant.Desired.PAUSED
    status, text = act(boss, "link-settings", link)
    assert (status, said in text) == (302, False)
    assert AccessGrant.objects.get().desired == AccessGrant.Desired.GRANTED


def test_withheld_hours_can_be_asked_for(boss: Client, install: Install) -> None:
    link = factories.make_link(install, hours_tracked_elsewhere=True)
    row = factories.make_usage(factories.make_contract(install, [link]), hours_withheld=True)
    page = page_of(boss.get(reverse("opentrain:link-settings", args=[link.pk])))
    boxes = [each.attributes for each in page.all("input") if each.attributes.get("type") == "checkbox"]
    assert [("checked" in each, each["name"]) for each in boxes] == [
        (False, "stop_when_depleted"),
        (True, "hours_tracked_elsewhere"),
        (False, "report_withheld_hours"),
    ]
    assert act(boss, "link-settings", link, report_withheld_hours="on")[0] == 302
    row.refresh_from_db()
    assert not row.hours_withheld


def test_a_link_that_is_gone_has_no_settings(boss: Client, install: Install) -> None:
    link = factories.make_link(install, status=ProjectLink.Status.REMOVED)
    assert act(boss, "link-settings", link)[0] == 404
