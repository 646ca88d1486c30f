"""Links whose project is gone: the host is asked for it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from datetime import timezone as tz
from typing import Final

from django.utils import timezone

from django_opentrain.adapters import get_adapter
from django_opentrain.models import ProjectLink
from django_opentrain.time_limits import soft_time_limit

logger = logging.getLogger(__name__)

#: How often the host is asked for a link's project.
ASK_AGE: Final = timedelta(hours=1)
#: For how many in one reconciliation, the longest unasked first.
ASKED_AT_ONCE: Final = 200

_NEVER: Final = datetime.min.replace(tzinfo=tz.utc)


def to_ask(links: Iterable[ProjectLink]) -> list[ProjectLink]:
    """Those of these links whose project was not asked for lately."""
    long_ago = timezone.now() - ASK_AGE
    asked = [(link.project_asked_at or _NEVER, link.pk, link) for link in links if link.is_active]
    return [link for asked_at, _pk, link in sorted(asked) if asked_at <= long_ago][:ASKED_AT_ONCE]


def ask(link: ProjectLink) -> None:
    """Ask the host whether the link's project is there, and record it. Where the host fails, what was known stays."""
    rows = ProjectLink.objects.filter(pk=link.pk)
    # Recorded first: where the host's code ends the process, the next run doesn't ask for the same project.
    rows.update(project_asked_at=timezone.now())
    try:
        found = get_adapter().get_project(link.install.tenant, link.external_project_id) is not None
    except soft_time_limit():
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
        if link.project_missing_since is not None:
            rows.update(project_missing_since=None)
    else:
        rows.filter(project_missing_since=None).update(project_missing_since=timezone.now())
