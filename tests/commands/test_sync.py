"""``opentrain_sync``."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from django_opentrain.models import Contract, Install
from django_opentrain.services.locks import lease
from django_opentrain.testing.kit import OpenTrain

pytestmark = pytest.mark.usefixtures("any_project")


def sync(*arguments: str) -> str:
    out = StringIO()
    call_command("opentrain_sync", *arguments, stdout=out, stderr=out, no_color=True)
    return out.getvalue()


@pytest.fixture
def install(opentrain: OpenTrain) -> Install:
    """Connected, with a project linked and nothing left to do."""
    install = opentrain.connect()
    opentrain.link("p1")
    opentrain.run()
    return install


def test_it_finds_what_no_webhook_told(opentrain: OpenTrain, install: Install) -> None:
    trainer = opentrain.hire("Maria S.")
    out = sync()
    assert "[1/1] acme" in out
    assert "  + contract" in out
    assert "grants of access settled" in out
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


@pytest.mark.parametrize("unknown", ["999999", "ins_nobody", "²"])
def test_an_unknown_install_is_an_error(install: Install, unknown: str) -> None:
    with pytest.raises(CommandError, match="No connected install has this id"):
        sync("--install", unknown)


def test_one_that_fails_does_not_keep_the_others_waiting(opentrain: OpenTrain, install: Install) -> None:
    opentrain.connect("globex")
    opentrain.fail_next(status=500, times=1)
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 2 installs could not be reconciled"):
        call_command("opentrain_sync", stdout=out, no_color=True)
    assert "ServerError" in out.getvalue()
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


def test_many_removals_wait_until_they_are_confirmed(opentrain: OpenTrain, install: Install) -> None:
    hires = [opentrain.hire(f"Trainer {number}") for number in range(7)]
    opentrain.run()
    # The events of their ends were lost: only the lists tell.
    for each in hires:
        opentrain.end(each)
    Install.objects.update(next_reconcile_at=None)
    assert "(held: --confirm-removals makes it)" in sync()
    assert all(each.grant.state == "GRANTED" for each in hires)
    sync("--confirm-removals")
    assert all(each.grant.state == "REVOKED" for each in hires)
