"""A status as the pages show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy

from django_opentrain.models import AccessGrant

#: What is wanted of a grant.
WANTED: Final[Mapping[str, Any]] = {
    AccessGrant.Desired.GRANTED: gettext_lazy("Should have access"),
    AccessGrant.Desired.PAUSED: gettext_lazy("Should be paused"),
    AccessGrant.Desired.REVOKED: gettext_lazy("Should have no access"),
}


@dataclass(frozen=True, kw_only=True)
class Status:
    """A status, and what to do about it.

    :param tone: ``ok``, ``wait``, ``warn``, ``bad`` or ``off``: how it looks.
    """

    tone: str
    title: str
    text: str = ""
    advice: str = ""
    #: Whether connecting again helps.
    reconnect: bool = False

    @property
    def is_dead(self) -> bool:
        """Whether nothing works until the customer connects again."""
        return self.reconnect and self.tone != "warn"


def moment(at: datetime) -> str:
    """A time in the reader's language, with its zone, which may not be theirs."""
    local = timezone.localtime(at)
    return f"{date_format(local, 'DATETIME_FORMAT')} {date_format(local, 'T')}"
