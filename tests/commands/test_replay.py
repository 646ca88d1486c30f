"""``opentrain_replay``."""

from __future__ import annotations

from datetime import datetime, timezone
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command

from django_opentrain.models import Contract, WebhookEvent
from django_opentrain.services.inbox import handlers
from tests.factories import make_endpoint, make_event, make_install

pytestmark = pytest.mark.django_db

PENDING, PROCESSED, IGNORED, FAILED = WebhookEvent.Status.values


@pytest.fixture(autouse=True)
def stored() -> None:
    endpoint = make_endpoint(make_install(opentrain_id="inst_1"))
    other = make_endpoint(make_install("globex", opentrain_id="inst_2"))
    for where, event_id, kind, status, hour in (
        (endpoint, "e1", "contract.ended", FAILED, 8),
        (endpoint, "e2", "contract.started", PROCESSED, 9),
        (endpoint, "e3", "contract.ended", PROCESSED, 10),
        (other, "e4", "contract.ended", FAILED, 11),
    ):
        make_event(
            where,
            event_id=event_id,
            type=kind,
            status=status,
            resource_id=f"ctr_{event_id}",
            received_at=datetime(2026, 11, 1, hour, tzinfo=timezone.utc),
        )


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("opentrain_replay", *arguments, stdout=out)
    return out.getvalue()


def due() -> set[str]:
    return set(WebhookEvent.objects.filter(status=PENDING).values_list("event_id", flat=True))


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ([], {"e1", "e4"}),
        (["--event", "e2"], {"e2"}),
        (["--event", "e2", "--event", "e3"], {"e2", "e3"}),
        (["--resource", "ctr_e1"], {"e1"}),
        (["--type", "contract.ended", "--status", PROCESSED], {"e3"}),
        (["--status", PROCESSED, "--status", FAILED], {"e1", "e2", "e3", "e4"}),
        (["--install", "inst_2"], {"e4"}),
        (["--status", PROCESSED, "--since", "2026-11-01T10:00+00:00"], {"e3"}),
        (["--status", PROCESSED, "--until", "2026-11-01T10:00"], {"e2"}),
    ],
)
def test_the_options_choose(arguments: list[str], chosen: set[str]) -> None:
    assert f"Events that are due again: {len(chosen)}." in run(*arguments)
    assert due() == chosen


def test_a_dry_run_lists_and_changes_nothing() -> None:
    printed = run("--dry-run")
    assert "contract.ended e1" in printed
    assert "Events that would be replayed: 2" in printed
    assert due() == set()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_the_times_it_lists_are_those_it_takes(zone: str, settings: Any) -> None:
    settings.TIME_ZONE = zone
    line = run("--dry-run", "--event", "e2").splitlines()[0]
    time = " ".join(line.split()[:2])
    assert run("--dry-run", "--status", PROCESSED, "--since", time).endswith(
        "Events that would be replayed: 2.\n"
    )
    with pytest.raises(CommandError, match="No event whose body is still stored matches"):
        run("--dry-run", "--status", PROCESSED, "--until", time)


def test_a_listed_event_says_what_it_is_about_and_what_was_wrong() -> None:
    WebhookEvent.objects.filter(event_id="e1").update(error="KeyError:\n'id'")
    first = run("--dry-run").splitlines()[0]
    assert first.endswith("FAILED contract.ended e1, ctr_e1, acme: KeyError: 'id'")


def test_a_list_costs_two_queries_and_reads_no_body(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2) as queries:
        run("--dry-run")
    assert [each["sql"] for each in queries if '"body"' in each["sql"].partition("FROM")[0]] == []


def test_what_became_of_each_is_said() -> None:
    WebhookEvent.objects.filter(event_id="e4").update(type="contract.unheard")
    out = StringIO()
    with (
        mock.patch.dict(handlers.HANDLERS, {"contract.ended": _fail_for_globex}),
        pytest.raises(CommandError, match="1 processed, 0 ignored, 1 failed again and will be retried"),
    ):
        call_command("opentrain_replay", "--now", stdout=out)
    assert out.getvalue().splitlines()[1:] == [
        f"{listed('e4')} PENDING contract.unheard e4, ctr_e4, globex: ValueError: still broken",
    ]


def _fail_for_globex(context: handlers.Context) -> str:
    if context.unit.install.tenant == "globex":
        raise ValueError("still\nbroken")
    return ""


def listed(event_id: str) -> str:
    return f"{WebhookEvent.objects.get(event_id=event_id).received_at:%Y-%m-%d %H:%M%z}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--resource", "ctr_e2"],
        ["--install", "nope"],
        ["--type", "install.revoked"],
        ["--since", "2026-11-02T00:00"],
        ["--until", "2026-11-01T07:00"],
    ],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("how", [[], ["--dry-run"], ["--now"]], ids=["replay", "dry run", "now"])
def test_nothing_chosen_is_an_error_with_what_was_looked_for(arguments: list[str], how: list[str]) -> None:
    with pytest.raises(CommandError, match="Without --status or --event only failed events are selected"):
        run(*arguments, *how)


@pytest.mark.parametrize("arguments", [["--event", "999999"], ["--status", IGNORED]])
def test_an_event_that_is_not_there_is_an_error(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="No event whose body is still stored matches"):
        run(*arguments)


def test_an_event_whose_body_was_purged_is_an_error() -> None:
    WebhookEvent.objects.filter(event_id="e2").update(body=None)
    with pytest.raises(CommandError, match="No event whose body is still stored"):
        run("--event", "e2")


def test_that_no_event_has_failed_is_no_error() -> None:
    WebhookEvent.objects.update(status=PROCESSED)
    assert run() == "Events that are due again: 0.\n"


def test_now_processes_them_here() -> None:
    assert "1 processed" in run("--event", "e1", "--now")
    assert Contract.objects.get().opentrain_id


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00"])
def test_a_time_that_is_none_is_said(text: str) -> None:
    with pytest.raises(CommandError, match="Not a time"):
        run("--since", text)


def test_purged_events_are_left_out() -> None:
    WebhookEvent.objects.update(body=None)
    assert "due again: 0." in run()


def test_wrong_words_are_refused() -> None:
    values: dict[str, Any] = {"status": ["LOST"]}
    with pytest.raises(CommandError):
        run("--status", values["status"][0])
