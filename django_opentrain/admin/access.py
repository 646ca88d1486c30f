"""Access grants and trainer accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.db.models import F, Q
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_opentrain.admin import moments, services, timelines
from django_opentrain.admin.actions import Selection, operation
from django_opentrain.admin.base import AttentionFilter, CustomerFilter, LatestRows, OpenTrainAdmin
from django_opentrain.admin.columns import (
    EMPTY,
    MAX_NAME_SHOWN,
    Tone,
    age,
    age_column,
    badge,
    badge_column,
    column,
    masked_column,
    problem_column,
    short_column,
    shortened,
    whole_problem_column,
)
from django_opentrain.admin.customers import customer_column
from django_opentrain.admin.row_links import RowLinks, user_link
from django_opentrain.models import AccessGrant, TrainerAccount, WebhookEvent
from django_opentrain.platform.redaction import mask
from django_opentrain.user_model import user_model

Desired, State = AccessGrant.Desired, AccessGrant.State

UNSETTLED: Final = ~Q(state=F("desired")) & ~AccessGrant.REMOVED_BY_HAND

GRANT_TONES: Final[Mapping[str, Tone]] = {
    State.PENDING: "busy",
    State.WAITING_FOR_EMAIL: "warn",
    State.HELD: "warn",
    State.GRANTED: "good",
    State.PAUSED: "warn",
    State.REMOVED_BY_HAND: "warn",
    State.FAILED: "bad",
}

LOGIN_TONES: Final[Mapping[str, Tone]] = {
    TrainerAccount.Invitation.PENDING: "busy",
    TrainerAccount.Invitation.SENT: "busy",
    TrainerAccount.Invitation.FAILED: "bad",
    TrainerAccount.Invitation.LOGGED_IN: "good",
}


def access(grant: AccessGrant) -> str:
    """The state; if a removal is pending, that: access that outlives its contract must stand out."""
    if grant.desired == Desired.REVOKED and grant.state != State.REVOKED:
        failing = grant.state == State.FAILED
        return badge(_("removal fails") if failing else _("to be revoked"), "bad" if failing else "warn")
    if grant.desired == Desired.PAUSED and not grant.is_settled:
        failing = grant.state == State.FAILED
        return badge(_("pause fails") if failing else _("to be paused"), "bad" if failing else "warn")
    return badge(grant.get_state_display(), GRANT_TONES.get(grant.state, "off"))


access_column = column(gettext_lazy("access"), access, ordering="state")


class GrantRows(LatestRows):
    """The newest grants that belong to a row."""

    model = AccessGrant
    verbose_name_plural = gettext_lazy("newest access grants")
    fields: ClassVar[tuple[str, ...]] = (
        "participant",
        "link",
        "contract",
        "access",
        "cause_shown",
        "trouble",
    )
    access = access_column
    cause_shown = masked_column("cause", gettext_lazy("cause"))
    trouble = problem_column("last_error")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("participant", "link", "contract")


class GrantCustomer(CustomerFilter):
    path = "contract__install"


class AccessGrantAdmin(OpenTrainAdmin):
    """Who has access to what, who should, and why."""

    list_display = (
        "trainer",
        "access",
        "attempts",
        "next_attempt",
        "project",
        "customer",
        "cause_cut",
        "trouble",
    )
    list_select_related = ("participant", "link", "contract__install")
    list_filter = (
        AttentionFilter,
        "desired",
        "state",
        GrantCustomer,
    )
    search_fields = (
        "participant__display_name__startswith",
        "participant__opentrain_user_id__exact",
        "host_user_ref__exact",
        "link__external_project_id__exact",
        "link__external_project_name__startswith",
        "contract__opentrain_id__exact",
        "contract__install__tenant__exact",
    )
    search_help_text = gettext_lazy(
        "The beginning of the trainer's or the project's name; or in full: an id of the trainer, account, project"
        " or contract, or the customer"
    )
    ordering = ("-pk",)
    actions = ("retry_now", "give_again", "bind", "accept_email", "revoke", "restore")
    fieldsets = (
        (None, {"fields": ("participant", "link", "contract", "customer", "account")}),
        (gettext_lazy("Access"), {"fields": ("access", "desired", "state", "cause_shown")}),
        (gettext_lazy("Attempts"), {"fields": ("attempts", "next_attempt", "last_error_shown")}),
        (gettext_lazy("Times"), {"fields": ("created_at", "desired_at", "granted_at", "revoked_at")}),
    )

    tenant_path = "contract__install__tenant"
    customer = customer_column(tenant_path)
    access = access_column
    trainer = short_column("participant", gettext_lazy("trainer"), MAX_NAME_SHOWN // 2)
    project = short_column("link", gettext_lazy("project"), MAX_NAME_SHOWN)
    cause_cut = column(
        gettext_lazy("cause"), lambda row: shortened(mask(row.cause), MAX_NAME_SHOWN), ordering="cause"
    )
    cause_shown = masked_column("cause", gettext_lazy("cause"))
    next_attempt = age_column("next_attempt_at", gettext_lazy("next attempt"))
    trouble = problem_column("last_error")
    last_error_shown = whole_problem_column("last_error", gettext_lazy("problem"))

    def timeline(self, row: AccessGrant, links: RowLinks) -> timelines.Timeline:
        """With its contract, link and trainer, and the events about these."""
        account = TrainerAccount.objects.filter(opentrain_user_id=row.participant.opentrain_user_id).first()
        about = [row.contract.opentrain_id, row.link.opentrain_id]
        return timelines.build(
            links,
            row,
            moments.GRANT,
            beside=[
                (row.contract, moments.CONTRACTS),
                (row.link, moments.LINK),
                (row.participant, moments.PARTICIPANT),
                (account, moments.ACCOUNT),
            ],
            sources=[
                timelines.Source(rows=WebhookEvent.objects.about(row.tenant, about), moments=moments.EVENTS)
            ],
        )

    @admin.display(description=gettext_lazy("account on this site"))
    def account(self, grant: AccessGrant) -> str:
        """The host's id of it; where that is one of this site's users, with a link."""
        shown = mask(grant.host_user_ref) or EMPTY
        accounts = TrainerAccount.objects.filter(opentrain_user_id=grant.participant.opentrain_user_id)
        account = accounts.select_related("user").first()
        is_user = account is not None and str(account.user.pk) == grant.host_user_ref
        return user_link(grant, account.user, shown) if account and is_user else shown

    @operation(
        gettext_lazy("Retry now"),
        consequence=gettext_lazy(
            "The next attempt is due at once for each grant that is not in its desired state: a worker"
            " grants or revokes the access."
        ),
        permission="change_access",
        applies=UNSETTLED,
    )
    def retry_now(self, selection: Selection[AccessGrant]) -> int:
        return selection.in_bulk(services.grants.retry_now)

    @operation(
        gettext_lazy("Give access again"),
        consequence=gettext_lazy(
            "These trainers regain the access that a person has taken from them on this site by hand."
        ),
        permission="change_access",
        applies=AccessGrant.REMOVED_BY_HAND,
    )
    def give_again(self, selection: Selection[AccessGrant]) -> int:
        return selection.in_bulk(services.grants.give_again)

    @operation(
        gettext_lazy("Use existing account"),
        consequence=gettext_lazy(
            "The accounts that have these trainers' Work Emails become theirs: anyone who logs in with one works as"
            " the trainer, for every customer. They stay active when access ends; only the projects are closed. Ask"
            " their owners first."
        ),
        permission="change_access",
        applies=Q(desired=Desired.GRANTED, state=State.FAILED),
    )
    def bind(self, selection: Selection[AccessGrant]) -> int:
        return selection.each(lambda grant: services.bindings.bind(grant, selection.cause))

    @operation(
        gettext_lazy("Accept Work Email"),
        consequence=gettext_lazy(
            "These trainers get access, although their Work Email is at a domain that WORK_EMAIL_DOMAINS doesn't"
            " name. One that changes is held again."
        ),
        permission="change_access",
        applies=Q(desired=Desired.GRANTED, state=State.HELD),
    )
    def accept_email(self, selection: Selection[AccessGrant]) -> int:
        return selection.each(lambda grant: services.participants.accept_email(grant.participant))

    @operation(
        gettext_lazy("Revoke access"),
        consequence=gettext_lazy(
            "These trainers lose access to the project, although their contract is active on OpenTrain."
            " No event and no sync restores it: only an operator can."
        ),
        permission="change_access",
        applies=~Q(desired=Desired.REVOKED),
        asks_reason=True,
    )
    def revoke(self, selection: Selection[AccessGrant]) -> int:
        return selection.in_bulk(lambda rows: services.grants.revoke(rows, selection.cause))

    @operation(
        gettext_lazy("Restore access"),
        consequence=gettext_lazy(
            "These trainers regain access to the project, if their contract and its link are still active."
        ),
        permission="change_access",
        applies=Q(desired=Desired.REVOKED),
        asks_reason=True,
    )
    def restore(self, selection: Selection[AccessGrant]) -> int:
        return selection.each(lambda grant: services.grants.restore(grant, selection.cause))


class TrainerAccountAdmin(OpenTrainAdmin):
    """Which of the site's users is which trainer."""

    list_display = (
        "trainer",
        "account",
        "first_login",
        "next_mail",
        "made_here",
        "deactivated",
        "trouble",
    )
    list_select_related = ("user",)
    list_filter = (AttentionFilter, "invitation", "created_by_us")
    search_help_text = gettext_lazy("In full: the OpenTrain user id, or the name with which the user logs in")
    ordering = ("-pk",)
    # Deleting one, or its user, is an erasure: possible once no record of access is lost with it.
    deletable = True
    fieldsets = (
        (None, {"fields": ("opentrain_user_id", "account", "created_by_us", "created_at", "deactivated_at")}),
        (gettext_lazy("Consent"), {"fields": ("consented", "consented_at", "bound_for")}),
        (
            gettext_lazy("First login"),
            {
                "fields": (
                    "first_login",
                    "invitation_requested_at",
                    "invitation_sent_at",
                    "invitation_count",
                    "invitation_attempts",
                    "next_mail",
                    "invitation_error_code",
                    "error_shown",
                )
            },
        ),
    )

    trainer = short_column("opentrain_user_id", gettext_lazy("OpenTrain user id"))
    consented = masked_column("consented_by", gettext_lazy("consented by"))
    first_login = badge_column("invitation", gettext_lazy("first login"), LOGIN_TONES)
    next_mail = age_column("next_invitation_at", gettext_lazy("next mail"))
    trouble = problem_column("invitation_error")
    error_shown = whole_problem_column("invitation_error", gettext_lazy("problem"))
    deactivated = column(gettext_lazy("deactivated"), lambda row: age(row.deactivated_at))

    @admin.display(
        description=gettext_lazy("created for the trainer"), boolean=True, ordering="created_by_us"
    )
    def made_here(self, account: TrainerAccount) -> bool:
        return account.created_by_us

    @admin.display(description=gettext_lazy("user"))
    def account(self, account: TrainerAccount) -> str:
        """The user's name, masked: with the default adapter it is the Work Email."""
        return user_link(account, account.user, mask(account.user.get_username()))

    def get_search_fields(self, _request: HttpRequest) -> tuple[str, ...]:
        return ("opentrain_user_id__exact", f"user__{user_model().USERNAME_FIELD}__exact")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not while the trainer has access anywhere: it could no longer be revoked."""
        return super().has_delete_permission(request, obj) and (obj is None or not _has_access(obj))


def _has_access(account: TrainerAccount) -> bool:
    grants_of_trainer = AccessGrant.objects.filter(participant__opentrain_user_id=account.opentrain_user_id)
    return grants_of_trainer.exclude(desired=Desired.REVOKED, state=State.REVOKED).exists()
