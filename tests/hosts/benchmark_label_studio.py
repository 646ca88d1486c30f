"""What the work ledger costs inside Label Studio: adding to it, and deriving totals from it.

::

    tox -e label-studio -- -s benchmark_label_studio.py
    DJANGO_DB=default tox -e label-studio -- -s benchmark_label_studio.py -k totals   # on PostgreSQL

What is compared alternates, so that noise hits both. Not tests: they fail where a request fails, where the entry
takes more than a statement, or where both don't find the same days.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Count, Q, Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_opentrain.adapters import day_bounds, day_of
from django_opentrain.adapters.label_studio import model
from django_opentrain.models import Contract, WorkEntry
from django_opentrain.services import usage, work
from django_opentrain.services.work import observing
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.hosts.studio import Site, browser_of, choice

if not apps.is_installed("organizations"):
    pytest.skip("not inside Label Studio: run tox -e label-studio", allow_module_level=True)

PAIRS = 100
WARM_UP = 10


@pytest.mark.django_db(transaction=True)
def test_submitting(opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(opentrain)
    browser = browser_of(site.user_of(site.hire()))
    for _ in range(WARM_UP):
        submit(browser, site.own)
    insert, without, with_entry = observing._insert, [], []
    for _ in range(PAIRS):
        with monkeypatch.context() as patch:
            patch.setattr(observing, "_insert", lambda *_args: 0)
            without.append(submit(browser, site.own))
        assert observing._insert is insert
        with_entry.append(submit(browser, site.own))
    with CaptureQueriesContext(connection) as queries:
        submit(browser, site.own)
    ours = [query for query in queries if "workentry" in query["sql"]]
    ratio = statistics.median(more / less for more, less in zip(with_entry, without, strict=True))
    print(f"\n{PAIRS} pairs, {connection.vendor}: {statistics.median(without) * 1000:.0f} ms without,")
    print(
        f"{statistics.median(with_entry) * 1000:.0f} ms with the entry; ratio {ratio:.3f} (wanted: at most 1.10)"
    )
    print(f"{len(queries)} statements, {len(ours)} of them the entry's")
    assert len(ours) == 1


ANNOTATIONS = 200_000
CONTRACTS = 20
DAYS = 90
ROUNDS = 5


@pytest.mark.django_db(transaction=True)
def test_totals(opentrain: OpenTrain) -> None:
    """All days of all contracts, beside the query by which they would be summed up from Label Studio's own rows.

    Derived from the ledger, and collected as it is once a day: that reads the last days, and writes what differs.
    """
    site = Site(opentrain)
    hires = [site.hire() for _ in range(CONTRACTS)]
    for hire in hires:
        annotate(site, hire, ANNOTATIONS // CONTRACTS)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    until = opentrain.today
    since = until - timedelta(days=DAYS)
    Contract.objects.update(start_date=since)
    contracts = [hire.contract for hire in hires]

    def own_rows() -> int:
        return sum(len(days_of_own_rows(each, since, until)) for each in contracts)

    def ledger() -> int:
        return sum(len(list(work.day_totals(each, since, until))) for each in contracts)

    def collect() -> int:
        return sum(usage.collect(each.contract, recent_only=True) for each in hires)

    assert own_rows() == ledger() == collect() > 0
    assert collect() == 0, "all of it is collected"
    rounds = [[seconds_of(step) for step in (own_rows, ledger, collect)] for _ in range(ROUNDS)]
    print(f"\n{ANNOTATIONS} annotations of {CONTRACTS} contracts, {connection.vendor}")
    for number, name in enumerate(("own rows", "ledger, all days", "collected as each day")):
        median = statistics.median(each[number] for each in rounds)
        ratio = statistics.median(each[number] / each[0] for each in rounds)
        print(f"{name}: {median:.3f} s, ratio {ratio:.2f}")


def annotate(site: Site, hire: Hire, count: int) -> None:
    """So many annotations by the trainer over the last days, and an entry for each."""
    tasks = model("tasks.Task").objects.bulk_create(
        [model("tasks.Task")(project=site.own, data={"text": "Invoice"}) for _ in range(count)], 2000
    )
    annotations = model("tasks.Annotation").objects
    result = [choice(str(number)) for number in range(5)]
    new = {"project": site.own, "completed_by_id": int(hire.grant.host_user_ref), "lead_time": 30}
    rows = annotations.bulk_create(
        [annotations.model(task=task, result=result, result_count=5, **new) for task in tasks], 2000
    )
    end, pause = timezone.now(), timedelta(days=DAYS) / count
    for number, row in enumerate(rows):
        row.created_at = end - pause * number
    annotations.bulk_update(rows, ["created_at"], 2000)
    place = {
        "tenant": hire.grant.tenant,
        "opentrain_user_id": hire.opentrain_user_id,
        "external_project_id": hire.grant.external_project_id,
    }
    WorkEntry.objects.bulk_create(
        [
            WorkEntry(
                **place,
                key=f"{hire.id} {row.pk}",
                object_id=f"annotation {row.pk}",
                kind=WorkEntry.Kind.SUBMITTED,
                at=row.created_at,
                work_date=row.created_at.date(),
                duration=timedelta(seconds=30),
                tasks=1,
                labels=5,
                access_since=end - timedelta(days=DAYS + 1),
                observed_at=row.created_at,
            )
            for row in rows
        ],
        2000,
    )


def days_of_own_rows(contract: Contract, since: date, until: date) -> list[Any]:
    by_trainers = Q(pk__in=())
    for grant in contract.grants.exclude(host_user_ref="").select_related("link"):
        by_trainers |= Q(project=grant.external_project_id, completed_by=grant.host_user_ref)
    begin, end = day_bounds(since, until)
    rows = model("tasks.Annotation").objects.filter(
        by_trainers, was_cancelled=False, created_at__gte=begin, created_at__lt=end
    )
    worker = "completed_by__opentrain_account__opentrain_user_id"
    days = rows.annotate(day=day_of("created_at", since, until)).order_by("day").values("day", worker)
    return list(
        days.annotate(
            seconds=Sum("lead_time", filter=Q(lead_time__range=(0, 24 * 3600))),
            tasks=Count("task", distinct=True),
            labels=Sum("result_count"),
        )
    )


def seconds_of(step: Callable[[], int]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def submit(browser: Client, project: Any) -> float:
    """The seconds that one request takes."""
    task = model("tasks.Task").objects.create(project=project, data={"text": "Invoice 17"}, overlap=9)
    annotation = {"lead_time": 5, "result": [choice(str(number)) for number in range(5)]}
    began = time.perf_counter()
    response = browser.post(f"/api/tasks/{task.pk}/annotations/", annotation, content_type="application/json")
    took = time.perf_counter() - began
    assert response.status_code == 201
    return took
