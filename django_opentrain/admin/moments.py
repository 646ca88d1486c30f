"""What each kind of row says of its times, for timelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_opentrain.admin.columns import Tone
from django_opentrain.admin.timelines import Moments, Said
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Heartbeat,
    Install,
    TrainerAccount,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.models.access import EVENT_CAUSE
from django_opentrain.models.webhooks import WebhookEventQuerySet
from django_opentrain.web.presenters import budgets
from django_opentrain.web.presenters.status import WANTED

if TYPE_CHECKING:
    from django_opentrain.admin.columns import Label

#: Two times of one transaction are no further apart.
AT_ONCE: Final = timedelta(seconds=1)

BUDGET_TONES: Final[Mapping[str, Tone]] = {
    Contract.BudgetState.OK: "good",
    Contract.BudgetState.LOW: "warn",
    Contract.BudgetState.DEPLETED: "bad",
}
EVENT_TONES: Final[Mapping[str, Tone]] = {
    WebhookEvent.Status.PENDING: "busy",
    WebhookEvent.Status.PROCESSED: "good",
    WebhookEvent.Status.FAILED: "bad",
}
_ENDED: Final[Mapping[str, Said]] = {
    AccessGrant.State.REVOKED: Said(tone="off", what=gettext_lazy("Access revoked")),
    AccessGrant.State.PAUSED: Said(tone="warn", what=gettext_lazy("Access paused")),
    AccessGrant.State.REMOVED_BY_HAND: Said(
        tone="warn", what=gettext_lazy("Access was found removed by hand")
    ),
}


def _says(tone: Tone, what: Label) -> Callable[[Any], Said]:
    return lambda _row: Said(tone=tone, what=what)


def _tried(count: int, error: str) -> str:
    """How often something was tried, and what went wrong the last time."""
    made = ngettext("%(count)d attempt", "%(count)d attempts", count) % {"count": count} if count else ""
    return ": ".join(filter(None, (made, error)))


# Access ---------------------------------------------------------------------------------------


def _recorded(grant: AccessGrant) -> Said | None:
    """Why it was desired at first isn't kept once it was desired anew."""
    anew = grant.desired_at and grant.desired_at - grant.created_at > AT_ONCE
    return Said(tone="off", what=_("First recorded")) if anew else None


def _desired(grant: AccessGrant) -> Said:
    return Said(tone="off" if grant.is_settled else "busy", what=WANTED[grant.desired], by=grant.cause)


def _access_ended(grant: AccessGrant) -> Said:
    return _ENDED.get(grant.state) or Said(tone="off", what=_("Access ended"))


def _access_attempt_began(grant: AccessGrant) -> Said:
    return Said(tone="busy", what=_("Attempt began"), detail=_tried(grant.attempts, ""))


def _next_access_attempt(grant: AccessGrant) -> Said | None:
    if grant.is_settled:
        return None
    failed = grant.state == AccessGrant.State.FAILED
    detail = _tried(grant.attempts, grant.last_error)
    return Said(tone="bad" if failed else "busy", what=_("Next attempt"), detail=detail)


GRANT: Final[Moments] = {
    "created_at": _recorded,
    "desired_at": _desired,
    "granted_at": _says("good", gettext_lazy("Access granted")),
    "revoked_at": _access_ended,
    "attempt_began_at": _access_attempt_began,
    "next_attempt_at": _next_access_attempt,
}
#: Of grants in other rows' timelines.
GRANTS: Final[Moments] = {name: GRANT[name] for name in ("desired_at", "granted_at", "revoked_at")}

PARTICIPANT: Final[Moments] = {
    "email_changed_at": _says("off", gettext_lazy("Work Email received")),
    "email_accepted_at": _says("off", gettext_lazy("Work Email accepted")),
    "purged_at": _says("off", gettext_lazy("Personal data deleted")),
}


def _next_mail(account: TrainerAccount) -> Said:
    detail = _tried(account.invitation_attempts, account.invitation_error)
    failed = account.invitation == TrainerAccount.Invitation.FAILED
    return Said(tone="bad" if failed else "busy", what=_("Next mail for the first login"), detail=detail)


ACCOUNT: Final[Moments] = {
    "consented_at": lambda account: Said(
        tone="off", what=_("Use of an existing account consented to"), by=account.consented_by
    ),
    "invitation_sent_at": _says("off", gettext_lazy("Mail for the first login sent")),
    "next_invitation_at": _next_mail,
}

# Events ---------------------------------------------------------------------------------------


def _received(event: WebhookEvent) -> Said:
    status = event.get_status_display()
    detail = f"{status}: {tried}" if (tried := _tried(event.attempts, event.error)) else status
    return Said(tone=EVENT_TONES.get(event.status, "off"), what=_("Event received"), detail=detail)


def _processed(event: WebhookEvent) -> Said:
    return Said(
        tone=EVENT_TONES.get(event.status, "off"),
        what=capfirst(event.get_status_display()),
        detail=_tried(event.attempts, event.error),
    )


def _next_event_attempt(event: WebhookEvent) -> Said | None:
    if event.status != WebhookEvent.Status.PENDING:
        return None
    return Said(tone="busy", what=_("Next attempt"), detail=_tried(event.attempts, event.error))


