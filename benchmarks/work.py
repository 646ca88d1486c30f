"""What the work ledger costs: deriving totals, beside the query that sums up all of a host's own rows.

::

    python -m benchmarks.work [--entries 200000] [--contracts 20] [--rounds 5]

The floor is what a host's ``collect_usage`` would do, over as many annotations of the example's. Beside it: what is
collected at least once a day (``usage.collect``, which reads the last days of a ledger, and writes what differs), its
query alone, and the same over all days, as for contracts that turn out to have other hours. They are run for all
contracts in alternating rounds; printed are the medians, and the medians of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Count, F, Sum  # noqa: E402
from django.test.utils import override_settings, setup_databases, teardown_databases  # noqa: E402
from django.utils import timezone  # noqa: E402

from django_opentrain.adapters import OpenTrainAdapter, day_bounds, day_of  # noqa: E402
from django_opentrain.models import AccessGrant, Contract, WorkEntry  # noqa: E402
from django_opentrain.services import usage, work  # noqa: E402
from django_opentrain.services.usage.collecting import RECENT  # noqa: E402
from example_project.labelling.models import Annotation, Project, Team, TextTask  # noqa: E402
from tests.factories import (  # noqa: E402
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


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--contracts", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        project = Project.objects.create(team=Team.objects.create(name="acme"), name="Streets")
        each = options.entries // options.contracts
        contracts = [hire(number, project, each) for number in range(options.contracts)]
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE" if connection.vendor != "mysql" else "SELECT 1")
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

        steps = floor, collect, last_days, all_days
        with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Observing"}):
            assert floor() == all_days() == collect() > last_days() > 0
            assert collect() == 0, "all of it is collected"
            rounds = [[seconds(step) for step in steps] for _ in range(options.rounds)]
    finally:
        teardown_databases(databases, verbosity=0)
    print(f"{options.entries} entries of {options.contracts} contracts, {connection.vendor}")
    for name, number in (
        ("the host's own rows", 0),
        ("collected", 1),
        ("the last days", 2),
        ("all days", 3),
    ):
        median = statistics.median(each[number] for each in rounds)
        ratio = statistics.median(each[number] / each[0] for each in rounds)
        print(f"{name:20} {median:.3f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
