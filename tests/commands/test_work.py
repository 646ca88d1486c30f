"""``opentrain_work``: a site without Celery."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from django_opentrain.models import ConsentRequest, Install
from django_opentrain.services import sweep
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.played import a_customer


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("opentrain_work", *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.parametrize("pause", ["-5", "nan", "inf", "1e9", "soon"])
def test_a_pause_that_is_none_is_refused(pause: str) -> None:
    with pytest.raises(CommandError, match="--pause"):
        run("--forever", "--pause", pause)


@pytest.mark.usefixtures("any_project")
class TestOnce:
    def test_what_came_in_takes_effect(self, opentrain: OpenTrain) -> None:
        a_customer(opentrain)
        opentrain.link("p1")
        trainer = opentrain.hire("Maria S.")
        opentrain.deliver()
        assert "events 2, grants 1," in run()
        assert trainer.grant.state == "GRANTED"
        assert User.objects.get().groups.get().name == "opentrain:acme:p1"

    def test_nothing_to_do_is_nothing_to_say(self, opentrain: OpenTrain) -> None:
        a_customer(opentrain)
        assert run() == ""

    def test_each_hour_it_asks_what_was_missed(self, opentrain: OpenTrain) -> None:
        a_customer(opentrain)
        opentrain.link("p1")
        opentrain.run()
        trainer = opentrain.hire("Maria S.")
        assert run() == ""
        opentrain.travel(minutes=61)
        assert "installs reconciled 1" in run()
        assert trainer.grant.state == "GRANTED"

    def test_it_forgets_what_is_past_its_retention(self, opentrain: OpenTrain) -> None:
        long_ago = timezone.now() - timedelta(days=2)
        factories.make_consent_request(factories.make_user(), expires_at=long_ago)
        assert "unfinished connections 1" in run()
        assert not ConsentRequest.objects.exists()

    def test_from_cron_each_minute_it_forgets_once_an_hour(self, opentrain: OpenTrain) -> None:
        run()
        long_ago = timezone.now() - timedelta(days=2)
        factories.make_consent_request(factories.make_user(), expires_at=long_ago)
        opentrain.travel(minutes=59)
        assert run() == ""
        opentrain.travel(minutes=2)
        assert "unfinished connections 1" in run()


@pytest.mark.django_db
class TestForever:
    @pytest.fixture(autouse=True)
    def _handlers(self) -> Iterator[None]:
        before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
        yield
        for number, handler in before:
            signal.signal(number, handler)

    @pytest.fixture(autouse=True)
    def _connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Between rounds it closes what is old or broken; the test's own connection has to live."""
        monkeypatch.setattr(
            "django_opentrain.management.commands.opentrain_work.close_old_connections", lambda: None
        )

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_goes_on_until_it_is_told_to_stop(
        self, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
    ) -> None:
        rounds = []

        def one_round(**_how: object) -> sweep.WorkReport:
            rounds.append(threading.get_ident())
            if len(rounds) == 3:
                os.kill(os.getpid(), number)
            return sweep.WorkReport(events=len(rounds), grants=0, installs=0, budgets=0)

        monkeypatch.setattr("django_opentrain.services.sweep.run", one_round)
        out = run("--forever", "--pause", "0.01")
        assert [line.split(",")[0] for line in out.splitlines()] == [f"done: events {n}" for n in (1, 2, 3)]

    def test_a_database_that_went_away_is_no_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rounds = []

        def one_round(**_how: object) -> sweep.WorkReport:
            rounds.append(1)
            if len(rounds) == 1:
                raise OperationalError("password=secret")
            os.kill(os.getpid(), signal.SIGTERM)
            return sweep.WorkReport(events=0, grants=0, installs=0, budgets=0)

        monkeypatch.setattr("django_opentrain.services.sweep.run", one_round)
        out = run("--forever", "--pause", "0.01")
        assert "The database failed (OperationalError)" in out
        assert "secret" not in out
        assert len(rounds) == 2


@pytest.mark.django_db
def test_installs_that_are_gone_are_left_alone(settings: Any) -> None:
    install = factories.make_install(status=Install.Status.REVOKED)
    run()
    install.refresh_from_db()
    assert install.next_reconcile_at is None