EVENTS: Final[Moments] = {"received_at": _received}
EVENT: Final[Moments] = {**EVENTS, "processed_at": _processed, "next_attempt_at": _next_event_attempt}


def _disabled(endpoint: WebhookEndpoint) -> Said:
    detail = ngettext("%(count)d failure", "%(count)d failures", endpoint.consecutive_failures)
    failures = detail % {"count": endpoint.consecutive_failures}
    reason = ": ".join(filter(None, (failures, endpoint.disabled_reason)))
    return Said(tone="bad", what=_("Disabled by OpenTrain"), detail=reason)


def _checked(endpoint: WebhookEndpoint) -> Said:
    return Said(
        tone="bad" if endpoint.last_error else "good",
        what=_("Checked at OpenTrain"),
        detail=endpoint.last_error,
    )


ENDPOINTS: Final[Moments] = {
    "created_at": _says("off", gettext_lazy("Endpoint created")),
    "disabled_at": _disabled,
}
ENDPOINT: Final[Moments] = {
    **ENDPOINTS,
    "checked_at": _checked,
    "compromised_at": _says("bad", gettext_lazy("Its secret was said to be compromised")),
    "retire_at": _says("off", gettext_lazy("Deliveries to it are refused from then on")),
}

# Connections, links, contracts ----------------------------------------------------------------


def _connecting(install: Install) -> Said:
    by = install.connected_by.get_username() if install.connected_by else ""
    return Said(tone="off", what=_("Began to connect"), by=by)


def _refused(install: Install) -> Said:
    return Said(tone="bad", what=_("OpenTrain began to refuse all calls"), detail=install.last_error)


def _synced(install: Install) -> Said:
    kept = install.reconcile_summary
    counts = {kind: len(kept.get(kind) or ()) for kind in ("changes", "held", "problems")}
    detail = _("Changes: %(changes)d, held: %(held)d, problems: %(problems)d") % counts
    return Said(
        tone="warn" if counts["held"] or counts["problems"] else "good", what=_("Synced"), detail=detail
    )


def _next_sync(install: Install) -> Said:
    detail = _tried(install.reconcile_attempts, install.last_error)
    return Said(tone="busy", what=_("Next sync"), detail=detail)


INSTALL: Final[Moments] = {
    "created_at": _connecting,
    "verified_at": _says("good", gettext_lazy("Verified with OpenTrain")),
    "refused_at": _refused,
    "revoked_at": lambda install: Said(
        tone="off", what=_("Connection ended"), detail=install.get_status_display()
    ),
    "reconciled_at": _synced,
    "next_reconcile_at": _next_sync,
    "paused_until": _says("warn", gettext_lazy("End of the pause that OpenTrain asked for")),
}

LINK: Final[Moments] = {
    "linked_at": _says("good", gettext_lazy("Project linked")),
    "removal_requested_at": _says("busy", gettext_lazy("Removal of the link requested")),
    "removed_at": _says("off", gettext_lazy("Link removed")),
    "project_missing_since": _says("warn", gettext_lazy("Project found missing on this site")),
}


def budget(events: WebhookEventQuerySet, contract: Contract) -> Said:
    """What became of a contract's budget, by one of these events if it was processed just then, else by a poll."""
    status, at = budgets.describe(contract), contract.budget_updated_at
    said = events.filter(event_id=contract.budget_event_id, received_at__lte=at, processed_at__gte=at)
    return Said(
        tone=BUDGET_TONES.get(contract.budget_state, "off"),
        what=_("Budget updated"),
        detail=f"{status.label}. {status.text}",
        by=f"{EVENT_CAUSE} {contract.budget_event_id}"
        if contract.budget_event_id and said.exists()
        else _("sync"),
    )


def _next_collection(contract: Contract) -> Said | None:
    if not contract.collect_error:
        return None
    detail = _tried(contract.collect_attempts, contract.collect_error)
    return Said(tone="bad", what=_("Next attempt to collect work"), detail=detail)


def _next_report(contract: Contract) -> Said | None:
    if not contract.report_error:
        return None
    detail = _tried(contract.report_attempts, contract.report_error)
    return Said(tone="bad", what=_("Next attempt to report usage"), detail=detail)


CONTRACTS: Final[Moments] = {
    "created_at": _says("good", gettext_lazy("Contract recorded")),
    "ended_at": _says("off", gettext_lazy("Contract ended")),
}
CONTRACT: Final[Moments] = {
    **CONTRACTS,
    "usage_collected_at": _says("good", gettext_lazy("Work collected")),
    "usage_reported_at": _says("good", gettext_lazy("Usage reported")),
    "next_collect_at": _next_collection,
    "next_report_at": _next_report,
}

# Usage, schedule ------------------------------------------------------------------------------

DAYS: Final[Moments] = {"reported_at": _says("good", gettext_lazy("Day reported"))}
REFUSED_DAYS: Final[Moments] = {
    "updated_at": lambda row: Said(tone="bad", what=_("Day refused by OpenTrain"), detail=row.error),
}


def day(row: DailyUsage) -> str:
    """A day of usage, by its date, and of a group's worker by that."""
    return " ".join(filter(None, (date_format(row.work_date), row.worker_id)))


def _ran(beat: Heartbeat) -> Said:
    return Said(tone="off", what=_("Scheduled work ran"), detail=beat.host)


BEATS: Final[Moments] = {"beat_at": _ran}
