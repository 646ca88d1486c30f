"""Contracts and their participants."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from django_opentrain.explanations import MAX_CODE
from django_opentrain.fields import EncryptedTextField, IdField
from django_opentrain.models.base import TimestampedModel, manager_of
from django_opentrain.models.installs import Install
from django_opentrain.models.links import ProjectLink
from django_opentrain.platform import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_opentrain.models.access import AccessGrantQuerySet
    from django_opentrain.models.objections import UsageObjectionQuerySet
    from django_opentrain.models.usage import DailyUsageQuerySet


class Participant(TimestampedModel):
    """An AI trainer, as one install's customer knows them."""

    install = models.ForeignKey(
        Install,
        verbose_name=_("connection"),
        on_delete=models.CASCADE,
        related_name="participants",
        db_index=False,  # a unique constraint begins with it
    )
    # The one stable key: a display name is masked, not unique, and can change.
    opentrain_user_id = IdField(_("OpenTrain user id"))
    display_name = models.CharField(_("display name"), max_length=300, blank=True)
    country = models.CharField(_("country"), max_length=100, blank=True)
    profile_url = models.TextField(_("profile URL"), blank=True)
    # To the trainer: after a reconnect the row is another install's.
    work_email = EncryptedTextField(
        _("Work Email"), null=True, blank=True, editable=False, bound_to=("opentrain_user_id",)
    )
    email_changed_at = models.DateTimeField(_("email changed at"), null=True, blank=True, editable=False)
    email_accepted_at = models.DateTimeField(
        _("email accepted at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_(
            "When an operator accepted a Work Email at an unexpected domain: not one that came later"
        ),
    )
    purged_at = models.DateTimeField(_("purged at"), null=True, blank=True)
    # Held by the worker that calls the host about this trainer: as in Install, it expires if its holder dies.
    lease = models.UUIDField(_("lease"), null=True, blank=True, editable=False)
    leased_until = models.DateTimeField(_("leased until"), null=True, blank=True, editable=False)

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    install_id: int
    contracts: ContractQuerySet
    grants: AccessGrantQuerySet

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        constraints = [
            models.UniqueConstraint(
                fields=["install", "opentrain_user_id"], name="opentrain_participant_once"
            ),
        ]
        indexes = [
            # A trainer's grants are looked up across all customers.
            models.Index(fields=["opentrain_user_id"], name="opentrain_participant_who"),
            # For the beginning of a name: on PostgreSQL only with this operator class, which others don't know.
            models.Index(
                fields=["display_name"], name="opentrain_participant_name", opclasses=["varchar_pattern_ops"]
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.opentrain_user_id


class ContractQuerySet(models.QuerySet["Contract"]):
    """Contracts by their status."""

    def active(self) -> ContractQuerySet:
        """Contracts that have not ended."""
        return self.filter(status=Contract.Status.ACTIVE)

    def budget_to_announce(self, now: datetime) -> ContractQuerySet:
        """Contracts whose budget state the adapter hasn't been notified of, and whose next attempt is due."""
        waited = Q(next_announce_at=None) | Q(next_announce_at__lte=now)
        return self.exclude(budget_state=F("announced_budget_state")).filter(waited)

    def linked(self) -> ContractQuerySet:
        """Contracts whose job is linked: OpenTrain serves no others."""
        return self.filter(Exists(ProjectLink.objects.live().filter(contracts=OuterRef("pk"))))


class Contract(TimestampedModel):
    """A hire on OpenTrain, with its last known budget."""

    class Status(models.TextChoices):
        ACTIVE = catalog.CONTRACT_ACTIVE, _("active")
        ENDED = catalog.CONTRACT_HAS_ENDED, _("ended")

    class BudgetState(models.TextChoices):
        OK = catalog.BUDGET_OK, _("funded")
        LOW = catalog.BUDGET_LOW, _("low")
        DEPLETED = catalog.BUDGET_DEPLETED, _("depleted")

    install = models.ForeignKey(
        Install,
        verbose_name=_("connection"),
        on_delete=models.CASCADE,
        related_name="contracts",
        db_index=False,  # a unique constraint begins with it
    )
    opentrain_id = IdField(_("OpenTrain id"))
    job_id = IdField(_("job id"), blank=True)
    title = models.CharField(_("title"), max_length=500, blank=True)
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.ACTIVE)
    start_date = models.DateField(_("start date"), null=True, blank=True)
    end_date = models.DateField(_("end date"), null=True, blank=True)
    # The same two, as OpenTrain says them: to the second.
    start_at = models.DateTimeField(_("start"), null=True, blank=True)
    end_at = models.DateTimeField(_("end"), null=True, blank=True)
    ended_at = models.DateTimeField(
        _("ended at"), null=True, blank=True, help_text=_("When we learned of its end")
    )
    links = models.ManyToManyField(ProjectLink, verbose_name=_("links"), related_name="contracts", blank=True)
    trainer = models.ForeignKey(
        Participant,
        verbose_name=_("trainer"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="contracts",
        help_text=_("The hired trainer"),
    )
    # The newest event that was applied: a late delivery of an older one must not undo it.
    last_event_id = IdField(_("last event id"), blank=True, editable=False)

    participants_read_at = models.DateTimeField(
        _("participants read at"), null=True, blank=True, editable=False
    )

    payment_type = models.CharField(_("payment type"), max_length=32, blank=True)
    budget_state = models.CharField(
        _("budget state"), max_length=16, choices=BudgetState.choices, default=BudgetState.OK
    )
    funded_volume = models.DecimalField(
        _("funded volume"), max_digits=20, decimal_places=4, null=True, blank=True
    )
    consumed_volume = models.DecimalField(
        _("consumed volume"), max_digits=20, decimal_places=4, null=True, blank=True
    )
    remaining_volume = models.DecimalField(
        _("remaining volume"), max_digits=20, decimal_places=4, null=True, blank=True
    )
    consumed_fraction = models.DecimalField(
        _("consumed fraction"), max_digits=20, decimal_places=4, null=True, blank=True
    )
    active_milestone = models.JSONField(_("active milestone"), null=True, blank=True)
    budget_updated_at = models.DateTimeField(_("budget updated at"), null=True, blank=True)
    budget_event_id = IdField(_("budget event id"), blank=True, editable=False)
    announced_budget_state = models.CharField(
        _("announced budget state"),
        max_length=16,
        choices=BudgetState.choices,
        default=BudgetState.OK,
        help_text=_("The state of which the adapter was last notified"),
    )
    announce_attempts = models.PositiveIntegerField(_("announce attempts"), default=0, editable=False)
    next_announce_at = models.DateTimeField(_("next announce at"), null=True, blank=True, editable=False)
    announce_error = models.TextField(_("announce error"), blank=True, editable=False)
    announce_error_code = models.CharField(
        _("announce error code"), max_length=MAX_CODE, blank=True, editable=False
    )

    usage_collected_at = models.DateTimeField(_("usage collected at"), null=True, blank=True)
    usage_basis = models.CharField(
        _("usage basis"),
        max_length=64,
        blank=True,
        editable=False,
        help_text=_("A digest of what the collected days depended on beside the work ledger's entries"),
    )
    collect_attempts = models.PositiveIntegerField(_("collect attempts"), default=0)
    next_collect_at = models.DateTimeField(_("next collect at"), null=True, blank=True)
    collect_error = models.TextField(_("collect error"), blank=True)
    collect_error_code = models.CharField(_("collect error code"), max_length=MAX_CODE, blank=True)
    hours_withheld_until = models.DateField(
        _("hours withheld until"),
        null=True,
        blank=True,
        help_text=_(
            "The last day whose hours were tracked elsewhere: days until then are reported without them"
        ),
    )
    usage_reported_at = models.DateTimeField(_("usage reported at"), null=True, blank=True)
    report_unconfirmed_until = models.DateTimeField(
        _("report unconfirmed until"),
        null=True,
        blank=True,
        help_text=_(
            "A report whose answer was lost may take effect until then: nothing newer is sent before"
        ),
    )
    report_attempts = models.PositiveIntegerField(_("report attempts"), default=0)
    next_report_at = models.DateTimeField(_("next report at"), null=True, blank=True)
    report_error = models.TextField(_("report error"), blank=True)
    report_error_code = models.CharField(_("report error code"), max_length=MAX_CODE, blank=True)

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    install_id: int
    trainer_id: int | None
    grants: AccessGrantQuerySet
    objections: UsageObjectionQuerySet
    usage: DailyUsageQuerySet
    get_status_display: Callable[[], str]
    get_budget_state_display: Callable[[], str]

    objects: ClassVar[ContractQuerySet] = manager_of(ContractQuerySet)

    class Meta:
        verbose_name = _("contract")
        verbose_name_plural = _("contracts")
        constraints = [
            models.UniqueConstraint(fields=["install", "opentrain_id"], name="opentrain_contract_once"),
        ]
        indexes = [
            models.Index(fields=["status", "usage_collected_at"], name="opentrain_contract_usage"),
            models.Index(fields=["install", "status", "budget_state"], name="opentrain_contract_budget"),
            # The admin searches across all customers.
            models.Index(fields=["opentrain_id"], name="opentrain_contract_id"),
            models.Index(fields=["job_id"], name="opentrain_contract_job"),
            models.Index(
                fields=["title"], name="opentrain_contract_title", opclasses=["varchar_pattern_ops"]
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.opentrain_id

    @property
    def log_fields(self) -> dict[str, str | None]:
        """What a line about it in the log has as ``extra``."""
        return {"contract": self.opentrain_id, **self.install.log_fields}
