"""The operators' overview: what needs attention, and how things stand, each number with a link to its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from django.db.models import Model
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_opentrain import relative_time
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Heartbeat,
    Install,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.services import overview
from django_opentrain.services.conditions import Severity, runbook
from django_opentrain.services.health import BEAT_SILENT, CLOCK_SET_BACK
from django_opentrain.services.workers import heartbeat
from django_opentrain.web.presenters import charts
from django_opentrain.web.presenters.status import WANTED

Label = str | Promise
Moment = TypeVar("Moment", date, datetime)
Status = TypeVar("Status", WebhookEvent.Status, DailyUsage.Status)

#: By model: the URL of the list in which the reader may look at its rows.
Lists = Mapping[type[Model], str]

SEVERITIES: Final[Mapping[Severity, tuple[str, Any]]] = {
    Severity.ERROR: ("bad", gettext_lazy("error")),
    Severity.WARNING: ("warn", gettext_lazy("warning")),
    Severity.NOTE: ("off", gettext_lazy("note")),
}
#: What is wrong with the schedule, and what to do then.
SCHEDULE: Final[Mapping[str, tuple[Any, Any]]] = {
    BEAT_SILENT: (
        gettext_lazy("Nothing has run on schedule for more than five minutes"),
        gettext_lazy("Start celery beat (with our schedule) and a worker, or run opentrain_work from cron."),
    ),
    CLOCK_SET_BACK: (
        gettext_lazy("The last sweep ran ahead of this machine's clock"),
        gettext_lazy("Synchronise the clocks of all machines (NTP). The next sweep shortens what waits."),
    ),
}
#: By status: how it looks. What isn't named here is over.
TONES: Final[Mapping[str, str]] = {
    Install.Status.ACTIVE: "good",
    Install.Status.PENDING: "busy",
    Install.Status.UNAUTHORIZED: "bad",
    WebhookEndpoint.Status.DISABLED: "bad",
    WebhookEndpoint.Status.PAUSED: "warn",
    WebhookEndpoint.Status.RETIRING: "busy",
    Contract.BudgetState.OK: "good",
    Contract.BudgetState.LOW: "warn",
    Contract.BudgetState.DEPLETED: "bad",
    WebhookEvent.Status.PROCESSED: "good",
    WebhookEvent.Status.FAILED: "bad",
    DailyUsage.Status.DUE: "busy",
    DailyUsage.Status.REPORTED: "good",
    DailyUsage.Status.REFUSED: "bad",
}


@dataclass(frozen=True, kw_only=True)
class Number:
    """How many rows are in a state, with the list of exactly those."""

    tone: str
    label: Label
    count: int
    url: str


@dataclass(frozen=True, kw_only=True)
class Concern:
    """Something that needs attention."""

    tone: str
    severity: Label
    title: Label
    advice: Label
    runbook: str
    url: str
    #: How many rows; None where it is about none.
    count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """The numbers of a panel that belong together."""

    title: Label
    numbers: Sequence[Number]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """How many rows of a model are in which state."""

    name: str
    title: Label
    url: str
    groups: Sequence[Group]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of a chart's table: an hour, or a day."""

    label: str
    numbers: Sequence[Number]


@dataclass(frozen=True, kw_only=True)
class Course:
    """Numbers over time: the chart, its legend with the sums, its table (the newest first)."""

    name: str
    title: Label
    url: str
    #: What the chart says, in a sentence.
    summary: str
    chart: charts.Chart
    legend: Sequence[Number]
    #: The ends of the axis, and its middle.
    axis: tuple[str, str, str]
    unit: Label
    lines: Sequence[Line]
    #: What is said beside the chart, with its link.
    note: str = ""
    note_url: str = ""


