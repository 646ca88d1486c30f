"""What a condition is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.functional import Promise

#: What OpenTrain has to accept is retried until it does.
UNFINISHED_LATE: Final = timedelta(hours=1)


class Severity(IntEnum):
    """How bad it is; also the exit status of ``opentrain_doctor``."""

    NOTE = 0
    WARNING = 1
    ERROR = 2


def runbook(name: str) -> str:
    """The document that says what to do about the condition of this name."""
    return f"docs/runbooks/{name}.md"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Rows of one model that need attention, for one reason."""

    name: str
    severity: Severity
    model: type[Model]
    #: The rows, at a moment.
    find: Callable[[datetime], QuerySet[Any]]
    #: What the rows are, for operators.
    title: Promise
    #: What an operator does next.
    advice: Promise
    #: What the customer whose rows they are reads, with ``count``; None if they can't do anything about it.
    for_customers: Promise | None = None
    #: Whether an operator is concerned: a budget is a matter between the customer and OpenTrain.
    for_operators: bool = True

    def rows(self) -> QuerySet[Any]:
        """The rows that need attention now."""
        return self.find(timezone.now())
