"""Every action, against a local OpenTrain: asked for, confirmed, done, and told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import models
from django.test import Client, RequestFactory
from django.utils import timezone
from django.utils.html import escape

from django_opentrain.admin import ADMINS
from django_opentrain.admin.operations import MAX_ROWS
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform import catalog
from django_opentrain.services import usage
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.admin.conftest import HOSTILE, Scene, logged_in
from tests.admin.test_pages import stored, text_of, url

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

Action = tuple[type[models.Model], str]
#: What an action is tried on, and what has to be true afterwards.
Case = tuple[models.Model, Callable[[], bool]]

REASON = "left the team"
CAUSE = f"operator ada: {REASON}"


def act(client: Client, row: models.Model, action: str, **data: str) -> Response:
    """Run an action on one row; without ``confirmed`` the answer is the confirmation."""
    chosen = {"action": action, "_selected_action": str(row.pk)}
    return client.post(url(type(row), "changelist"), {**chosen, **data})


def confirm(client: Client, row: models.Model, action: str, **data: str) -> list[str]:
    """Run an action and confirm it; returns what the operator is told."""
    response = act(client, row, action, confirmed="yes", reason=REASON, **data)
    assert response.status_code == 302
    return messages_of(response)


def messages_of(response: Response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


@pytest.fixture
def hire(opentrain: OpenTrain, settings: Any) -> Hire:
    """A customer who is connected, and a trainer at work in a linked project."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.testing.hosts.GroupAdapter"}
    opentrain.connect()
    opentrain.link("1")
    opentrain.run()
    hired = opentrain.hire()
    opentrain.run()
    assert hired.grant.state == AccessGrant.State.GRANTED
    return hired


# What each action does ------------------------------------------------------------------------


def verify(_opentrain: OpenTrain, hire: Hire) -> Case:
    install = hire.contract.install
    Install.objects.update(status=Install.Status.UNAUTHORIZED, last_error="refused")
    return install, lambda: fresh(install).status == Install.Status.ACTIVE and not fresh(install).last_error


def reconcile_now(opentrain: OpenTrain, hire: Hire) -> Case:
    install = hire.contract.install
    Install.objects.update(reconciled_at=None, next_reconcile_at=None)

    def reconciled() -> bool:
        opentrain.run()
        return fresh(install).reconciled_at is not None

    return install, reconciled


def confirm_held_removals(_opentrain: OpenTrain, hire: Hire) -> Case:
    install = hire.contract.install
    Install.objects.update(removals_held=6)
    return install, lambda: fresh(install).removals_confirmed and bool(fresh(install).next_reconcile_at)


def disconnect(opentrain: OpenTrain, hire: Hire) -> Case:
    install = hire.contract.install

    def disconnected() -> bool:
        opentrain.run()
        return (
            fresh(install).status == Install.Status.DISCONNECTED
            and hire.grant.state == AccessGrant.State.REVOKED
        )

    return install, disconnected


def unlink(opentrain: OpenTrain, hire: Hire) -> Case:
    link = hire.grant.link

    def unlinked() -> bool:
        opentrain.run()
        remote = link.install.client.list_project_links()
        return not remote and hire.grant.state == AccessGrant.State.REVOKED and CAUSE in hire.grant.cause

    return link, unlinked


def retry_now(opentrain: OpenTrain, hire: Hire) -> Case:
    later = timezone.now() + timedelta(hours=1)
    AccessGrant.objects.update(state=AccessGrant.State.FAILED, attempts=9, next_attempt_at=later)

    def settled() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.GRANTED

    return hire.grant, settled


def withdraw(opentrain: OpenTrain, hire: Hire) -> Case:
    def gone() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.REVOKED and hire.grant.cause == CAUSE

    return hire.grant, gone


def restore(opentrain: OpenTrain, hire: Hire) -> Case:
    AccessGrant.objects.update(desired=AccessGrant.Desired.REVOKED, state=AccessGrant.State.REVOKED)

    def back() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.GRANTED and hire.grant.cause == CAUSE

    return hire.grant, back


def pause(_opentrain: OpenTrain, hire: Hire) -> Case:
    endpoint = WebhookEndpoint.objects.get()

    def paused() -> bool:
        remote = hire.contract.install.client.get_webhook_endpoint(endpoint.opentrain_id)
        here = fresh(endpoint).status == WebhookEndpoint.Status.PAUSED
        return here and remote.status == catalog.ENDPOINT_DISABLED

    return endpoint, paused


def recover(_opentrain: OpenTrain, hire: Hire) -> Case:
    endpoint, client = WebhookEndpoint.objects.get(), hire.contract.install.client
    client.update_webhook_endpoint(endpoint.opentrain_id, status=catalog.ENDPOINT_DISABLED)
    WebhookEndpoint.objects.update(status=WebhookEndpoint.Status.DISABLED)

    def recovered() -> bool:
        here = fresh(endpoint).status == WebhookEndpoint.Status.ACTIVE
        return here and client.get_webhook_endpoint(endpoint.opentrain_id).status == catalog.ENDPOINT_ACTIVE

    return endpoint, recovered


