"""Objections: what a trainer says against a day of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_opentrain.fields import IdField
from django_opentrain.models.base import TimestampedModel, manager_of
from django_opentrain.models.contracts import Contract

if TYPE_CHECKING:
    from collections.abc import Callable

#: Characters of an objection, and of its answer.
MAX_TEXT: Final = 1000


class UsageObjectionQuerySet(models.QuerySet["UsageObjection"]):
    """Objections by their status."""

    def open(self) -> UsageObjectionQuerySet:
        """Those that wait for an answer."""
        return self.filter(status=UsageObjection.Status.OPEN)


class UsageObjection(TimestampedModel):
    """A trainer objects to what is counted for a day of theirs; customer and operators see it beside that day."""

    class Status(models.TextChoices):
        OPEN = "OPEN", _("open")
        ANSWERED = "ANSWERED", _("answered")
        WITHDRAWN = "WITHDRAWN", _("withdrawn")

    contract = models.ForeignKey(
        Contract,
        verbose_name=_("contract"),
        on_delete=models.CASCADE,
        related_name="objections",
        db_index=False,  # a unique constraint begins with it
    )
    opentrain_user_id = IdField(_("OpenTrain user id"), help_text=_("The trainer who objects"))
    work_date = models.DateField(_("work date"))
    text = models.TextField(_("text"), blank=True)
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.OPEN)
    # True while it is open, null afterwards: nulls are distinct, so there is one open objection to a day at most.
    live = models.BooleanField(_("live"), null=True, default=True, editable=False)
    answer = models.TextField(_("answer"), blank=True)
    closed_by = models.CharField(_("closed by"), max_length=300, blank=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    contract_id: int
    get_status_display: Callable[[], str]

    objects: ClassVar[UsageObjectionQuerySet] = manager_of(UsageObjectionQuerySet)

    class Meta:
        verbose_name = _("objection")
        verbose_name_plural = _("objections")
        constraints = [
            models.UniqueConstraint(
                fields=["contract", "opentrain_user_id", "work_date", "live"],
                name="opentrain_one_open_objection",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "work_date"], name="opentrain_objection_open"),
            models.Index(fields=["opentrain_user_id"], name="opentrain_objection_trainer"),
        ]

    def __str__(self) -> str:
        return f"{self.opentrain_user_id} {self.work_date}"

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.status == self.Status.OPEN
