"""A day of a contract: its totals, and the actions behind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from django_opentrain.adapters import get_adapter
from django_opentrain.conf import conf
from django_opentrain.models import Contract, DailyUsage, UsageObjection
from django_opentrain.models.objections import MAX_TEXT
from django_opentrain.services import usage, work
from django_opentrain.web.customers import of
from django_opentrain.web.decorators import customer_page, owned
from django_opentrain.web.notices import notice
from django_opentrain.web.presenters.contracts import with_trainers
from django_opentrain.web.presenters.course import Course, course, units_of
from django_opentrain.web.presenters.work import Names, day_lines, entry_lines, objection_lines

ENTRIES_PER_PAGE: Final = 100
#: Trainers whose totals of one day are shown.
MAX_TRAINERS: Final = 100
#: Objections that are shown, or looked for.
MAX_OBJECTIONS: Final = 1000
#: No work was done before that.
FIRST_DAY: Final = date(2000, 1, 1)


@dataclass(frozen=True, kw_only=True)
class TrainerChoice:
    """One trainer of a contract that has several."""

    name: str
    query: str
    chosen: bool


@customer_page("GET", whose=of(Contract), only_shows=True)
def detail(request: HttpRequest, tenant: str, pk: int, day: str) -> HttpResponse:
    """All trainers of the contract, or ``?trainer=`` one."""
    contract = owned(with_trainers(Contract.objects.all()), tenant, pk)
    trainer_id = request.GET.get("trainer", "")
    if trainer_id not in Names(contract).trainers:
        trainer_id = ""
    context = page_of_day(request, contract, parsed_day(day), trainer_id)
    return render(request, "opentrain/day.html", context)


def parsed_day(text: str) -> date:
    """A day as URLs have it: ISO, in one spelling. Raises ``Http404``, also for what can't be a day of work."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Http404 from None
    if day.isoformat() != text or not FIRST_DAY <= day <= usage.today() + timedelta(days=1):
        raise Http404
    return day


def page_of_day(request: HttpRequest, contract: Contract, day: date, trainer_id: str = "") -> dict[str, Any]:
    """What the page says of the day, in a fixed number of queries. ``trainer_id``: of this trainer alone."""
    names = Names(contract)
    entries = work.entries(contract, day, day, worker_id=trainer_id)
    page = Paginator(entries, ENTRIES_PER_PAGE).get_page(request.GET.get("page"))
    objections = objections_to(contract, [day], trainer_id)
    rows = days_of(contract, trainer_id).filter(work_date=day).order_by("worker_id")[:MAX_TRAINERS]
    return {
        "contract": contract,
        "day": day,
        "days": day_lines(rows, names),
        "objections": objection_lines(objections, names),
        "max_text": MAX_TEXT,
        "trainer_id": trainer_id,
        "trainer": names.trainer(trainer_id) if trainer_id else "",
        "many": len(names.trainers) > 1,
        "trainers": [
            TrainerChoice(name=name, query=urlencode({"trainer": key}), chosen=key == trainer_id)
            for key, name in islice(names.trainers.items(), MAX_TRAINERS)
        ],
        "page": page,
        "keep": f"{urlencode({'trainer': trainer_id})}&" if trainer_id else "",
        "lines": entry_lines(page.object_list, names),
        "zone": conf.usage_time_zone,
        "observes_work": get_adapter().observes_work,
        "kept_days": conf.work_retention_days,
        "notice": notice(request),
    }


def days_of(contract: Contract, trainer_id: str = "") -> Any:
    """The contract's totals; of this trainer alone if there is one."""
    rows = DailyUsage.objects.filter(contract=contract)
    return rows.filter(worker_id=usage.normal_worker(contract, trainer_id)) if trainer_id else rows


def course_of(contract: Contract, days: Any, shown: Sequence[DailyUsage]) -> Course | None:
    """The work up to the newest of the days that a page shows, in the unit by which it is paid."""
    return course(days, shown[0].work_date, *units_of(contract)) if shown else None


def objections_to(contract: Contract, days: Iterable[date], trainer_id: str = "") -> Sequence[UsageObjection]:
    """The trainers' objections to these days; of this trainer alone if there is one. One query."""
    rows = UsageObjection.objects.filter(contract=contract, work_date__in=list(days)).order_by("pk")
    own = rows.filter(opentrain_user_id=trainer_id) if trainer_id else rows
    return list(own[:MAX_OBJECTIONS])
