"""Days and the actions behind them, in the same words for the customer and for the trainer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_opentrain.conf import conf
from django_opentrain.models import Contract, DailyUsage, UsageObjection, WorkEntry
from django_opentrain.models.work import LONGEST_ACTION
from django_opentrain.web.presenters.status import moment

Kind = WorkEntry.Kind
_SECOND = timedelta(seconds=1)
_NOTHING = timedelta(0)


def hours_and_minutes(seconds: int) -> str:
    """A duration: ``3:07``."""
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}"


@dataclass(frozen=True)
class Names:
    """What the trainers and projects of a contract are called; of one that ``with_trainers`` has loaded no query."""

    contract: Contract

    def trainer_id(self, worker_id: str) -> str:
        """OpenTrain's user id, of the hired trainer too; "" if none is hired."""
        hired = self.contract.trainer
        return worker_id or (hired.opentrain_user_id if hired else "")

    def trainer(self, worker_id: str) -> str:
        """The name of a trainer; their id where no name is known."""
        if known := self.trainer_id(worker_id):
            return self.trainers.get(known, known)
        return _("Hired trainer")

    @cached_property
    def trainers(self) -> Mapping[str, str]:
        """By OpenTrain's user id."""
        hired = [self.contract.trainer] if self.contract.trainer else []
        with_access = [grant.participant for grant in self.contract.grants.all()]
        return {each.opentrain_user_id: str(each) for each in [*with_access, *hired]}

    @cached_property
    def projects(self) -> Mapping[str, str]:
        """By the host's id."""
        return {grant.external_project_id: str(grant.link) for grant in self.contract.grants.all()}


@dataclass(frozen=True, kw_only=True)
class DayLine:
    """One trainer's totals of one day."""

    row: DailyUsage
    trainer: str
    trainer_id: str
    #: The trainer's newest objection to it.
    objection: UsageObjection | None = None


@dataclass(frozen=True, kw_only=True)
class EntryLine:
    """One action.

    :param at: in ``USAGE_TIME_ZONE``, as days are.
    :param remark: why less counts than was claimed, or what else has to be known of it.
    """

    entry: WorkEntry
    at: datetime
    trainer: str
    project: str
    counted: timedelta
    remark: str


@dataclass(frozen=True, kw_only=True)
class ObjectionLine:
    """A trainer's objection."""

    row: UsageObjection
    trainer: str


def day_lines(
    rows: Iterable[DailyUsage], names: Names, objections: Iterable[UsageObjection] = ()
) -> list[DayLine]:
    """The rows, with their trainers and the newest of their objections, which are in the order of their keys."""
    newest = {(each.opentrain_user_id, each.work_date): each for each in objections}
    return [
        DayLine(
            row=row,
            trainer=names.trainer(row.worker_id),
            trainer_id=names.trainer_id(row.worker_id),
            objection=newest.get((names.trainer_id(row.worker_id), row.work_date)),
        )
        for row in rows
    ]


def objection_lines(objections: Iterable[UsageObjection], names: Names) -> list[ObjectionLine]:
    """The objections, with their trainers."""
    return [ObjectionLine(row=each, trainer=names.trainer(each.opentrain_user_id)) for each in objections]


def entry_lines(entries: Iterable[WorkEntry], names: Names) -> list[EntryLine]:
    """The entries, in words."""
    zone = ZoneInfo(conf.usage_time_zone)
    return [
        EntryLine(
            entry=entry,
            at=entry.at.astimezone(zone),
            trainer=names.trainer(entry.opentrain_user_id),
            project=names.projects.get(entry.external_project_id, entry.external_project_id),
            counted=entry.counted or _NOTHING,
            remark=_remark(entry),
        )
        for entry in entries
    ]


def _remark(entry: WorkEntry) -> str:
    if entry.kind == Kind.CORRECTED:
        return f"{entry.corrected_by}: {entry.reason}" if entry.corrected_by else entry.reason
    if entry.kind == Kind.REMOVED:
        return _("Others have removed this. What was counted for it stays.")
    if entry.kind == Kind.DELETED:
        return _("The trainer has deleted work of their own. What it had brought is taken back on this day.")
    return _why_less(entry)


def _why_less(entry: WorkEntry) -> str:
    """Why less time counts than was claimed, if it is less by what can be seen."""
    counted = entry.counted or _NOTHING
    if counted // _SECOND >= entry.duration // _SECOND:
        return ""
    if counted == LONGEST_ACTION:
        minutes = LONGEST_ACTION // timedelta(minutes=1)
        return ngettext(
            "One action counts for at most %(count)d minute.",
            "One action counts for at most %(count)d minutes.",
            minutes,
        ) % {"count": minutes}
    if counted == max(entry.at - entry.access_since, _NOTHING):
        return _("The trainer's access began on %(time)s. No time from before that counts.") % {
            "time": moment(entry.access_since)
        }
    # Not which: they may be another customer's.
    return _("The rest of this time is counted with other actions of the trainer: no second counts twice.")