@dataclass(frozen=True, kw_only=True)
class Beat:
    """Scheduled work, and when it last ran."""

    name: str
    moment: datetime
    age: str
    host: str
    tone: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All of it, as far as the reader may see."""

    concerns: Sequence[Concern]
    panels: Sequence[Panel]
    courses: Sequence[Course]
    beats: Sequence[Beat] | None


def describe(lists: Lists) -> Overview:
    """What a reader sees who may look at these lists. At most six statements."""
    schedule = overview.schedule() if Heartbeat in lists else None
    conditions = schedule.conditions if schedule else ()
    return Overview(
        concerns=[*_of_schedule(lists, conditions), *_concerns(lists)],
        panels=[*_panels(lists)],
        courses=[*_courses(lists)],
        beats=[_beat(lists, beat, conditions) for beat in schedule.beats] if schedule else None,
    )


def _rows(lists: Lists, model: type[Model], **lookups: object) -> str:
    return f"{lists[model]}?{urlencode(lookups)}"


# What needs attention -------------------------------------------------------------------------


def _of_schedule(lists: Lists, conditions: Sequence[str]) -> Iterator[Concern]:
    tone, severity = SEVERITIES[Severity.ERROR]
    for name in conditions:
        title, advice = SCHEDULE[name]
        yield Concern(
            tone=tone,
            severity=severity,
            title=title,
            advice=advice,
            runbook=runbook(name),
            url=lists[Heartbeat],
        )


def _concerns(lists: Lists) -> Iterator[Concern]:
    for condition, count in overview.conditions(lists):
        tone, severity = SEVERITIES[condition.severity]
        yield Concern(
            tone=tone,
            severity=severity,
            title=condition.title,
            advice=condition.advice,
            runbook=runbook(condition.name),
            url=_rows(lists, condition.model, attention=condition.name),
            count=count,
        )


# How things stand -----------------------------------------------------------------------------


def _panels(lists: Lists) -> Iterator[Panel]:
    counts = overview.states(lists)
    if Install in counts:
        yield _by_status(lists, Install, counts[Install])
    if WebhookEndpoint in counts:
        yield _by_status(lists, WebhookEndpoint, counts[WebhookEndpoint])
    if AccessGrant in counts:
        yield _access(lists, counts[AccessGrant])
    if Contract in counts:
        yield _budgets(lists, counts[Contract])


def _by_status(lists: Lists, model: type[Install | WebhookEndpoint], counts: overview.Counts) -> Panel:
    numbers = [
        Number(
            tone=TONES.get(status, "off"),
            label=status.label,
            count=counts[status,],
            url=_rows(lists, model, status__exact=status.value),
        )
        for status in model.Status
        if counts.get((status,))
    ]
    return Panel(
        name=str(model._meta.model_name),
        title=model._meta.verbose_name_plural or "",
        url=lists[model],
        groups=[Group(title="", numbers=numbers)],
    )


def _budgets(lists: Lists, counts: overview.Counts) -> Panel:
    active = Contract.Status.ACTIVE
    numbers = [
        Number(
            tone=TONES[state],
            label=state.label,
            count=counts[active, state],
            url=_rows(lists, Contract, status__exact=active.value, budget_state__exact=state.value),
        )
        for state in Contract.BudgetState
        if counts.get((active, state))
    ]
    return Panel(
        name="budgets",
        title=_("budgets of active contracts"),
        url=_rows(lists, Contract, status__exact=active.value),
        groups=[Group(title="", numbers=numbers)],
    )


def _access(lists: Lists, counts: overview.Counts) -> Panel:
    groups = [
        Group(title=WANTED[desired], numbers=[*_actual(lists, desired, counts)])
        for desired in AccessGrant.Desired
    ]
    return Panel(
        name="access",
        title=_("access, wanted and actual"),
        url=lists[AccessGrant],
        groups=[group for group in groups if group.numbers],
    )


def _actual(lists: Lists, desired: AccessGrant.Desired, counts: overview.Counts) -> Iterator[Number]:
    """The settled states first."""
    settled = AccessGrant.SETTLED[desired]
    for state in sorted(AccessGrant.State, key=lambda state: state not in settled):
        if count := counts.get((desired, state)):
            yield Number(
                tone=_tone_of_access(desired, state),
                label=state.label,
                count=count,
                url=_rows(lists, AccessGrant, desired__exact=desired.value, state__exact=state.value),
            )


def _tone_of_access(desired: AccessGrant.Desired, state: AccessGrant.State) -> str:
    if state == AccessGrant.State.FAILED:
        return "bad"
    if state == AccessGrant.State.REMOVED_BY_HAND or state not in AccessGrant.SETTLED[desired]:
        return "busy" if state == AccessGrant.State.PENDING else "warn"
    return "good" if desired == AccessGrant.Desired.GRANTED else "off"


# Over time ------------------------------------------------------------------------------------


def _courses(lists: Lists) -> Iterator[Course]:
    if WebhookEvent in lists:
        yield _events(lists)
    if DailyUsage in lists:
        yield _usage(lists)


#: The lowest part of a column first.
OUTCOMES: Final = (
    WebhookEvent.Status.PROCESSED,
    WebhookEvent.Status.IGNORED,
    WebhookEvent.Status.PENDING,
    WebhookEvent.Status.FAILED,
)
REPORTS: Final = (
    DailyUsage.Status.REPORTED,
    DailyUsage.Status.WITHHELD,
    DailyUsage.Status.DUE,
    DailyUsage.Status.REFUSED,
)


def _events(lists: Lists) -> Course:
    received, pending = overview.received(), overview.pending()
    note = ""
    if pending.since is not None:
        note = ngettext(
            "%(count)d event is pending; it was received %(age)s.",
            "%(count)d events are pending; the oldest was received %(age)s.",
            pending.count,
        ) % {"count": pending.count, "age": relative_time.age(pending.since)}

    def of_hours(since: datetime, until: datetime, status: WebhookEvent.Status) -> str:
        times = {"received_at__gte": since.isoformat(), "received_at__lt": until.isoformat()}
        return _rows(lists, WebhookEvent, status__exact=status.value, **times)

    end = received.hours[-1] + overview.HOUR
    lines = _lines(
        [(_hour(hour), hour) for hour in received.hours],
        OUTCOMES,
        received.counts,
        lambda hour, status: of_hours(hour, hour + overview.HOUR, status),
    )
    return _course(
        name="events",
        title=_("events per hour, of the last two days"),
        url=lists[WebhookEvent],
        unit=_("hour"),
        lines=lines,
        urls=[of_hours(received.hours[0], end, status) for status in OUTCOMES],
        note=note,
        note_url=_rows(lists, WebhookEvent, status__exact=WebhookEvent.Status.PENDING.value),
    )


def _usage(lists: Lists) -> Course:
    reported = overview.reported()

    def of_days(since: date, until: date, status: DailyUsage.Status) -> str:
        days = {"work_date__gte": since.isoformat(), "work_date__lte": until.isoformat()}
        return _rows(lists, DailyUsage, status__exact=status.value, **days)

    lines = _lines(
        [(date_format(day, "SHORT_DATE_FORMAT"), day) for day in reported.days],
        REPORTS,
        reported.counts,
        lambda day, status: of_days(day, day, status),
    )
    return _course(
        name="usage",
        title=_("daily usage, of the last two weeks"),
        url=lists[DailyUsage],
        unit=_("day"),
        lines=lines,
        urls=[of_days(reported.days[0], reported.days[-1], status) for status in REPORTS],
    )


def _lines(
    moments: Sequence[tuple[str, Moment]],
    statuses: Sequence[Status],
    counts: overview.Counts,
    url: Callable[[Moment, Status], str],
) -> list[Line]:
    """A line for each of these hours or days, which come with their labels."""
    return [
        Line(
            label=label,
            numbers=[
                Number(
                    tone=_tone(status),
                    label=status.label,
                    count=counts.get((moment, status), 0),
                    url=url(moment, status),
                )
                for status in statuses
            ],
        )
        for label, moment in moments
    ]


def _course(*, lines: Sequence[Line], urls: Sequence[str], **said: Any) -> Course:
    legend = [
        Number(
            tone=first.tone, label=first.label, url=url, count=sum(line.numbers[at].count for line in lines)
        )
        for at, (first, url) in enumerate(zip(lines[0].numbers, urls, strict=True))
    ]
    middle = lines[len(lines) // 2]
    return Course(
        summary=", ".join(f"{number.label}: {number.count}" for number in legend),
        chart=charts.stacked([_column(line) for line in lines]),
        legend=legend,
        axis=(lines[0].label, middle.label, lines[-1].label),
        lines=lines[::-1],
        **said,
    )


def _column(line: Line) -> tuple[str, list[tuple[str, int]]]:
    counted = ", ".join(f"{number.label}: {number.count}" for number in line.numbers if number.count)
    return f"{line.label}: {counted or 0}", [(number.tone, number.count) for number in line.numbers]


def _tone(status: str) -> str:
    return "busy" if status == WebhookEvent.Status.PENDING else TONES.get(status, "off")


def _hour(hour: datetime) -> str:
    local = timezone.localtime(hour)
    return f"{date_format(local, 'SHORT_DATE_FORMAT')} {date_format(local, 'TIME_FORMAT')}"


def _beat(lists: Lists, beat: Heartbeat, conditions: Sequence[str]) -> Beat:
    """One that has run; ``conditions`` are those of the sweep."""
    return Beat(
        name=beat.name,
        moment=beat.beat_at,
        age=relative_time.age(beat.beat_at),
        host=beat.host,
        tone="bad" if conditions and beat.name == heartbeat.SWEEP else "good",
        url=_rows(lists, Heartbeat, name__exact=beat.name),
    )
