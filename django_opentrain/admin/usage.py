"""Daily usage."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_opentrain.admin import services
from django_opentrain.admin.actions import Selection, operation
from django_opentrain.admin.base import AttentionFilter, CustomerFilter, LatestRows, OpenTrainAdmin
from django_opentrain.admin.columns import (
    EMPTY,
    MAX_NAME_SHOWN,
    Tone,
    age_column,
    badge_column,
    column,
    problem_column,
    short_column,
    shortened,
    whole_problem_column,
)
from django_opentrain.admin.customers import customer_column
from django_opentrain.models import Contract, DailyUsage, UsageObjection
from django_opentrain.models.objections import MAX_TEXT
from django_opentrain.models.work import MAX_COUNT, MAX_REASON

USAGE_TONES: Final[Mapping[str, Tone]] = {
    DailyUsage.Status.DUE: "busy",
    DailyUsage.Status.REPORTED: "good",
    DailyUsage.Status.REFUSED: "bad",
    DailyUsage.Status.WITHHELD: "off",
}

MAX_SHOWN: Final = 100


def worked(row: DailyUsage) -> str:
    """Hours and minutes."""
    if row.total_seconds is None:
        return EMPTY
    hours, seconds = divmod(row.total_seconds, 3600)
    return f"{hours}:{seconds // 60:02}"


def worker(row: DailyUsage) -> str:
    """OpenTrain's user id; of the hired trainer the name, where it is known."""
    return row.worker_id or str(row.contract.trainer or _("hired trainer"))


class UsageRows(LatestRows):
    model = DailyUsage
    verbose_name_plural = gettext_lazy("last days")
    ordering: ClassVar[tuple[str, ...]] = ("-work_date", "-pk")
    fields = ("work_date", "who", "time", "tasks_completed", "labels_completed", "state", "trouble")
    who = column(gettext_lazy("worker"), worker)
    time = column(gettext_lazy("hours"), worked)
    state = badge_column("status", gettext_lazy("state"), USAGE_TONES)
    trouble = problem_column("error")


class UsageCustomer(CustomerFilter):
    path = "contract__install"


class AnswerForm(forms.Form):
    """What the trainer reads."""

    reason = forms.CharField(label=gettext_lazy("Answer"), max_length=MAX_TEXT, widget=forms.Textarea)


CORRECTING: Final = gettext_lazy(
    "An entry with your name and the reason is added to the work ledger; nothing is changed there. The day's totals"
    " follow from it, and are reported again. What is taken off beyond zero is taken off later days."
)


class CorrectionForm(forms.Form):
    """What is added to a day, or taken off it."""

    minutes = forms.IntegerField(
        label=gettext_lazy("Minutes"),
        required=False,
        min_value=-1440,
        max_value=1440,
        help_text=gettext_lazy("Negative: taken off."),
    )
    tasks = forms.IntegerField(
        label=gettext_lazy("Tasks"), required=False, min_value=-MAX_COUNT, max_value=MAX_COUNT
    )
    labels = forms.IntegerField(
        label=gettext_lazy("Labels"), required=False, min_value=-MAX_COUNT, max_value=MAX_COUNT
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=MAX_REASON,
        help_text=gettext_lazy("Customer and trainer read it."),
    )
    # A button that is pressed twice corrects once.
    key = forms.CharField(
        widget=forms.HiddenInput, max_length=64, required=False, initial=lambda: uuid4().hex
    )

    def clean(self) -> dict[str, Any]:
        if not any(self.cleaned_data.get(name) for name in ("minutes", "tasks", "labels")):
            raise forms.ValidationError(_("Say what is to be corrected: time, tasks or labels."))
        return self.cleaned_data

    @staticmethod
    def amounts(values: Mapping[str, Any]) -> dict[str, Any]:
        """As ``services.usage.correct`` takes them."""
        return {
            "seconds": (values["minutes"] or 0) * 60,
            "tasks": values["tasks"] or 0,
            "labels": values["labels"] or 0,
            "reason": values["reason"],
            "key": values["key"],
        }


def is_one(selection: Selection[Any]) -> bool:
    """Whether one row is selected; else it says that there may be no more."""
    one = len(selection.keys) == 1
    if not one:
        messages.error(selection.request, _("Select one row: each correction is one day's."))
    return one


