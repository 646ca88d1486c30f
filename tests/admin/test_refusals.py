"""Actions that can't be done, or not all at once: the operator sees why, and nothing is half done."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_opentrain.admin.actions import MAX_ROWS
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.admin.browsing import CAUSE, REASON, act, confirm, fresh, messages_of, text_of, url
from tests.admin.cases import CASES, Action
from tests.admin.conftest import HOSTILE, Scene, logged_in

# When it doesn't work -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    [
        (Install, "verify"),
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
    messages = confirm(logged_in(operator), row, action[1])
    assert any("(request " in message for message in messages), messages
    assert any("nothing was done" in message for message in messages)
    tried = LogEntry.objects.get()
    assert tried.object_id == str(row.pk)
    assert " failed: " in tried.change_message
    assert "(request " in tried.change_message
    assert CAUSE in tried.change_message


@pytest.mark.long
def test_unlinking_ends_access_also_while_opentrain_is_away(
    opentrain: OpenTrain, hire: Hire, operator: User
) -> None:
    """Part of it is done: the message may not say that nothing was, and the history has it."""
    opentrain.fail_next(500)
    messages = confirm(logged_in(operator), hire.grant.link, "unlink")
    assert "(request " in messages[0]
    assert "retried automatically" in messages[0]
    assert "done for 1 of 1" in messages[1]
    assert hire.grant.desired == AccessGrant.Desired.REVOKED
    assert LogEntry.objects.count() == 1


def test_an_install_that_is_not_connected_is_not_reconciled(scene: Scene, operator: User) -> None:
    Install.objects.update(status=Install.Status.REVOKED)
    messages = confirm(logged_in(operator), scene[Install], "reconcile_now")
    assert "not active" in messages[0]
    assert fresh(scene[Install]).next_reconcile_at is None


@pytest.mark.parametrize("action", ["confirm_held_removals", "disconnect"])
def test_where_there_is_nothing_to_do_that_is_said(action: str, scene: Scene, operator: User) -> None:
    Install.objects.update(removals_held=0, status=Install.Status.DISCONNECTED)
    assert "nothing was done" in confirm(logged_in(operator), scene[Install], action)[0]


@pytest.mark.parametrize(
    ("model", "values", "offered"),
    [
        (Install, {"removals_held": 0}, {"verify", "reconcile_now", "disconnect"}),
        (Install, {"status": "REVOKED"}, {"verify", "reconcile_now", "confirm_held_removals"}),
        (ProjectLink, {"live": None}, set()),
        (AccessGrant, {"desired": "REVOKED", "state": "REVOKED"}, {"restore"}),
        (AccessGrant, {"desired": "GRANTED", "state": "FAILED"}, {"retry_now", "bind", "revoke"}),
        (AccessGrant, {"desired": "GRANTED", "state": "REMOVED_BY_HAND"}, {"give_again", "revoke"}),
        (WebhookEndpoint, {"status": "RETIRING"}, {"redeliver", "replace_compromised"}),
        (WebhookEvent, {"status": "PROCESSED"}, {"replay"}),
    ],
)
def test_a_rows_page_offers_what_can_be_done_with_it(
    model: type[models.Model], values: dict[str, Any], offered: set[str], scene: Scene, operator: User
) -> None:
    model._default_manager.update(**values)
    page = text_of(logged_in(operator).get(url(model, "change", scene[model].pk)))
    assert set(re.findall(r'name="action" value="(\w+)"', page)) == offered


def test_access_under_an_ended_contract_is_not_given_back(scene: Scene, operator: User) -> None:
    Contract.objects.update(status=Contract.Status.ENDED)
    messages = confirm(logged_in(operator), scene[AccessGrant], "restore")
    assert "has ended" in messages[0]
    assert fresh(scene[AccessGrant]).desired == AccessGrant.Desired.REVOKED


def test_an_event_that_fails_says_why_without_addresses(
    scene: Scene, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> str:
        raise RuntimeError("no such project: maria.planted@opentrain.work")

    monkeypatch.setattr("django_opentrain.services.inbox.handlers.apply", broken)
    WebhookEvent.objects.update(status=WebhookEvent.Status.PENDING)
    messages = confirm(logged_in(operator), scene[WebhookEvent], "process_now")
    assert "no such project: [e-mail]" in messages[0]


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
    messages = messages_of(response)
    assert "at most 20 rows" in messages[0]
    assert len(opentrain.sandbox.calls) == calls


def test_all_rows_of_a_filter_can_be_chosen(
    scene: Scene, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_opentrain.admin.actions.CHUNK", 2)
    for _ in range(4):
        link = factories.make_link(scene[Install])
        factories.make_grant(scene[Contract], link, scene[AccessGrant].participant)
    client, address = logged_in(operator), url(AccessGrant, "changelist") + "?desired__exact=GRANTED"
    chosen = {"action": "revoke", "_selected_action": str(AccessGrant.objects.latest("pk").pk)}
    page = text_of(client.post(address, {**chosen, "select_across": "1", "index": "0"}))
    assert "4 rows" in page
    assert page.count('name="_selected_action"') == 1
    assert 'name="select_across"' in page

    client.post(address, {**chosen, "select_across": "1", "confirmed": "yes"})
    withdrawn = AccessGrant.objects.filter(desired=AccessGrant.Desired.REVOKED, cause="operator ada")
    assert withdrawn.count() == 4
    assert LogEntry.objects.count() == 4


def run_on(client: Client, rows: Iterable[models.Model], action: str) -> list[str]:
    """The messages after an action on several rows."""
    keys = [str(row.pk) for row in rows]
    address = url(type(next(iter(rows))), "changelist")
    posted = {"action": action, "_selected_action": keys, "confirmed": "yes", "reason": REASON}
    return messages_of(client.post(address, posted))


def history() -> dict[str, str]:
    return {str(entry.object_id): entry.change_message for entry in LogEntry.objects.all()}


def test_the_history_of_each_row_says_what_became_of_it(scene: Scene, operator: User) -> None:
    """Tried row by row: one succeeds, one fails, and one is in no state for it."""
    install, first = scene[Install], scene[AccessGrant]
    ended = factories.make_contract(install, [first.link], status=Contract.Status.ENDED)
    refused = factories.make_grant(ended, first.link, first.participant, desired="REVOKED")
    open_contract = factories.make_contract(install, [first.link])
    given = factories.make_grant(open_contract, first.link, first.participant)
    messages = run_on(logged_in(operator), (first, refused, given), "restore")
    assert messages[-1] == "Restore access: done for 1 of 3."
    assert history() == {
        str(first.pk): f"Restore access ({CAUSE})",
        str(refused.pk): "Restore access failed: The contract has ended: access can't be restored."
        f" ({CAUSE})",
    }


@pytest.mark.parametrize(
    ("action", "applies", "not_to"),
    [
        ("revoke", {"desired": "GRANTED"}, {"desired": "REVOKED"}),
        ("retry_now", {"desired": "GRANTED", "state": "FAILED"}, {"desired": "GRANTED", "state": "GRANTED"}),
        ("give_again", {"desired": "GRANTED", "state": "REMOVED_BY_HAND"}, {"state": "FAILED"}),
        ("replay", {}, {"body": None}),
        ("report_hours", {"hours_withheld": True}, {"hours_withheld": False}),
    ],
)
def test_what_was_done_in_bulk_is_recorded_of_the_rows_to_which_it_applied(
    action: str, applies: dict[str, Any], not_to: dict[str, Any], scene: Scene, operator: User
) -> None:
    model = next(model for model, name in CASES if name == action and model is not ProjectLink)
    first = scene[model]
    model._default_manager.update(**applies)
    again: Any = {
        AccessGrant: lambda: factories.make_grant(
            factories.make_contract(scene[Install]), first.link, first.participant, **not_to
        ),
        WebhookEvent: lambda: factories.make_event(first.endpoint),
        DailyUsage: lambda: factories.make_usage(factories.make_contract(scene[Install]), **not_to),
    }
    other = again[model]()
    model._default_manager.filter(pk=other.pk).update(**not_to)
    messages = run_on(logged_in(operator), (first, other), action)
    assert "done for 1 of 2" in messages[-1]
    assert set(history()) == {str(first.pk)}


def test_recording_many_rows_costs_no_statement_for_each(scene: Scene, operator: User) -> None:
    client, first = logged_in(operator), scene[AccessGrant]

    def statements(rows: int) -> int:
        contracts = [factories.make_contract(scene[Install]) for _ in range(rows)]
        grants = [factories.make_grant(each, first.link, first.participant) for each in contracts]
        with CaptureQueriesContext(connection) as captured:
            run_on(client, grants, "revoke")
        return len(captured)

    statements(1)
    assert statements(12) == statements(2)


def test_whoever_cancels_is_where_they_were(scene: Scene, operator: User) -> None:
    client, row = logged_in(operator), scene[AccessGrant]
    assert f'href="{url(AccessGrant, "change", row.pk)}"' in text_of(
        act(client, row, "restore", from_row="1")
    )
    chosen = {"action": "restore", "_selected_action": str(row.pk)}
    address = url(AccessGrant, "changelist") + "?state__exact=FAILED"
    assert f'href="{address}"' in text_of(client.post(address, chosen))


def test_what_is_held_can_be_read_before_it_is_confirmed(scene: Scene, operator: User) -> None:
    Install.objects.update(reconcile_summary={"held": ["contract ctr_9 has ended"]})
    page = text_of(logged_in(operator).get(url(Install, "change", scene[Install].pk)))
    assert "contract ctr_9 has ended" in page


# What operators write -------------------------------------------------------------------------


def test_a_reason_is_cleaned_and_cut(scene: Scene, operator: User) -> None:
    AccessGrant.objects.update(desired=AccessGrant.Desired.GRANTED)
    client, row = logged_in(operator), scene[AccessGrant]
    act(client, row, "revoke", confirmed="yes", reason=" nul\x00" + HOSTILE + "x" * 500)
    cause = fresh(row).cause
    assert cause.startswith(f"operator ada: nul�{HOSTILE}x")
    assert len(cause) <= 300
    assert HOSTILE not in text_of(client.get(url(AccessGrant, "change", row.pk)))


def test_names_on_the_confirmation_are_escaped(operator: User, db: None) -> None:
    row = factories.make_install(tenant=HOSTILE)
    assert HOSTILE not in text_of(act(logged_in(operator), row, "disconnect"))