def rotate_secret(_opentrain: OpenTrain, _hire: Hire) -> Case:
    endpoint = WebhookEndpoint.objects.get()

    def rotated() -> bool:
        successor = WebhookEndpoint.objects.exclude(pk=endpoint.pk).get()
        return (
            fresh(endpoint).status == WebhookEndpoint.Status.RETIRING
            and successor.status == WebhookEndpoint.Status.ACTIVE
            and bool(successor.secret != endpoint.secret)
        )

    return endpoint, rotated


def process_now(opentrain: OpenTrain, hire: Hire) -> Case:
    opentrain.end(hire)
    opentrain.deliver()
    event = WebhookEvent.objects.get(status=WebhookEvent.Status.PENDING)

    def processed() -> bool:
        ended = hire.contract.status == Contract.Status.ENDED
        return ended and fresh(event).status == WebhookEvent.Status.PROCESSED

    return event, processed


def replay(opentrain: OpenTrain, hire: Hire) -> Case:
    Contract.objects.all().delete()
    event = WebhookEvent.objects.get(type=catalog.CONTRACT_STARTED)

    def replayed() -> bool:
        opentrain.run()
        return hire.grant.state == AccessGrant.State.GRANTED

    return event, replayed


def report_again(opentrain: OpenTrain, hire: Hire) -> Case:
    row = usage.record(hire.contract, opentrain.today, total_seconds=3600)
    DailyUsage.objects.update(status=DailyUsage.Status.REFUSED, error="no")

    def reported() -> bool:
        opentrain.run()
        return bool(fresh(row).status == DailyUsage.Status.REPORTED)

    return row, reported


CASES: dict[Action, Callable[[OpenTrain, Hire], Case]] = {
    (Install, "verify"): verify,
    (Install, "reconcile_now"): reconcile_now,
    (Install, "confirm_held_removals"): confirm_held_removals,
    (Install, "disconnect"): disconnect,
    (ProjectLink, "unlink"): unlink,
    (AccessGrant, "retry_now"): retry_now,
    (AccessGrant, "withdraw"): withdraw,
    (AccessGrant, "restore"): restore,
    (WebhookEndpoint, "recover"): recover,
    (WebhookEndpoint, "pause"): pause,
    (WebhookEndpoint, "rotate_secret"): rotate_secret,
    (WebhookEvent, "process_now"): process_now,
    (WebhookEvent, "replay"): replay,
    (DailyUsage, "report_again"): report_again,
}


def fresh(row: Any) -> Any:
    """The row as the database has it now."""
    return type(row).objects.get(pk=row.pk)


def offered(user: User) -> set[Action]:
    """The actions of our models that Django lists for ``user``."""
    request = RequestFactory().get("/admin/")
    request.user = user
    names = {(model, name) for model in ADMINS for name in admin.site._registry[model].get_actions(request)}
    return {action for action in names if action[1] != "delete_selected"}


def test_every_listed_action_is_tested(superuser: User, viewer: User) -> None:
    assert offered(superuser) == set(CASES)
    assert offered(viewer) == set()


def stands_still(row: models.Model, opentrain: OpenTrain) -> object:
    """What no action may change before it is confirmed: the rows, the history, and what OpenTrain was asked."""
    return stored(row), LogEntry.objects.count(), len(opentrain.sandbox.calls)


@pytest.mark.parametrize("action", CASES, ids=lambda action: f"{action[0].__name__}.{action[1]}")
def test_an_action_is_asked_for_confirmed_and_done(
    action: Action, opentrain: OpenTrain, hire: Hire, operator: User, viewer: User
) -> None:
    row, came_true = CASES[action](opentrain, hire)
    before = stands_still(row, opentrain)

    looking = logged_in(viewer)
    for page in (looking.get(url(type(row), "change", row.pk)), looking.get(url(type(row), "changelist"))):
        assert f'value="{action[1]}"' not in text_of(page)
    act(looking, row, action[1], confirmed="yes")
    assert stands_still(row, opentrain) == before, "a viewer acted"

    client = logged_in(operator)
    assert f'value="{action[1]}"' in text_of(client.get(url(type(row), "change", row.pk)))
    asked = text_of(act(client, row, action[1], from_row="1"))
    assert escape(str(row)) in asked
    assert 'name="from_row"' in asked
    assert stands_still(row, opentrain) == before, "it acted unconfirmed"

    response = act(client, row, action[1], confirmed="yes", reason=REASON, from_row="1")
    assert response["Location"] == url(type(row), "change", row.pk)
    told = messages_of(response)
    assert any("done for 1 of 1" in message for message in told), told
    assert came_true()
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user_id) == (str(row.pk), operator.pk)
    assert "operator ada" in entry.change_message


