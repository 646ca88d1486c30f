"""How a webhook endpoint stands, in words for the customer: they know it as "notifications"."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_opentrain.models import WebhookEndpoint
from django_opentrain.web.presenters.status import Statement

Status = WebhookEndpoint.Status


def describe(endpoint: WebhookEndpoint) -> Statement:
    """Whether OpenTrain's news arrive here."""
    if endpoint.status == Status.ACTIVE:
        return _active(endpoint)
    return {
        Status.PENDING: Statement(tone="wait", title=_("Being set up")),
        Status.DISABLED: Statement(
            tone="bad",
            title=_("Disabled by OpenTrain"),
            text=endpoint.disabled_reason,
            advice=_("Regular syncs still find all changes, only later."),
        ),
        Status.PAUSED: Statement(
            tone="warn",
            title=_("Paused"),
            text=_("Notifications were disabled on purpose."),
            advice=_("Regular syncs still find all changes, only later."),
        ),
        Status.RETIRING: Statement(tone="off", title=_("Being replaced")),
        Status.REMOVED: Statement(tone="off", title=_("Removed")),
    }[Status(endpoint.status)]


def _active(endpoint: WebhookEndpoint) -> Statement:
    failures = endpoint.consecutive_failures
    if not failures:
        return Statement(tone="ok", title=_("Receiving events"))
    text = ngettext("The last delivery failed.", "The last %(count)d deliveries failed.", failures)
    return Statement(
        tone="warn",
        title=_("Some deliveries are failing"),
        text=text % {"count": failures},
        advice=_("OpenTrain retries them, and a sync finds what is still missing."),
    )
