"""The work ledger: what trainers did, written down when they did it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from datetime import timezone as tz
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.db import models
from django.db.models import Case, DurationField, ExpressionWrapper, F, Max, Q, RowRange, Value, When, Window
from django.db.models.functions import Coalesce, Greatest, Least
from django.utils.translation import gettext_lazy as _

from django_opentrain.fields import IdField
from django_opentrain.models.base import manager_of
from django_opentrain.platform import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

#: The most time that one action brings: who did nothing else in between for longer was not at work.
LONGEST_ACTION: Final = timedelta(minutes=30)

#: How long ago something can have happened that is observed now.
OLDEST_OBSERVED: Final = timedelta(days=1)

#: Characters of a correction's reason.
MAX_REASON: Final = 1000
#: The most tasks, and labels, that one correction adds or takes off.
MAX_COUNT: Final = 1_000_000

_NOTHING: Final = timedelta(0)
#: By how much a day of another time zone, and what was claimed before it, can lie outside of that day in UTC.
_A_DAY_ELSEWHERE: Final = timedelta(days=2)
#: What ``counted()`` adds to each entry.
_COUNTED: Final = "counted"
_CLAIMED_UNTIL: Final = "claimed_until"


class _RowsBefore(RowRange):
    """All rows before this one: ``RowRange(end=-1)``, which Django refuses before 5.1."""

    def window_frame_start_end(self, connection: Any, start: Any, end: Any) -> Any:
        return connection.ops.UNBOUNDED_PRECEDING, f"1 {connection.ops.PRECEDING}"


class WorkEntryQuerySet(models.QuerySet["WorkEntry"]):
    """Entries, and how much time each of them counts."""

    def counted(self, since: date, until: date) -> WorkEntryQuerySet:
        """Entries of these days, with ``counted``: the part of their time that is no other's.

        A trainer's actions claim intervals, each up to its own instant: what is counted is their union. So the sum is
        never more than the time that has passed, in however many tabs, projects or contracts the work was done. An
        interval begins no earlier than the access, and is at most ``LONGEST_ACTION`` long.

        Entries of the days around them are in it: they may have claimed a part of these. Leave them out once all is
        evaluated: a filter would leave them out before. All entries of a trainer have to be in it, whatever project
        or contract they belong to.
        """
        claimed = Window(
            # A correction is no action: it takes no time from those around it.
            Max(Case(When(~Q(kind=WorkEntry.Kind.CORRECTED), duration__gt=_NOTHING, then="at"))),
            partition_by="opentrain_user_id",
            order_by=[F("at").asc(), F("pk").asc()],
            frame=_RowsBefore(),
        )
        begin = Greatest("access_since", Coalesce("claimed_until", "access_since"))
        free = ExpressionWrapper(F("at") - begin, output_field=DurationField())
        counted = Greatest(Value(_NOTHING), Least("duration", Value(LONGEST_ACTION), free))
        first, last = (datetime.combine(day, time.min, tz.utc) for day in (since, until))
        rows = self.filter(at__gte=first - _A_DAY_ELSEWHERE, at__lt=last + _A_DAY_ELSEWHERE)
        rows = rows.annotate(**{_CLAIMED_UNTIL: claimed})
        # A correction is what a person says it is.
        corrected = When(kind=WorkEntry.Kind.CORRECTED, then="duration")
        return rows.annotate(**{_COUNTED: Case(corrected, default=counted, output_field=DurationField())})


class WorkEntry(models.Model):
    """One action of a trainer in the host, observed when it happened.

    Deleted by the purge only, and never changed: but the reason of a correction is erased with the trainer's data.

    Which contract pays for it is not stored: that follows from when each contract was active, which may be learned
    later (``services/access/hours.py``).
    """

    class Kind(models.TextChoices):
        SUBMITTED = "SUBMITTED", _("submitted")
        UPDATED = "UPDATED", _("updated")
        SKIPPED = "SKIPPED", _("skipped")
        DRAFTED = "DRAFTED", _("drafted")
        REVIEWED = "REVIEWED", _("reviewed")
        CONFIRMED = "CONFIRMED", _("confirmed")
        UNCONFIRMED = "UNCONFIRMED", _("unconfirmed")
        DELETED = "DELETED", _("deleted by the trainer")
        REMOVED = "REMOVED", _("removed by others")
        ACTIVITY = "ACTIVITY", _("active time")
        CORRECTED = "CORRECTED", _("corrected")

    key = IdField(_("key"), unique=True, help_text=_("An action that is observed twice is stored once"))
    tenant = IdField(_("customer"))
    opentrain_user_id = IdField(_("OpenTrain user id"), help_text=_("The trainer who acted"))
    external_project_id = IdField(_("external project id"), max_length=catalog.MAX_EXTERNAL_PROJECT_ID)
    object_id = IdField(_("object"), blank=True, help_text=_("The host's id of what was worked on"))
    # The object's where that is all that the task has.
    task_id = IdField(
        _("task"), blank=True, help_text=_("The host's id of the task that the object belongs to")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    at = models.DateTimeField(_("at"), help_text=_("When it happened: the end of its time"))
    # Stored: what was reported for a day stays there if USAGE_TIME_ZONE is changed.
    work_date = models.DateField(_("work date"))
    duration = models.DurationField(_("duration"), default=_NOTHING, help_text=_("The time it claims"))
    tasks = models.IntegerField(_("tasks"), default=0)
    labels = models.IntegerField(_("labels"), default=0)
    access_since = models.DateTimeField(_("access since"), help_text=_("No time before that counts"))
    observed_at = models.DateTimeField(_("observed at"))
    reason = models.TextField(_("reason"), blank=True)
    corrected_by = models.CharField(_("corrected by"), max_length=300, blank=True)

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    get_kind_display: Callable[[], str]

    objects: ClassVar[WorkEntryQuerySet] = manager_of(WorkEntryQuerySet)

    # There with counted().
    counted: timedelta | None = None
    claimed_until: datetime | None = None

    class Meta:
        verbose_name = _("work entry")
        verbose_name_plural = _("work entries")
        indexes = [
            # With the key: counted() reads each trainer's entries in this order.
            models.Index(fields=["opentrain_user_id", "at", "id"], name="opentrain_work_trainer"),
            models.Index(fields=["object_id", "opentrain_user_id"], name="opentrain_work_object"),
            models.Index(fields=["task_id", "opentrain_user_id"], name="opentrain_work_task"),
            models.Index(fields=["at"], name="opentrain_work_at"),
        ]

    def __str__(self) -> str:
        return f"{self.opentrain_user_id} {self.kind} {self.object_id}"
