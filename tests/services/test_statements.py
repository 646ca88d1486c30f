"""How many statements the database gets, whatever else there is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_opentrain import tasks
from django_opentrain.models import Heartbeat, Install, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.services import usage
from django_opentrain.services.usage import runs
from django_opentrain.services.workers.locks import install_lock
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_install

pytestmark = pytest.mark.django_db


def test_a_lock_inside_the_same_lock_costs_nothing(django_assert_num_queries: Any) -> None:
    install, other = make_install(), make_install()
    with install_lock(install):
        with django_assert_num_queries(0), install_lock(install):
            pass
        with install_lock(other), django_assert_num_queries(0), install_lock(install):
            pass
        # Without row locks the row is written, and read.
        first = 3 if connection.features.has_select_for_update else 4
        with django_assert_num_queries(first), install_lock(other):
            pass
    with django_assert_num_queries(first), install_lock(install):
        pass


def sweep() -> tuple[int, str]:
    """How many statements the next sweep takes, and how the database runs those that read installs and links."""
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(seconds=30))
    with CaptureQueriesContext(connection) as captured:
        tasks.sweep()
    if connection.vendor != "postgresql":
        return len(captured), ""
    plans = []
    with connection.cursor() as cursor:
        for each in captured:
            if each["sql"].startswith(("SELECT", "UPDATE")):
                cursor.execute(f"EXPLAIN {each['sql']}".replace("%", "%%"))
                plans += [line for [line] in cursor.fetchall()]
    return len(captured), "\n".join(plans)


def test_a_sweep_with_nothing_to_do_takes_ten_statements_and_reads_no_whole_table() -> None:
    tasks.sweep()
    assert sweep()[0] <= 10
    now = timezone.now()
    Install.objects.bulk_create(
        Install(
            tenant=f"customer {number}",
            opentrain_id=f"inst_{number}",
            status=Install.Status.ACTIVE,
            reconciled_at=now,
            next_reconcile_at=None if number % 3 else now + timedelta(hours=1),
        )
        for number in range(5000)
    )
    ProjectLink.objects.bulk_create(
        ProjectLink(
            install=install,
            opentrain_id=f"link_{install.pk}",
            external_project_id=f"project-{install.pk}",
            status=ProjectLink.Status.ACTIVE,
        )
        for install in Install.objects.only("pk")
    )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    statements, plan = sweep()
    assert statements <= 10
    for table in (Install, ProjectLink):
        assert f"Seq Scan on {table._meta.db_table}" not in plan


def reporting(*hires: Hire, seconds: int) -> int:
    """How many statements a run takes that reports a day of each."""
    for hire in hires:
        usage.record(hire.contract, usage.today(), total_seconds=seconds)
    with CaptureQueriesContext(connection) as captured:
        assert runs.run_due() == len(hires)
    return len(captured)


def test_another_contract_takes_four_statements_to_report(linked: OpenTrain) -> None:
    first, second = linked.hire(), linked.hire()
    linked.run()
    reporting(first, second, seconds=60)  # the first budgets are new
    assert reporting(first, second, seconds=120) - reporting(first, seconds=180) == 4


def test_another_request_takes_no_statement(linked: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> None:
    hire = linked.hire()
    linked.travel(days=10)
    linked.run()
    monkeypatch.setattr(catalog, "MAX_USAGE_ENTRIES", 1)
    counts: list[int] = []
    for number in (1, 1, 3):  # the first one's budget is new
        for day in range(number):
            usage.record(hire.contract, usage.today() - timedelta(days=day), total_seconds=60 + len(counts))
        with CaptureQueriesContext(connection) as captured:
            assert runs.run_due() == number
        counts.append(len(captured))
    assert counts[1] == counts[2]


def test_an_error_that_is_over_is_cleared_once(linked: OpenTrain) -> None:
    hires = [linked.hire() for _number in range(3)]
    linked.run()
    reporting(*hires, seconds=60)
    usual = reporting(*hires, seconds=120)
    Install.objects.update(last_error="Refused.", last_error_code="FORBIDDEN")
    assert reporting(*hires, seconds=180) == usual + 1
