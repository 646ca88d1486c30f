"""A status as the pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format


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
