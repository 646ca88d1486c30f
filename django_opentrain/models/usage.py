"""Daily usage: the work of each day."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_opentrain.explanations import MAX_CODE
from django_opentrain.fields import IdField
from django_opentrain.models.base import TimestampedModel, manager_of
from django_opentrain.models.contracts import Contract

if TYPE_CHECKING:
    from collections.abc import Callable


class DailyUsageQuerySet(models.QuerySet["DailyUsage"]):
    """Usage by what remains to be reported."""

    def unreported(self, until: date) -> DailyUsageQuerySet:
        """Totals that OpenTrain doesn't have and may accept: no days in the future, which it refuses."""
        refused_early = Q(status=DailyUsage.Status.REFUSED, retry_at__isnull=False)
        return self.filter(Q(status=DailyUsage.Status.DUE) | refused_early, work_date__lte=until)

    def due(self, until: date) -> DailyUsageQuerySet:
        """Those of them that can be reported now."""
        return self.unreported(until).filter(Q(retry_at=None) | Q(retry_at__lte=timezone.now()))


class DailyUsage(TimestampedModel):
    """One worker's cumulative totals of one day under one contract."""

    class Status(models.TextChoices):
        DUE = "DUE", _("to be reported")
        REPORTED = "REPORTED", _("reported")
        REFUSED = "REFUSED", _("refused by OpenTrain")
        WITHHELD = "WITHHELD", _("not reported")

    contract = models.ForeignKey(
        Contract,
        verbose_name=_("contract"),
        on_delete=models.CASCADE,
        related_name="usage",
        db_index=False,  # a unique constraint begins with it
    )
    worker_id = IdField(
        _("worker id"), blank=True, help_text=_("OpenTrain's user id; empty: the hired trainer")
    )
    work_date = models.DateField(_("work date"))
    total_seconds = models.PositiveIntegerField(_("total seconds"), null=True, blank=True)
    tasks_completed = models.PositiveIntegerField(_("tasks completed"), null=True, blank=True)
    labels_completed = models.PositiveIntegerField(_("labels completed"), null=True, blank=True)
    hours_withheld = models.BooleanField(
        _("hours withheld"),
        default=False,
        help_text=_("The hours of this day are tracked elsewhere: they stay on this site"),
    )
    # Of a day from the work ledger: what counter-entries take off the days after it. Of other days unknown, not none.
    owed_seconds = models.PositiveIntegerField(_("seconds owed"), null=True, blank=True)
    owed_tasks = models.PositiveIntegerField(_("tasks owed"), null=True, blank=True)
    owed_labels = models.PositiveIntegerField(_("labels owed"), null=True, blank=True)
    external_report_id = IdField(_("external report id"), blank=True)
    # Each change increments the revision; a report marks the one that it sent. What changed since stays due.
    revision = models.PositiveIntegerField(_("revision"), default=1)
    reported_revision = models.PositiveIntegerField(_("reported revision"), default=0)
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.DUE)
    error = models.TextField(_("error"), blank=True)
    error_code = models.CharField(_("error code"), max_length=MAX_CODE, blank=True)
    reported_at = models.DateTimeField(_("reported at"), null=True, blank=True)
    retry_at = models.DateTimeField(
        _("retry at"),
        null=True,
        blank=True,
        help_text=_("OpenTrain may have refused the day as one in the future: it is reported again then"),
    )

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    contract_id: int
    get_status_display: Callable[[], str]

    objects: ClassVar[DailyUsageQuerySet] = manager_of(DailyUsageQuerySet)

    class Meta:
        verbose_name = _("daily usage")
        verbose_name_plural = _("daily usage")
        constraints = [
            models.UniqueConstraint(
                fields=["contract", "worker_id", "work_date"], name="opentrain_usage_once"
            ),
        ]
        indexes = [
            models.Index(fields=["status", "work_date"], name="opentrain_usage_due"),
            # The order of the admin's list, and what it is searched for.
            models.Index(fields=["work_date", "id"], name="opentrain_usage_newest"),
            models.Index(fields=["worker_id"], name="opentrain_usage_worker"),
        ]

    def __str__(self) -> str:
        return f"{self.contract_id} {self.worker_id} {self.work_date}"
