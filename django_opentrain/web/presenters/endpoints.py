"""The status of a webhook endpoint, in words for the customer, who knows it as "notifications"."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_opentrain.models import WebhookEndpoint
from django_opentrain.web.presenters.status import Status

EndpointStatus = WebhookEndpoint.Status


def describe(endpoint: WebhookEndpoint) -> Status:
    """Whether OpenTrain's events arrive here."""
    if endpoint.status == EndpointStatus.ACTIVE:
        return _active(endpoint)
    return {
        EndpointStatus.PENDING: Status(tone="wait", title=_("Being set up")),
        EndpointStatus.DISABLED: Status(
            tone="bad",
            title=_("Disabled by OpenTrain"),
            text=endpoint.disabled_reason,
            advice=_("Regular syncs still find all changes, only later."),
        ),
        EndpointStatus.PAUSED: Status(
            tone="warn",
            title=_("Paused"),
            text=_("Notifications were disabled on purpose."),
            advice=_("Regular syncs still find all changes, only later."),
        ),
        EndpointStatus.RETIRING: Status(tone="off", title=_("Being replaced")),
        EndpointStatus.REMOVED: Status(tone="off", title=_("Removed")),
    }[EndpointStatus(endpoint.status)]


def _active(endpoint: WebhookEndpoint) -> Status:
    failures = endpoint.consecutive_failures
    if not failures:
        return Status(tone="ok", title=_("Receiving events"))
    text = ngettext("The last delivery failed.", "The last %(count)d deliveries failed.", failures)
    return Status(
        tone="warn",
        title=_("Some deliveries are failing"),
        text=text % {"count": failures},
        advice=_("OpenTrain retries them, and a sync finds what is still missing."),
    )
