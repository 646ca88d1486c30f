"""Links whose project is gone: the host is asked for it."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db.models import F, Q
from django.utils import timezone

from django_opentrain.adapters import get_adapter
from django_opentrain.models import Install, ProjectLink
from django_opentrain.models.links import ProjectLinkQuerySet

logger = logging.getLogger(__name__)

#: How often the host is asked for a link's project.
ASK_AGE: Final = timedelta(hours=1)
#: For how many in one reconciliation, the longest unasked first.
ASKED_AT_ONCE: Final = 200


def to_ask(install: Install) -> ProjectLinkQuerySet:
    """The install's links whose project was not asked for lately."""
    long_ago = Q(project_asked_at=None) | Q(project_asked_at__lte=timezone.now() - ASK_AGE)
    links = ProjectLink.objects.active().filter(long_ago, install=install).select_related("install")
    return links.order_by(F("project_asked_at").asc(nulls_first=True), "pk")[:ASKED_AT_ONCE]


def ask(link: ProjectLink) -> None:
    """Ask the host whether the link's project is there, and record it. Where the host fails, what was known stays."""
    rows = ProjectLink.objects.filter(pk=link.pk)
    # Recorded first: where the host's code ends the process, the next run doesn't ask for the same project.
    rows.update(project_asked_at=timezone.now())
    try:
        found = get_adapter().get_project(link.install.tenant, link.external_project_id) is not None
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - host code: whatever it raises, other links are asked for
        logger.warning(
            "The adapter's get_project() failed for link %s: %s",
            link.opentrain_id,
            type(error).__name__,
            extra=link.install.log_fields,
        )
        return
    if found:
        rows.update(project_missing_since=None)
    else:
        rows.filter(project_missing_since=None).update(project_missing_since=timezone.now())
