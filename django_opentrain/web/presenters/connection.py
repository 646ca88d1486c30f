"""The status of a connection, in words for the customer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_opentrain.conf import conf
from django_opentrain.errors import UndecryptableError
from django_opentrain.explanations import OPENTRAIN_FORBIDDEN, reason_for_customers
from django_opentrain.models import Install
from django_opentrain.platform import catalog
from django_opentrain.services.connect import missing_scopes
from django_opentrain.web.presenters.status import Status, moment

#: How long the customer is reminded of an unfinished connection.
UNFINISHED: timedelta = timedelta(days=1)

#: What each permission is for.
SCOPE_USES: Final[Mapping[str, Promise]] = {
    catalog.PROJECT_LINKS_READ: gettext_lazy("to see which projects are linked"),
    catalog.PROJECT_LINKS_WRITE: gettext_lazy("to link projects to jobs"),
    catalog.CONTRACTS_READ: gettext_lazy("to see contracts and budgets"),
    catalog.PARTICIPANTS_READ: gettext_lazy("to see who was hired"),
    catalog.PARTICIPANTS_EMAIL: gettext_lazy("to see the Work Emails that get access"),
    catalog.USAGE_WRITE: gettext_lazy("to report the work done"),
    catalog.WEBHOOKS_MANAGE: gettext_lazy("to be notified at once when something changes"),
}


_ENDED_ON_OPENTRAIN: Final = gettext_lazy(
    "Your organization was disconnected there, or connected again with this app from elsewhere, such as a test site."
)


_UNTIL_CONFIRMED: Final = gettext_lazy("Trainers keep their access until its removal is confirmed.")


def describe(install: Install | None) -> Status:
    """The status of a tenant's connection; ``install`` is None if they have none."""
    if install is None:
        return Status(
            tone="off",
            title=_("Not connected"),
            text=_("Connect your OpenTrain organization to hire AI trainers for your projects."),
        )
    if install.status == Install.Status.ACTIVE:
        return _active(install)
    return {
        Install.Status.PENDING: _pending,
        Install.Status.UNAUTHORIZED: _unauthorized,
        Install.Status.REVOKED: _revoked,
        Install.Status.DISCONNECTED: _disconnected,
    }[Install.Status(install.status)](install)


def _active(install: Install) -> Status:
    if not _is_readable(install):
        return Status(
            tone="bad",
            title=_("This site can't read the connection's token"),
            text=_(
                "The key with which it was encrypted is missing, or it is another connection's. So nothing can be"
                " exchanged with OpenTrain."
            ),
            advice=_("Ask this site's administrators to restore the key, or connect again."),
            reconnect=True,
        )
    if install.last_error_code == OPENTRAIN_FORBIDDEN:
        return Status(
            tone="bad",
            title=_("OpenTrain is refusing this connection"),
            text=" ".join(filter(None, [reason_for_customers(install, "last_error"), _until(install)])),
            advice=_(
                "Check on OpenTrain that the connection and your account's annotation platform feature are active."
                " If you removed it there, connect again."
            ),
            reconnect=True,
        )
    if install.paused_until and install.paused_until > timezone.now():
        return Status(
            tone="wait",
            title=_("Connected, rate limited by OpenTrain"),
            text=_("OpenTrain limits this site's calls. They resume at %(time)s; nothing is lost.")
            % {"time": moment(install.paused_until)},
        )
    if install.last_error:
        return Status(
            tone="warn",
            title=_("Connected"),
            text=_("The last call to OpenTrain failed: %(error)s")
            % {"error": reason_for_customers(install, "last_error")},
            advice=_("It will be retried automatically."),
        )
    if missing_permissions(install):
        return Status(
            tone="warn",
            title=_("Connected, but something is missing"),
            text=_("Some features can't work with what was approved on OpenTrain."),
            reconnect=True,
        )
    if install.is_being_set_up:
        return Status(
            tone="wait",
            title=_("Connected, being set up"),
            text=_("Your jobs and contracts are being fetched from OpenTrain."),
            advice=_(
                "Reload this page in a few minutes. If it still says so then, ask this site's administrators."
            ),
        )
    return Status(
        tone="ok",
        title=_("Connected"),
        text=_("Trainers you hire get access when their contract starts, and lose it when it ends."),
    )


def _is_readable(install: Install) -> bool:
    try:
        return bool(install.token)
    except UndecryptableError:
        return False


def _pending(_install: Install) -> Status:
    return Status(
        tone="wait",
        title=_("Almost connected"),
        text=_("One step is left: paste the token that OpenTrain shows you."),
    )