class UsageObjectionAdmin(OpenTrainAdmin):
    """What trainers object to a day of theirs."""

    list_display = ("work_date", "state", "made", "shown", "trainer", "hire", "customer")
    list_select_related = ("contract__install",)
    list_filter = (AttentionFilter, UsageCustomer, "status")
    search_fields = (
        "opentrain_user_id__exact",
        "contract__opentrain_id__exact",
        "contract__title__startswith",
        "contract__install__tenant__exact",
    )
    search_help_text = gettext_lazy(
        "The beginning of the contract's title; or in full: an id of the contract or trainer, or the customer"
    )
    ordering = ("-pk",)
    actions = ("answer_and_close",)
    fields = (
        "contract",
        "customer",
        "opentrain_user_id",
        "work_date",
        "state",
        "text",
        "answer",
        "closed_by",
        "created_at",
        "closed_at",
    )

    tenant_path = "contract__install__tenant"
    customer = customer_column(tenant_path)
    trainer = short_column("opentrain_user_id", gettext_lazy("trainer"))
    hire = short_column("contract", gettext_lazy("contract"), MAX_NAME_SHOWN * 3 // 4)
    state = badge_column("status", gettext_lazy("state"), {UsageObjection.Status.OPEN: "warn"})
    shown = column(gettext_lazy("text"), lambda row: Truncator(row.text).chars(MAX_SHOWN) or EMPTY)
    made = age_column("created_at", gettext_lazy("made"))

    @operation(
        gettext_lazy("Answer and close"),
        consequence=gettext_lazy(
            "The trainer and the customer read your answer beside the day, and the objection is closed. No hours"
            " change."
        ),
        applies=Q(status=UsageObjection.Status.OPEN),
        form=AnswerForm,
    )
    def answer_and_close(self, selection: Selection[UsageObjection]) -> int:
        text, by = selection.values["reason"], selection.operator
        return selection.each(lambda row: services.usage.answer(row, text, by=by))


class DailyUsageAdmin(OpenTrainAdmin):
    """Each worker's totals of each day, and whether OpenTrain has them."""

    list_display = (
        "work_date",
        "time",
        "tasks",
        "labels",
        "state",
        "reported",
        "who_cut",
        "hire",
        "customer",
        "trouble",
    )
    list_select_related = ("contract__install", "contract__trainer")
    list_filter = (AttentionFilter, UsageCustomer, "status", "hours_withheld", "work_date")
    search_fields = (
        "contract__opentrain_id__exact",
        "contract__title__startswith",
        "contract__trainer__display_name__startswith",
        "contract__trainer__opentrain_user_id__exact",
        "worker_id__exact",
        "contract__install__tenant__exact",
    )
    search_help_text = gettext_lazy(
        "The beginning of the contract's title or of the trainer's name; or in full: an id of the contract or"
        " worker, or the customer"
    )
    ordering = ("-work_date", "-pk")
    # By its other columns a large table would be sorted as a whole.
    sortable_by = ("work_date",)
    actions = ("report_again", "report_hours", "correct")
    fieldsets = (
        (None, {"fields": ("contract", "customer", "work_date", "who")}),
        (
            gettext_lazy("Totals"),
            {"fields": ("time", "total_seconds", "hours_withheld", "tasks_completed", "labels_completed")},
        ),
        (
            gettext_lazy("Report"),
            {
                "fields": (
                    "state",
                    "error_shown",
                    "retry_at",
                    "reported_at",
                    "external_report_id",
                    "revision",
                    "reported_revision",
                )
            },
        ),
        (gettext_lazy("Times"), {"fields": ("created_at", "updated_at")}),
    )

    tenant_path = "contract__install__tenant"
    customer = customer_column(tenant_path)
    who = column(gettext_lazy("worker"), worker)
    who_cut = column(gettext_lazy("worker"), lambda row: shortened(worker(row), MAX_NAME_SHOWN // 2))
    hire = short_column("contract", gettext_lazy("contract"), MAX_NAME_SHOWN * 3 // 4)
    tasks = column(gettext_lazy("tasks"), lambda row: row.tasks_completed)
    labels = column(gettext_lazy("labels"), lambda row: row.labels_completed)
    time = column(gettext_lazy("hours"), worked)
    state = badge_column("status", gettext_lazy("state"), USAGE_TONES)
    reported = age_column("reported_at", gettext_lazy("reported"))
    trouble = problem_column("error")
    error_shown = whole_problem_column("error", gettext_lazy("problem"))

    @operation(
        gettext_lazy("Report again"),
        consequence=gettext_lazy(
            "Workers send these totals to OpenTrain again. They replace OpenTrain's totals of these"
            " days, so sending them twice is harmless."
        ),
    )
    def report_again(self, selection: Selection[DailyUsage]) -> int:
        return selection.in_bulk(services.usage.report_again)

    @operation(
        gettext_lazy("Report withheld hours"),
        consequence=gettext_lazy(
            "Workers send the hours of these days, which were tracked elsewhere, to OpenTrain as well: if they were"
            " counted there already, they may be paid twice. While a link of the contract withholds hours, nothing"
            " is sent."
        ),
        applies=Q(hours_withheld=True),
    )
    def report_hours(self, selection: Selection[DailyUsage]) -> int:
        return selection.in_bulk(services.usage.report_withheld_hours)

    @operation(
        gettext_lazy("Correct"),
        consequence=CORRECTING,
        form=CorrectionForm,
    )
    def correct(self, selection: Selection[DailyUsage]) -> int:
        amounts = CorrectionForm.amounts(selection.values)
        return selection.each(partial(_correct, amounts, selection.operator)) if is_one(selection) else 0


def _correct(amounts: dict[str, Any], by: str, row: DailyUsage) -> None:
    contract = Contract.objects.select_related("trainer", "install").get(pk=row.contract_id)
    services.usage.correct(contract, row.work_date, worker_id=row.worker_id, by=by, **amounts)
