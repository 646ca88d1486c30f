"""Usage: daily totals, collected from the host and reported to OpenTrain."""

from django_opentrain.services.usage.adding import add
from django_opentrain.services.usage.collecting import collect, correct
from django_opentrain.services.usage.measuring import unmeasured
from django_opentrain.services.usage.objections import answer, object_to, withdraw
from django_opentrain.services.usage.reporting import Report, report, report_again
from django_opentrain.services.usage.runs import collect_and_report
from django_opentrain.services.usage.totals import (
    last_day,
    normal_worker,
    record,
    today,
    write,
)
from django_opentrain.services.usage.withholding import report_withheld_hours, tracked_elsewhere

__all__ = [
    "Report",
    "add",
    "answer",
    "collect",
    "collect_and_report",
    "correct",
    "last_day",
    "normal_worker",
    "object_to",
    "record",
    "report",
    "report_again",
    "report_withheld_hours",
    "today",
    "tracked_elsewhere",
    "unmeasured",
    "withdraw",
    "write",
]
