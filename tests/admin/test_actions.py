"""Every action, against a local OpenTrain: requested, confirmed, run, with its result."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import models
from django.test import RequestFactory
from django.utils.html import escape

from django_opentrain.admin import ADMINS
from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install, ProjectLink, WebhookEndpoint
from django_opentrain.services import usage
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.admin.browsing import REASON, act, messages_of, stored, text_of, url
from tests.admin.cases import CASES, FORMS, Action
from tests.admin.conftest import KINDS, logged_in, make_staff

if TYPE_CHECKING:
    pass


every_action = pytest.mark.parametrize(
    "action", CASES, ids=lambda action: f"{action[0].__name__}.{action[1]}"
)


def offered(user: User) -> set[Action]:
    """The actions of our models that Django lists for ``user``."""
    request = RequestFactory().get("/admin/")
    request.user = user
    names = {(model, name) for model in ADMINS for name in admin.site._registry[model].get_actions(request)}
    return {action for action in names if action[1] != "delete_selected"}


def test_every_listed_action_is_tested(superuser: User, viewer: User) -> None:
    assert offered(superuser) == set(CASES)
    assert offered(viewer) == set()


def test_every_action_is_documented() -> None:
    rows = {
        (model._meta.verbose_name, getattr(ADMINS[model], name).short_description) for model, name in CASES
    }
    document = Path(__file__).parents[2] / "docs" / "reference" / "admin.md"
    table = document.read_text(encoding="utf-8").partition("## Actions")[2].partition("## ")[0]
    documented = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", table, re.MULTILINE)[2:]
    assert {(model.lower(), label) for model, label in documented} == rows


#: By the permission that they need, if not the ``change`` of their model.
OF_THEIR_OWN_KIND: dict[str, set[Action]] = {
    "change_access": {
        (Install, "confirm_held_removals"),
        (Contract, "apply_access"),
        *((ProjectLink, name) for name in ("unlink", "stop_work", "let_work")),
        *(action for action in CASES if action[0] is AccessGrant),
    },
    "disconnect": {(Install, "disconnect")},
    "rotate_secret": {(WebhookEndpoint, "rotate_secret"), (WebhookEndpoint, "replace_compromised")},
}


def permission_of(action: Action) -> str:
    return next((kind for kind, actions in OF_THEIR_OWN_KIND.items() if action in actions), "change")


@pytest.mark.parametrize("kind", ["change", *OF_THEIR_OWN_KIND])
def test_a_permission_offers_the_actions_of_its_kind(kind: str, db: None) -> None:
    assert offered(make_staff("ada", "view", kind)) == {
        action for action in CASES if permission_of(action) == kind
    }


@pytest.mark.long
@every_action
def test_an_action_is_refused_to_those_who_hold_all_other_permissions(
    action: Action, opentrain: OpenTrain, hire: Hire
) -> None:
    row, _came_true = CASES[action](opentrain, hire)
    others = {"change", "add", "delete", *KINDS} - {permission_of(action)}
    client = logged_in(make_staff("ada", "view", *others))
    for page in (client.get(url(type(row), "change", row.pk)), client.get(url(type(row), "changelist"))):
        assert f'value="{action[1]}"' not in text_of(page)
    # That they have seen an event's body is in its history by now.
    before = stands_still(row, opentrain)
    act(client, row, action[1], from_row="1")
    act(client, row, action[1], confirmed="yes", reason=REASON, from_row="1", **FORMS.get(action, {}))
    assert stands_still(row, opentrain) == before


def test_the_table_of_permissions_names_each_action_of_its_own_kind() -> None:
    document = Path(__file__).parents[2] / "docs" / "reference" / "admin.md"
    table = document.read_text(encoding="utf-8").partition("## Permissions")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE))
    assert set(rows) == {"view", "change", "delete", *KINDS}
    for kind, actions in OF_THEIR_OWN_KIND.items():
        labels = {str(getattr(ADMINS[model], name).short_description) for model, name in actions}
        assert set(re.findall(r"\*([^*]+)\*", rows[kind])) == labels


def stands_still(row: models.Model, opentrain: OpenTrain) -> object:
    """What no action may change before it is confirmed: the rows, the history, and what OpenTrain was asked."""
    return stored(row), LogEntry.objects.count(), len(opentrain.sandbox.calls)


@pytest.mark.long
@every_action
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

    filled = FORMS.get(action, {})
    response = act(client, row, action[1], confirmed="yes", reason=REASON, from_row="1", **filled)
    assert response["Location"] == url(type(row), "change", row.pk)
    messages = messages_of(response)
    assert any("done for 1 of 1" in message for message in messages), messages
    assert came_true()
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user_id) == (str(row.pk), operator.pk)
    assert "operator ada" in entry.change_message


@pytest.mark.parametrize(
    ("filled", "words"),
    [
        ({"reason": ""}, "This field is required."),
        ({"reason": REASON}, "Say what is to be corrected"),
        ({"reason": REASON, "minutes": "1441"}, "less than or equal to 1440"),
    ],
)
def test_a_form_that_is_not_filled_in_is_asked_for_again(
    opentrain: OpenTrain, hire: Hire, operator: User, filled: dict[str, str], words: str
) -> None:
    row, _came_true = CASES[DailyUsage, "correct"](opentrain, hire)
    before = stands_still(row, opentrain)
    page = text_of(act(logged_in(operator), row, "correct", confirmed="yes", **filled))
    assert words in page
    assert 'name="minutes"' in page
    assert stands_still(row, opentrain) == before


def test_a_correction_is_one_days_and_its_reason_is_not_in_the_history(
    opentrain: OpenTrain, hire: Hire, operator: User
) -> None:
    row, came_true = CASES[DailyUsage, "correct"](opentrain, hire)
    client, filled = logged_in(operator), FORMS[DailyUsage, "correct"]
    another = usage.record(hire.contract, opentrain.today - timedelta(days=1), total_seconds=1)
    both = {"action": "correct", "_selected_action": [str(row.pk), str(another.pk)], "confirmed": "yes"}
    response = client.post(url(DailyUsage, "changelist"), {**both, **filled, "reason": REASON})
    assert any("Select one row" in message for message in messages_of(response))
    assert not LogEntry.objects.exists()
    for _ in range(2):
        act(client, row, "correct", confirmed="yes", reason=REASON, **filled)
    assert came_true(), "pressed twice, it corrects once"
    assert not LogEntry.objects.filter(change_message__contains=REASON).exists()
