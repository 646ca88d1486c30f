"""Connections that OpenTrain refuses, and endpoints that receive nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from django_opentrain.models import Install, WebhookEndpoint
from django_opentrain.services.conditions.condition import UNFINISHED_LATE, Condition, Severity


def _endpoints(**state: Any) -> Callable[[datetime], QuerySet[WebhookEndpoint]]:
    return lambda _now: WebhookEndpoint.objects.filter(install__status__in=Install.LIVE, **state)


def _unfinished_endpoints(now: datetime) -> QuerySet[WebhookEndpoint]:
    late = Q(updated_at__lte=now - UNFINISHED_LATE) | ~Q(last_error="")
    return _endpoints(status=WebhookEndpoint.Status.PENDING)(now).filter(late)


CONNECTIONS: Final = (
    Condition(
        name="install-refused",
        severity=Severity.ERROR,
        model=Install,
        find=lambda _now: Install.objects.live().filter(
            Q(status=Install.Status.UNAUTHORIZED) | Q(refused_at__isnull=False)
        ),
        title=_("Connections that OpenTrain refuses"),
        advice=_(
            "If all are refused, check on OpenTrain whether your app is active. Otherwise the customer has to connect"
            " again: their page says so."
        ),
    ),
    Condition(
        name="endpoints-elsewhere",
        severity=Severity.WARNING,
        model=Install,
        find=lambda _now: Install.objects.live().filter(foreign_endpoints__0__isnull=False),
        title=_("Connections that another site uses, too"),
        advice=_(
            "Find that site, perhaps one for tests with a copy of this database, and stop its workers: it reports"
            " hours and ends access in this site's place. If it is yours, give it an app of its own."
        ),
    ),
    Condition(
        name="endpoint-missing",
        severity=Severity.ERROR,
        model=WebhookEndpoint,
        find=_unfinished_endpoints,
        title=_("Endpoints that OpenTrain has not created"),
        advice=_("Run: manage.py opentrain_sync. It creates one, and finds what was missed."),
    ),
    Condition(
        name="endpoint-disabled",
        severity=Severity.ERROR,
        model=WebhookEndpoint,
        find=_endpoints(status=WebhookEndpoint.Status.DISABLED),
        title=_("Endpoints that OpenTrain has disabled"),
        advice=_("Run: manage.py opentrain_sync. It re-enables the endpoint, and finds what was missed."),
    ),
    Condition(
        name="endpoint-paused",
        severity=Severity.WARNING,
        model=WebhookEndpoint,
        find=_endpoints(status=WebhookEndpoint.Status.PAUSED),
        title=_("Endpoints that were paused on this site"),
        advice=_("Unless this is on purpose, re-enable them on the customer's page or in the admin."),
    ),
    Condition(
        name="endpoint-failing",
        severity=Severity.WARNING,
        model=WebhookEndpoint,
        find=_endpoints(status=WebhookEndpoint.Status.ACTIVE, consecutive_failures__gt=0),
        title=_("Endpoints whose last deliveries failed"),
        advice=_(
            "Find the receiver's status codes in the access log; docs/runbooks/endpoint-failing.md explains them."
        ),
    ),
)