# When it doesn't work -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    [
        (Install, "verify"),
        (ProjectLink, "unlink"),
        (WebhookEndpoint, "pause"),
        (WebhookEndpoint, "rotate_secret"),
    ],
    ids=lambda action: action[1],
)
def test_an_error_of_opentrains_is_told_with_its_request_id(
    action: Action, opentrain: OpenTrain, hire: Hire, operator: User
) -> None:
    row, _came_true = CASES[action](opentrain, hire)
    opentrain.fail_next(500)
    told = confirm(logged_in(operator), row, action[1])
    assert any("(request " in message for message in told), told
    assert any("nothing was done" in message for message in told)
    assert not LogEntry.objects.exists()


def test_an_install_that_is_not_connected_is_not_reconciled(scene: Scene, operator: User) -> None:
    Install.objects.update(status=Install.Status.REVOKED)
    told = confirm(logged_in(operator), scene[Install], "reconcile_now")
    assert "not connected" in told[0]
    assert fresh(scene[Install]).next_reconcile_at is None


@pytest.mark.parametrize("action", ["confirm_held_removals", "disconnect"])
def test_where_there_is_nothing_to_do_that_is_said(action: str, scene: Scene, operator: User) -> None:
    Install.objects.update(removals_held=0, status=Install.Status.DISCONNECTED)
    assert "nothing was done" in confirm(logged_in(operator), scene[Install], action)[0]


def test_access_under_an_ended_contract_is_not_given_back(scene: Scene, operator: User) -> None:
    Contract.objects.update(status=Contract.Status.ENDED)
    told = confirm(logged_in(operator), scene[AccessGrant], "restore")
    assert "has ended" in told[0]
    assert fresh(scene[AccessGrant]).desired == AccessGrant.Desired.REVOKED


def test_an_event_that_fails_says_why_without_addresses(
    scene: Scene, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> str:
        raise RuntimeError("no such project: maria.planted@opentrain.work")

    monkeypatch.setattr("django_opentrain.services.events.apply", broken)
    WebhookEvent.objects.update(status=WebhookEvent.Status.PENDING)
    told = confirm(logged_in(operator), scene[WebhookEvent], "process_now")
    assert "no such project: m•••@opentrain.work" in told[0]


# Many rows ------------------------------------------------------------------------------------


def test_what_calls_opentrain_is_done_for_a_few_rows_at_once(
    opentrain: OpenTrain, hire: Hire, operator: User
) -> None:
    for number in range(MAX_ROWS):
        factories.make_install(tenant=f"tenant{number}")
    calls = len(opentrain.sandbox.calls)
    keys = [str(key) for key in Install.objects.values_list("pk", flat=True)]
    response = logged_in(operator).post(
        url(Install, "changelist"), {"action": "verify", "_selected_action": keys, "confirmed": "yes"}
    )
    told = messages_of(response)
    assert "at most 20 rows" in told[0]
    assert len(opentrain.sandbox.calls) == calls


def test_all_rows_of_a_filter_can_be_chosen(
    scene: Scene, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_opentrain.admin.operations.CHUNK", 2)
    for _ in range(4):
        link = factories.make_link(scene[Install])
        factories.make_grant(scene[Contract], link, scene[AccessGrant].participant)
    client, address = logged_in(operator), url(AccessGrant, "changelist") + "?desired__exact=GRANTED"
    chosen = {"action": "withdraw", "_selected_action": str(AccessGrant.objects.latest("pk").pk)}
    page = text_of(client.post(address, {**chosen, "select_across": "1", "index": "0"}))
    assert "4 rows" in page
    assert page.count('name="_selected_action"') == 1
    assert 'name="select_across"' in page

    client.post(address, {**chosen, "select_across": "1", "confirmed": "yes"})
    withdrawn = AccessGrant.objects.filter(desired=AccessGrant.Desired.REVOKED, cause="operator ada")
    assert withdrawn.count() == 4
    assert LogEntry.objects.count() == 4


# What operators write -------------------------------------------------------------------------


def test_a_reason_is_cleaned_and_cut(scene: Scene, operator: User) -> None:
    AccessGrant.objects.update(desired=AccessGrant.Desired.GRANTED)
    client, row = logged_in(operator), scene[AccessGrant]
    act(client, row, "withdraw", confirmed="yes", reason=" nul\x00" + HOSTILE + "x" * 500)
    cause = fresh(row).cause
    assert cause.startswith(f"operator ada: nul�{HOSTILE}x")
    assert len(cause) <= 300
    assert HOSTILE not in text_of(client.get(url(AccessGrant, "change", row.pk)))


def test_names_on_the_confirmation_are_escaped(operator: User, db: None) -> None:
    row = factories.make_install(tenant=HOSTILE)
    assert HOSTILE not in text_of(act(logged_in(operator), row, "disconnect"))