def _unauthorized(install: Install) -> Status:
    return Status(
        tone="bad",
        title=_("OpenTrain no longer accepts this connection"),
        text=reason_for_customers(install, "last_error") or _("Its token has been revoked."),
        advice=" ".join(
            filter(
                None,
                [_("New hires, budgets and reports wait until you connect again."), _until(install)],
            )
        ),
        reconnect=True,
    )


def _until(install: Install) -> str:
    """When the trainers of an install that OpenTrain refuses lose their access."""
    ends_at = install.access_ends_at
    if ends_at is None:
        return ""
    if ends_at > timezone.now():
        return _("Trainers keep their access until %(time)s.") % {"time": moment(ends_at)}
    if install.removals_held:
        return str(_UNTIL_CONFIRMED)
    return _("Because this has lasted so long, the trainers' access ends now.")


def _revoked(install: Install) -> Status:
    deadline = install.access_ends_at
    if deadline and deadline > timezone.now():
        return Status(
            tone="bad",
            title=_("The connection was ended on OpenTrain"),
            text=" ".join(
                [
                    str(_ENDED_ON_OPENTRAIN),
                    _("The trainers you hired lose their access at %(time)s.") % {"time": moment(deadline)},
                ]
            ),
            advice=_("Connect again before then and they keep it."),
            reconnect=True,
        )
    if install.removals_held:
        return Status(
            tone="bad",
            title=_("The connection was ended on OpenTrain"),
            text=f"{_ENDED_ON_OPENTRAIN} {_UNTIL_CONFIRMED}",
            advice=_("Connect again and they keep it for good, or confirm its removal."),
            reconnect=True,
        )
    return Status(
        tone="off",
        title=_("The connection was ended on OpenTrain"),
        text=" ".join(
            [str(_ENDED_ON_OPENTRAIN), _("The access of the trainers you hired has ended with it.")]
        ),
        advice=_("Connect again to continue working with them."),
        reconnect=True,
    )


def _disconnected(_install: Install) -> Status:
    return Status(
        tone="off",
        title=_("Disconnected"),
        text=_("You disconnected this site from OpenTrain. The trainers' access has ended."),
        advice=_("Connect again to continue working with them."),
        reconnect=True,
    )


def missing_permissions(install: Install) -> list[Status]:
    """What a working connection can't do, because the customer didn't grant it."""
    if not install.is_live:
        return []
    lacks = []
    if missing := missing_scopes(install):
        lacks.append(
            Status(
                tone="warn",
                title=_("Some permissions are missing"),
                text=_("You didn't grant: %(scopes)s.")
                % {"scopes": "; ".join(f"{scope} ({SCOPE_USES.get(scope, scope)})" for scope in missing)},
                advice=_("Connect again and approve every permission."),
                reconnect=True,
            )
        )
    if not install.pii_consent and catalog.PARTICIPANTS_EMAIL in conf.scopes:
        lacks.append(
            Status(
                tone="warn",
                title=_("Work Emails are not shared"),
                text=_("Without a trainer's Work Email this site can't give them an account."),
                advice=_("Connect again and tick the box about personal data."),
                reconnect=True,
            )
        )
    return lacks


@dataclass(frozen=True, kw_only=True)
class Connections:
    """A tenant's installs, as their pages show them."""

    #: The one that the pages are about.
    current: Install | None
    #: The others that are in use: a customer may have several OpenTrain organizations.
    others: list[Install]
    #: The others with removals that wait to be confirmed: also those that have ended.
    held: list[Install]
    #: One that waits for its token beside the current one.
    unfinished: Install | None


def connections(tenant: str, chosen: str | None = None) -> Connections:
    """The tenant's installs; ``chosen`` (an install's key, from a query string) is put first."""
    rows = list(Install.objects.filter(tenant=tenant, superseded_by=None).order_by("-pk")[:100])
    live = [row for row in rows if row.is_live]
    current = next((row for row in rows if str(row.pk) == chosen), None)
    current = current or next(iter(live), None) or max(rows, key=_newest, default=None)
    since = max(timezone.now() - UNFINISHED, _changed_at(current)) if current else timezone.now()
    unfinished = next((row for row in rows if _is_pending(row) and row.created_at > since), None)
    return Connections(
        current=current,
        others=[row for row in live if row != current],
        held=[row for row in rows if row.removals_held and row != current],
        unfinished=unfinished,
    )


def _newest(row: Install) -> tuple[bool, datetime]:
    """An unfinished connection is shown only where there is no other: it says nothing of the trainers' access."""
    return not _is_pending(row), _changed_at(row)


def _is_pending(row: Install) -> bool:
    return row.status == Install.Status.PENDING


def _changed_at(row: Install) -> datetime:
    """When it was begun; of one that has ended, when that was."""
    return row.revoked_at or row.created_at
