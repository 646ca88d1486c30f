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
            title=_("Switched off by OpenTrain"),
            text=endpoint.disabled_reason,
            advice=_("Changes are still found by asking OpenTrain from time to time, only later."),
        ),
        Status.PAUSED: Statement(
            tone="warn",
            title=_("Paused"),
            text=_("Somebody switched notifications off on purpose."),
            advice=_("Changes are still found by asking OpenTrain from time to time, only later."),
        ),
        Status.RETIRING: Statement(tone="off", title=_("Being replaced")),
        Status.REMOVED: Statement(tone="off", title=_("Removed")),
    }[Status(endpoint.status)]


def _active(endpoint: WebhookEndpoint) -> Statement:
    failures = endpoint.consecutive_failures
    if not failures:
        return Statement(tone="ok", title=_("Arriving"))
    text = ngettext("The last delivery failed.", "The last %(count)d deliveries failed.", failures)
    return Statement(
        tone="warn",
        title=_("Not all arrive"),
        text=text % {"count": failures},
        advice=_("OpenTrain tries again, and what stays missing is fetched."),
    )
