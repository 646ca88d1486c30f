"""Project links."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from django_opentrain.explanations import MAX_CODE
from django_opentrain.fields import IdField
from django_opentrain.models.base import TimestampedModel, manager_of
from django_opentrain.models.installs import Install
from django_opentrain.platform import catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_opentrain.models.access import AccessGrantQuerySet
    from django_opentrain.models.contracts import ContractQuerySet


class ProjectLinkQuerySet(models.QuerySet["ProjectLink"]):
    """Links by their status."""

    def live(self) -> ProjectLinkQuerySet:
        """Links that exist, or are being created."""
        return self.filter(live=True)

    def active(self) -> ProjectLinkQuerySet:
        """Links that exist and are not being removed."""
        return self.filter(status=ProjectLink.Status.ACTIVE, removal_requested_at=None)

    def unfinished(self) -> ProjectLinkQuerySet:
        """Links whose creation or removal on OpenTrain is not finished."""
        return self.live().filter(
            Q(status=ProjectLink.Status.PENDING) | Q(removal_requested_at__isnull=False)
        )


class ProjectLink(TimestampedModel):
    """One of the host's projects, linked to one of the customer's OpenTrain jobs."""

    class Status(models.TextChoices):
        PENDING = "PENDING", _("being created")
        ACTIVE = "ACTIVE", _("active")
        REMOVED = "REMOVED", _("removed")

    class ProvisioningMode(models.TextChoices):
        PARTNER_WEBHOOK = catalog.PARTNER_WEBHOOK, _("this site gives access")
        MANAGED_ADAPTER = catalog.MANAGED_ADAPTER, _("OpenTrain gives access")

    install = models.ForeignKey(
        Install,
        verbose_name=_("connection"),
        on_delete=models.CASCADE,
        related_name="project_links",
        db_index=False,  # a unique constraint begins with it
    )
    opentrain_id = IdField(_("OpenTrain id"), null=True, blank=True)
    external_project_id = IdField(_("external project id"), max_length=catalog.MAX_EXTERNAL_PROJECT_ID)
    external_project_name = models.CharField(
        _("external project name"), max_length=catalog.MAX_EXTERNAL_PROJECT_NAME, blank=True
    )
    external_project_url = models.TextField(_("external project URL"), blank=True)
    job_id = IdField(_("job id"), blank=True)
    provisioning_mode = models.CharField(
        _("provisioning mode"),
        max_length=32,
        choices=ProvisioningMode.choices,
        default=ProvisioningMode.PARTNER_WEBHOOK,
    )
    hours_tracked_elsewhere = models.BooleanField(
        _("hours are tracked elsewhere"),
        default=False,
        help_text=_("Only tasks and labels are reported to OpenTrain; the hours stay on this site."),
    )
    stop_when_depleted = models.BooleanField(
        _("stop work when the budget is used up"),
        default=False,
        help_text=_("Trainers' access is paused while their contract's budget is used up."),
    )
    status = models.CharField(_("status"), max_length=16, choices=Status.choices, default=Status.PENDING)
    # True while the link exists, null afterwards. In a unique constraint nulls are distinct on every database, and
    # MySQL has no conditional constraints: so a project has one live link and any number of removed ones.
    live = models.BooleanField(_("live"), null=True, default=True, editable=False)
    linked_at = models.DateTimeField(
        _("linked at"),
        null=True,
        blank=True,
        help_text=_("When OpenTrain had it for the first time, before any reconnect"),
    )
    removal_requested_at = models.DateTimeField(_("removal requested at"), null=True, blank=True)
    removed_at = models.DateTimeField(_("removed at"), null=True, blank=True)
    project_asked_at = models.DateTimeField(_("project asked for at"), null=True, blank=True, editable=False)
    project_missing_since = models.DateTimeField(
        _("project missing since"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("Since when this site has no such project"),
    )
    last_error = models.TextField(_("last error"), blank=True)
    last_error_code = models.CharField(_("last error code"), max_length=MAX_CODE, blank=True)
    # After a reconnect: what is said of this link, late, is about that one. By its project it could be confused with
    # a link of another time.
    continued_by = models.ForeignKey(
        "self",
        verbose_name=_("continued by"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="continues",
        help_text=_("The link that took its place after a reconnect"),
    )

    # What Django adds: checkers without a plugin for it (pyright, Pylance) read it here.
    install_id: int
    continued_by_id: int | None
    continues: ProjectLinkQuerySet
    contracts: ContractQuerySet
    grants: AccessGrantQuerySet
    get_provisioning_mode_display: Callable[[], str]
    get_status_display: Callable[[], str]

    objects: ClassVar[ProjectLinkQuerySet] = manager_of(ProjectLinkQuerySet)

    class Meta:
        verbose_name = _("project link")
        verbose_name_plural = _("project links")
        constraints = [
            models.UniqueConstraint(fields=["install", "opentrain_id"], name="opentrain_link_once"),
            models.UniqueConstraint(
                fields=["install", "external_project_id", "live"], name="opentrain_one_live_link"
            ),
        ]

    def __str__(self) -> str:
        return self.external_project_name or self.external_project_id

    @property
    def is_active(self) -> bool:
        """Whether it exists and is not being removed."""
        return self.status == self.Status.ACTIVE and self.removal_requested_at is None

    @property
    def grants_access(self) -> bool:
        """Whether trainers of this link's job get access through us.

        With ``MANAGED_ADAPTER`` OpenTrain provisions the accounts itself and the platform must not.
        """
        return self.is_active and self.provisioning_mode != self.ProvisioningMode.MANAGED_ADAPTER
