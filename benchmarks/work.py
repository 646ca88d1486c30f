"""What the work ledger costs: deriving totals, beside the query that sums up all of a host's own rows.

::

    python -m benchmarks.work [--entries 200000] [--contracts 20] [--rounds 5]

The floor is what a host's ``collect_usage`` would do, over as many annotations of the example's. Beside it: what is
collected at least once a day (``usage.collect``, which reads the last days of a ledger, and writes what differs), its
query alone, and the same over all days, as for contracts that turn out to have other hours. They are run for all
contracts in alternating rounds; printed are the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Count, F, Sum
from django.test import override_settings
from django.utils import timezone

from benchmarks.lines import Line, command
from benchmarks.site import database
from django_opentrain.adapters import OpenTrainAdapter, day_bounds, day_of
from django_opentrain.models import AccessGrant, Contract, WorkEntry
from django_opentrain.services import usage, work
from django_opentrain.services.usage.collecting import RECENT
from example_project.labelling.models import Annotation, Project, Team, TextTask
from tests.factories import (
    make_contract,
    make_grant,
    make_install,
    make_link,
    make_participant,
    make_trainer_account,
    make_user,
)

DAYS = 90


class Observing(OpenTrainAdapter):
    """A host with a ledger."""

    observes_work = True


def hire(number: int, project: Project, entries: int) -> Contract:
    """A contract with this many annotations, and as many entries of the ledger, over the last days."""
    install = make_install(f"team {number}")
    trainer = make_participant(install, opentrain_user_id=f"usr_{number}")
    user = make_user(f"trainer{number}")
    make_trainer_account(user, opentrain_user_id=trainer.opentrain_user_id)
    link = make_link(install, external_project_id=str(project.pk))
    begin = timezone.now() - timedelta(days=DAYS)
    contract = make_contract(install, [link], trainer=trainer, start_at=begin, start_date=begin.date())
    make_grant(
        contract,
        link,
        trainer,
        state=AccessGrant.State.GRANTED,
        host_user_ref=str(user.pk),
        opened_project_id=link.external_project_id,
        granted_at=begin,
    )
    pause = timedelta(days=DAYS) / entries
    moments = [begin + pause * each for each in range(1, entries + 1)]
    _annotate(contract, project, user.pk, moments)
    WorkEntry.objects.bulk_create(
        [
            WorkEntry(
                key=f"{number} {each}",
                tenant=install.tenant,
                opentrain_user_id=trainer.opentrain_user_id,
                external_project_id=link.external_project_id,
                object_id=f"task {number} {each}",
                kind=WorkEntry.Kind.SUBMITTED,
                at=at,
                work_date=at.date(),
                duration=timedelta(seconds=30),
                tasks=1,
                labels=1,
                access_since=begin,
                observed_at=at,
            )
            for each, at in enumerate(moments)
        ],
        batch_size=2000,
    )
    return contract


def _annotate(contract: Contract, project: Project, user: int, moments: list[datetime]) -> None:
    tasks = TextTask.objects.bulk_create(
        [TextTask(project=project, text="text") for _ in moments], batch_size=2000
    )
    rows = [Annotation(task=task, user_id=user, contract=contract, label="a", seconds=30) for task in tasks]
    for row, at in zip(Annotation.objects.bulk_create(rows, batch_size=2000), moments, strict=True):
        row.created_at = at
    Annotation.objects.bulk_update(rows, ["created_at"], batch_size=2000)


def own_rows(contract: Contract, since: date, until: date) -> int:
    """How many days a host finds in its own rows."""
    begin, end = day_bounds(since, until)
    rows = Annotation.objects.filter(contract=contract, created_at__gte=begin, created_at__lt=end)
    rows = rows.annotate(
        day=day_of("created_at", since, until), worker=F("user__opentrain_account__opentrain_user_id")
    )
    days = rows.order_by("day").values("day", "worker")
    return len(days.annotate(seconds=Sum("seconds"), tasks=Count("task", distinct=True), labels=Count("pk")))


def seconds(step: Callable[[], int]) -> float:
    """How long it took."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """What each way to the totals takes."""
    adapter = f"{__name__}.{Observing.__name__}"
    with database(), override_settings(OPENTRAIN={**settings.OPENTRAIN, "ADAPTER": adapter}):
        steps = _steps(_hire_all(options.contracts, options.entries // options.contracts))
        rounds = [[seconds(step) for step in steps.values()] for _ in range(options.rounds)]
    floor, *ours = (statistics.median(each) * 1000 for each in zip(*rounds, strict=True))
    for name, took in zip([*steps][1:], ours, strict=True):
        yield Line(name=name, unit="ms", ours=took, floor=floor)


def _hire_all(contracts: int, entries: int) -> list[Contract]:
    project = Project.objects.create(team=Team.objects.create(name="acme"), name="Streets")
    hired = [hire(number, project, entries) for number in range(contracts)]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor != "mysql" else "SELECT 1")
    return hired


def _steps(contracts: list[Contract]) -> dict[str, Callable[[], int]]:
    """The floor first. Checks that all find the same."""
    since, until = usage.today() - timedelta(days=DAYS), usage.today()

    def floor() -> int:
        return sum(own_rows(each, since, until) for each in contracts)

    def collect() -> int:
        rows = Contract.objects.filter(pk__in=[each.pk for each in contracts]).select_related("trainer")
        return sum(usage.collect(each, recent_only=True) for each in rows)

    def last_days() -> int:
        return sum(len(list(work.day_totals(each, until - RECENT, until))) for each in contracts)

    def all_days() -> int:
        return sum(len(list(work.day_totals(each, since, until))) for each in contracts)

    assert floor() == all_days() == collect() > last_days() > 0
    assert collect() == 0, "all of it is collected"
    return {
        "the host's own rows": floor,
        "collected": collect,
        "the last days": last_days,
        "all days": all_days,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.work", description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--contracts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    command(measure, parser)


if __name__ == "__main__":
    main()
