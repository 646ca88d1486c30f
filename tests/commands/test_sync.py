"""``opentrain_sync``."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from django_opentrain.adapters import AdapterError
from django_opentrain.models import Contract, Install
from django_opentrain.services import reconcile
from django_opentrain.services.workers.locks import lease
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.commands.conftest import AnyProjectAdapter
from tests.played import a_linked_project

pytestmark = pytest.mark.usefixtures("any_project")


def sync(*arguments: str) -> str:
    out = StringIO()
    call_command("opentrain_sync", *arguments, stdout=out, stderr=out, no_color=True)
    return out.getvalue()


@pytest.fixture
def install(opentrain: OpenTrain) -> Install:
    """Connected, with a project linked and nothing left to do."""
    a_linked_project(opentrain)
    return Install.objects.get()


def test_it_finds_what_no_webhook_told(opentrain: OpenTrain, install: Install) -> None:
    trainer = opentrain.hire("Maria S.")
    out = sync()
    assert "[1/1] acme" in out
    assert "  + contract" in out
    assert "Access grants converged" in out
    assert trainer.grant.state == "GRANTED"


def test_it_says_so_when_nothing_differs(install: Install) -> None:
    assert sync().endswith("… nothing differs\n")


def test_a_dry_run_shows_and_changes_nothing(opentrain: OpenTrain, install: Install) -> None:
    opentrain.hire("Maria S.")
    assert "  + contract" in sync("--dry-run")
    assert not Contract.objects.exists()
    assert not User.objects.exists()


@pytest.mark.parametrize("by", ["pk", "opentrain_id"])
def test_one_install_can_be_chosen(opentrain: OpenTrain, install: Install, by: str) -> None:
    opentrain.connect("globex")
    out = sync("--install", str(getattr(install, by)))
    assert "[1/1] acme" in out
    assert "globex" not in out


@pytest.mark.parametrize("unknown", ["999999", "ins_nobody", "²", "9" * 30, "9" * 5000])
def test_an_unknown_install_is_an_error(install: Install, unknown: str) -> None:
    with pytest.raises(CommandError, match="No connected install has this id"):
        sync("--install", unknown)


def test_a_dry_run_that_is_to_confirm_is_refused() -> None:
    with pytest.raises(CommandError, match="not allowed with argument --dry-run"):
        sync("--dry-run", "--confirm-removals")


def test_one_that_fails_does_not_keep_the_others_waiting(opentrain: OpenTrain, install: Install) -> None:
    opentrain.connect("globex")
    opentrain.fail_next(status=500, match="GET /project-links")
    out = StringIO()
    with pytest.raises(CommandError, match="Installs that could not be reconciled: 1 of 2"):
        call_command("opentrain_sync", stdout=out, no_color=True)
    assert "OpenTrain can't be reached: " in out.getvalue()
    assert "[2/2] globex" in out.getvalue()
    assert "nothing differs" in out.getvalue()


def test_one_that_another_worker_is_at_is_said_to_be_busy(install: Install) -> None:
    out = StringIO()
    with lease(install.pk), pytest.raises(CommandError, match="1 of 1"):
        call_command("opentrain_sync", stdout=out, no_color=True)
    assert "under way" in out.getvalue()


def test_a_token_that_works_again_heals_the_install(install: Install) -> None:
    Install.objects.update(status=Install.Status.UNAUTHORIZED, last_error="401")
    sync()
    install.refresh_from_db()
    assert install.status == Install.Status.ACTIVE


@pytest.fixture
def missed_ends(opentrain: OpenTrain, install: Install) -> list[Hire]:
    """Seven trainers whose contracts ended, which only the lists show: the events were lost."""
    hires = [opentrain.hire(f"Trainer {number}") for number in range(7)]
    opentrain.run()
    for each in hires:
        opentrain.end(each)
    Install.objects.update(next_reconcile_at=None)
    return hires


def undone(*arguments: str) -> tuple[str, str]:
    """The output, and the last line, of a run that could not do everything."""
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("opentrain_sync", *arguments, stdout=out, no_color=True)
    assert caught.value.returncode == 1
    return out.getvalue(), str(caught.value)


HELD = "Not done. Removals of access that are held: 7 (see --dry-run; --confirm-removals makes them)."


@pytest.mark.long
def test_many_removals_wait_until_they_are_confirmed(missed_ends: list[Hire]) -> None:
    out, last = undone()
    assert "(held: --confirm-removals makes it)" in out
    assert last == HELD
    assert all(each.grant.state == "GRANTED" for each in missed_ends)
    sync("--confirm-removals")
    assert all(each.grant.state == "REVOKED" for each in missed_ends)


@pytest.mark.long
def test_only_what_was_held_and_could_be_looked_at_is_confirmed(missed_ends: list[Hire]) -> None:
    out, last = undone("--confirm-removals")
    assert out.startswith("No removals were held that could be confirmed.\n")
    assert last == HELD
    assert all(each.grant.state == "GRANTED" for each in missed_ends)


@pytest.mark.long
def test_a_dry_run_counts_and_names_first_who_would_lose_access(
    opentrain: OpenTrain, missed_ends: list[Hire]
) -> None:
    opentrain.hire("Maria S.")
    first, *lines = sync("--dry-run").splitlines()
    assert first.endswith("… held removals of access: 7, other differences: 1")
    names = {f"Trainer {number} ({each.opentrain_user_id})" for number, each in enumerate(missed_ends)}
    ending = " (held: --confirm-removals makes it)"
    removals = [line for line in lines[:7] if line.startswith("  - contract") and line.endswith(ending)]
    assert {
        line.removesuffix(ending).partition(" has ended. Loses access: ")[2] for line in removals
    } == names
    assert lines[7].startswith("  + contract")


def test_a_dry_run_prints_a_bounded_number_of_other_differences(
    opentrain: OpenTrain, install: Install
) -> None:
    for _number in range(25):
        opentrain.hire()
    lines = sync("--dry-run").splitlines()
    assert lines[0].endswith("… other differences: 25")
    assert (len(lines), lines[-1]) == (22, "  and 5 more: see --json")
    [report] = json.loads(sync("--dry-run", "--json"))
    assert len(report["changes"]) == 25


@pytest.mark.long
def test_machines_get_json(missed_ends: list[Hire]) -> None:
    out, last = undone("--json")
    assert last == HELD
    [report] = json.loads(out)
    held = {each["text"]: each["loses"] for each in report["held"]}
    [(text, loses)] = [(text, loses) for text, loses in held.items() if missed_ends[0].id in text]
    assert text.endswith(" has ended")
    assert loses == [f"Trainer 0 ({missed_ends[0].opentrain_user_id})"]


def test_machines_get_the_errors_too(opentrain: OpenTrain, install: Install) -> None:
    globex = opentrain.connect("globex")
    opentrain.fail_next(status=500, match="GET /project-links")
    out, last = undone("--json")
    assert last == "Not done. Installs that could not be reconciled: 1 of 2."
    failed, well = json.loads(out)
    assert failed["error"].startswith("OpenTrain can't be reached: ")
    nothing: dict[str, list[str]] = {"changes": [], "held": [], "unsettled": [], "problems": []}
    assert well == {"install": globex.opentrain_id, "customer": "globex", "error": "", **nothing}


@pytest.mark.long
def test_removals_that_wait_because_all_are_refused_can_be_confirmed_here(
    opentrain: OpenTrain, install: Install
) -> None:
    opentrain.connect("globex")
    trainer = opentrain.hire("Maria S.", job=opentrain.link("p2").job_id)
    opentrain.run()
    opentrain.fail_next(status=401, times=1000)
    for _hour in range(27):
        opentrain.travel(hours=1)
        reconcile.request_all()
        opentrain.run()
    assert trainer.grant.state == "GRANTED"
    with pytest.raises(CommandError, match="2 of 2"):
        sync("--confirm-removals")
    assert trainer.grant.state == "REVOKED"


def test_access_that_is_not_as_it_should_be_is_shown_and_counted(
    opentrain: OpenTrain, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_adapter: object, _grant: object) -> str:
        raise AdapterError("403:\nno seats left")

    monkeypatch.setattr(AnyProjectAdapter, "grant_access", refuse)
    trainer = opentrain.hire("Maria S.")
    out, last = undone()
    assert out.endswith("Access grants converged or tried: 1.\n")
    assert last == "Not done. Access grants that keep failing: 1 (see opentrain_doctor)."
    out = sync("--dry-run")
    assert "other differences: 1" in out
    who = f"trainer {trainer.opentrain_user_id} on project p1"
    assert f"  ~ {who} is FAILED, and should be GRANTED: 403: no seats left\n" in out
    monkeypatch.undo()
    assert "Access grants converged or tried: 1.\n" in sync(), "the command doesn't wait for the next attempt"
    assert trainer.grant.state == "GRANTED"
