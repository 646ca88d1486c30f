"""Counters for monitoring: what many processes did, in one place whichever of them is asked."""

from __future__ import annotations

import logging
from functools import partial
from typing import ClassVar

from django.db import Error, models
from django.db.models import F
from django.utils.translation import gettext_lazy as _

from django_opentrain.conf import conf
from django_opentrain.conflicts import retried
from django_opentrain.models.base import manager_of
from django_opentrain.transactions import on_commit

logger = logging.getLogger(__name__)


class CounterQuerySet(models.QuerySet["Counter"]):
    """Operations on counters."""

    def count_up(self, metric: str, label: str, detail: str, *, by: int = 1, seconds: float = 0) -> None:
        """Count this many more, on a site that has metrics, once the transaction around the caller has committed.

        Before, the counter's row would stay locked for all others, and its error would undo what the caller does.
        """
        if conf.metrics_token:
            on_commit(partial(self._count, metric, label, detail, by, seconds))

    def _count(self, metric: str, label: str, detail: str, by: int, seconds: float) -> None:
        """What is counted has been done already: an error of the database is logged, and not raised."""
        try:
            self._add({"metric": metric, "label": label, "detail": detail}, by, seconds)
        except Error:
            logger.warning("Not counted for the metrics: %s %s %s.", metric, label, detail, exc_info=True)

    @retried
    def _add(self, counter: dict[str, str], by: int, seconds: float) -> None:
        more = {"count": F("count") + by, "seconds": F("seconds") + seconds}
        if not self.filter(**counter).update(**more):
            # Another process may make the row at the same time: so it starts at nothing.
            self.bulk_create([Counter(**counter)], ignore_conflicts=True)
            self.filter(**counter).update(**more)


class Counter(models.Model):
    """How often one thing has happened since it was first counted. It never goes down."""

    class Metric(models.TextChoices):
        EVENTS = "events", _("events")
        API_REQUESTS = "api_requests", _("API requests")

    metric = models.CharField(_("metric"), max_length=20, choices=Metric.choices)
    label = models.CharField(
        _("label"), max_length=50, help_text=_("An event's type, or a response's status")
    )
    detail = models.CharField(
        _("detail"),
        max_length=20,
        help_text=_("An event's outcome, or the seconds that a response took at most"),
    )
    count = models.PositiveBigIntegerField(_("count"), default=0)
    seconds = models.FloatField(_("seconds"), default=0, help_text=_("How long all of them took together"))

    objects: ClassVar[CounterQuerySet] = manager_of(CounterQuerySet)

    class Meta:
        verbose_name = _("counter")
        verbose_name_plural = _("counters")
        constraints = [
            models.UniqueConstraint(fields=["metric", "label", "detail"], name="opentrain_counter_once"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.label} {self.detail}"
