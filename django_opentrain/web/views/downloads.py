"""CSV files of days and of the actions behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from django_opentrain.models import Contract, DailyUsage
from django_opentrain.services import usage, work
from django_opentrain.web.customers import of
from django_opentrain.web.decorators import customer_page, owned
from django_opentrain.web.forms import PeriodForm
from django_opentrain.web.presenters.contracts import with_trainers
from django_opentrain.web.presenters.downloads import DAY_COLUMNS, ENTRY_COLUMNS, day_rows, entry_rows
from django_opentrain.web.presenters.work import Names
from django_opentrain.web.spreadsheets import Row, download
from django_opentrain.web.views.days import days_of, parsed_day

#: Rows that are read at once.
BATCH: Final = 500
#: What the form proposes.
PERIOD: Final = timedelta(days=30)

Batch = Callable[[], Iterable[Row]]


@customer_page("GET", only_shows=True)
def choose(request: HttpRequest, tenant: str) -> HttpResponse:
    """From which day to which the customer's days are to be downloaded."""
    form = PeriodForm(initial={"since": usage.today() - PERIOD, "until": usage.today()})
    return render(request, "opentrain/download.html", {"form": form})


@customer_page("GET", only_shows=True)
def days(request: HttpRequest, tenant: str) -> HttpResponse:
    """The days of all of the customer's contracts, from ``?since=`` to ``?until=``."""
    form = PeriodForm(request.GET)
    if not form.is_valid():
        return render(request, "opentrain/download.html", {"form": form}, status=400)
    since, until = form.cleaned_data["since"], form.cleaned_data["until"]
    rows = DailyUsage.objects.filter(contract__install__tenant=tenant, work_date__range=(since, until))
    return download(request, f"opentrain-days-{since}-{until}", DAY_COLUMNS, _day_batches(rows))


@customer_page("GET", whose=of(Contract), only_shows=True)
def contract(request: HttpRequest, tenant: str, pk: int) -> HttpResponse:
    """All days of one contract."""
    return days_of_contract(request, owned(Contract.objects.all(), tenant, pk))


@customer_page("GET", whose=of(Contract), only_shows=True)
def entries(request: HttpRequest, tenant: str, pk: int, day: str) -> HttpResponse:
    """The actions of one day of a contract."""
    row = owned(with_trainers(Contract.objects.all()), tenant, pk)
    return entries_of_day(request, row, parsed_day(day))


def days_of_contract(request: HttpRequest, row: Contract, trainer_id: str = "") -> HttpResponse:
    """All days of a contract; ``trainer_id``: of this trainer alone."""
    batches = _day_batches(days_of(row, trainer_id))
    return download(request, f"opentrain-contract-{row.pk}-days", DAY_COLUMNS, batches)


def entries_of_day(request: HttpRequest, row: Contract, day: date, trainer_id: str = "") -> HttpResponse:
    """The actions of one day; ``trainer_id``: of this trainer alone."""
    found = work.entries(row, day, day, worker_id=trainer_id)
    batches = (partial(_entry_batch, found, start, Names(row)) for start in range(0, len(found), BATCH))
    return download(request, f"opentrain-contract-{row.pk}-{day}", ENTRY_COLUMNS, batches)


def _entry_batch(found: work.Entries, start: int, names: Names) -> Iterator[Row]:
    return entry_rows(found[start : start + BATCH], names)


def _day_batches(rows: Any) -> Iterator[Batch]:
    """In the order of the table's unique index: no batch sorts all rows."""
    rows = rows.order_by("contract", "worker_id", "work_date").prefetch_related(
        "contract__trainer", "contract__grants__participant"
    )
    batch = list(rows[:BATCH])
    while batch:
        yield partial(day_rows, batch)
        batch = list(rows.filter(_after(batch[-1]))[:BATCH])


def _after(row: DailyUsage) -> Q:
    later = Q(worker_id=row.worker_id, work_date__gt=row.work_date) | Q(worker_id__gt=row.worker_id)
    return Q(contract__gte=row.contract_id) & (Q(contract__gt=row.contract_id) | later)
