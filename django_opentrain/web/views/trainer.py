"""The trainer's own pages: the hours that their customers see, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.core.paginator import Paginator
from django.db.models import BigIntegerField, Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from django_opentrain.models import AccessGrant, Contract, DailyUsage, UsageObjection
from django_opentrain.platform.values import as_url
from django_opentrain.services import usage
from django_opentrain.web.decorators import trainer_page
from django_opentrain.web.notices import notice
from django_opentrain.web.presenters.contracts import with_trainers
from django_opentrain.web.presenters.work import Names, day_lines
from django_opentrain.web.trainers import Trainer
from django_opentrain.web.views.actions import attempt
from django_opentrain.web.views.contracts import DAYS_PER_PAGE, PER_PAGE
from django_opentrain.web.views.days import course_of, days_of, objections_to, page_of_day, parsed_day
from django_opentrain.web.views.downloads import days_of_contract, entries_of_day


@trainer_page("GET")
def index(request: HttpRequest, trainer: Trainer) -> HttpResponse:
    """Their contracts, the active ones first, with today's work."""
    rows = with_trainers(trainer.contracts()).order_by("status", "-pk")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    days = _today(trainer, list(page))
    context = {
        "page": page,
        "contracts": [
            (each, days.get(each.pk), _projects(each, trainer), _is_paused(each, trainer)) for each in page
        ],
        "today": usage.today(),
    }
    return render(request, "opentrain/work.html", context)


@trainer_page("GET")
def contract(request: HttpRequest, trainer: Trainer, pk: int) -> HttpResponse:
    """One contract: what is left of its budget, and each day's work of theirs."""
    row = _own(trainer, pk)
    if "day" in request.GET:
        return HttpResponseRedirect(_day_url(row, parsed_day(request.GET["day"])))
    days = days_of(row, trainer.opentrain_user_id).order_by("-work_date")
    page = Paginator(days, DAYS_PER_PAGE).get_page(request.GET.get("page"))
    objections = objections_to(row, [each.work_date for each in page], trainer.opentrain_user_id)
    context = {
        "contract": row,
        "page": page,
        "days": day_lines(page.object_list, Names(row), objections),
        "course": course_of(row, days, list(page)),
        "latest": usage.today(),
        "projects": _projects(row, trainer),
        "paused": _is_paused(row, trainer),
        "hours_elsewhere": usage.tracked_elsewhere(Contract.objects.filter(pk=row.pk)).exists(),
        "own": True,
        "notice": notice(request),
    }
    return render(request, "opentrain/work_contract.html", context)


@trainer_page("GET")
def day(request: HttpRequest, trainer: Trainer, pk: int, day: str) -> HttpResponse:
    """One day, with each action of theirs."""
    context = page_of_day(request, _own(trainer, pk), parsed_day(day), trainer.opentrain_user_id)
    # Of others under the same contract, nothing.
    shown: dict[str, Any] = {**context, "trainers": [], "many": False, "keep": "", "own": True}
    shown["may_object"] = not any(line.row.is_open for line in shown["objections"])
    return render(request, "opentrain/work_day.html", shown)


@trainer_page("GET")
def contract_csv(request: HttpRequest, trainer: Trainer, pk: int) -> HttpResponse:
    """All of their days under one contract."""
    return days_of_contract(request, _own(trainer, pk), trainer.opentrain_user_id)


@trainer_page("GET")
def day_csv(request: HttpRequest, trainer: Trainer, pk: int, day: str) -> HttpResponse:
    """Their actions of one day."""
    return entries_of_day(request, _own(trainer, pk), parsed_day(day), trainer.opentrain_user_id)


@trainer_page("POST")
def object_to(request: HttpRequest, trainer: Trainer, pk: int, day: str) -> HttpResponse:
    """They object to a day."""
    row, work_date = _own(trainer, pk), parsed_day(day)
    text, to = request.POST.get("text", ""), _day_url(row, parsed_day(day))
    return attempt(
        request,
        lambda: usage.object_to(row, work_date, opentrain_user_id=trainer.opentrain_user_id, text=text),
        "objected",
        to=to,
    )


@trainer_page("POST")
def withdraw(request: HttpRequest, trainer: Trainer, pk: int) -> HttpResponse:
    """They withdraw an objection."""
    _checked(pk)
    own = UsageObjection.objects.filter(
        opentrain_user_id=trainer.opentrain_user_id, contract__in=trainer.contracts()
    )
    row = get_object_or_404(own.select_related("contract"), pk=pk)
    to = _day_url(row.contract, row.work_date)
    return attempt(request, lambda: usage.withdraw(row), "objection-withdrawn", to=to)


def _day_url(row: Contract, day: date) -> str:
    return reverse("opentrain:work-day", kwargs={"pk": row.pk, "day": day.isoformat()})


def _checked(pk: int) -> None:
    if pk > BigIntegerField.MAX_BIGINT:
        raise Http404


def _own(trainer: Trainer, pk: int) -> Contract:
    """Another trainer's contract is not found."""
    _checked(pk)
    found: Contract = get_object_or_404(with_trainers(trainer.contracts()), pk=pk)
    return found


def _today(trainer: Trainer, contracts: list[Contract]) -> dict[int, DailyUsage]:
    """By contract: what they have done today. One query."""
    hired = [each.pk for each in contracts if usage.normal_worker(each, trainer.opentrain_user_id) == ""]
    others = [each.pk for each in contracts if each.pk not in hired]
    own = Q(contract__in=hired, worker_id="") | Q(contract__in=others, worker_id=trainer.opentrain_user_id)
    rows = DailyUsage.objects.filter(own, work_date=usage.today())
    return {row.contract_id: row for row in rows}


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """A project in which they work under a contract; ``url`` leads into it, while they may."""

    name: str
    url: str


def _projects(contract: Contract, trainer: Trainer) -> list[Workplace]:
    """The projects that they work in under this contract, each once: where it is open to them, with the way in."""
    places: dict[str, Workplace] = {}
    for grant in _grants(contract, trainer):
        has_access = grant.state == grant.desired == AccessGrant.State.GRANTED
        url = as_url(grant.link.external_project_url) if has_access else ""
        if url or str(grant.link) not in places:
            places[str(grant.link)] = Workplace(name=str(grant.link), url=url)
    return list(places.values())


def _is_paused(contract: Contract, trainer: Trainer) -> bool:
    """Whether a project is closed to them under this contract while its budget is used up."""
    return any(each.desired == AccessGrant.Desired.PAUSED for each in _grants(contract, trainer))


def _grants(contract: Contract, trainer: Trainer) -> list[AccessGrant]:
    return [
        each
        for each in contract.grants.all()
        if each.participant.opentrain_user_id == trainer.opentrain_user_id
    ]
