"""Conditions: what needs attention among the rows that are stored here, under one name for all who ask.

The doctor, the admin's filters, the health URL and the customers' alerts read these. ``docs/runbooks`` has a page
for each, which says what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from django.db.models import Model, Q

from django_opentrain.services.conditions.access import ACCESS
from django_opentrain.services.conditions.condition import Condition, Severity, runbook
from django_opentrain.services.conditions.connections import CONNECTIONS
from django_opentrain.services.conditions.events import EVENTS
from django_opentrain.services.conditions.reconciliation import RECONCILIATION
from django_opentrain.services.conditions.usage import USAGE

__all__ = ["CONDITIONS", "EVENTS", "Condition", "Severity", "any_of", "of_model", "runbook"]

#: All of them, by name.
CONDITIONS: Final[Mapping[str, Condition]] = {
    each.name: each for each in (*CONNECTIONS, *EVENTS, *ACCESS, *USAGE, *RECONCILIATION)
}


def of_model(model: type[Model]) -> list[Condition]:
    """The conditions that rows of ``model`` can be in."""
    return [each for each in CONDITIONS.values() if each.model is model]


def any_of(some: Iterable[Condition]) -> Q:
    """Rows of one model that are in at least one of these conditions."""
    # A union: databases read a whole table for an OR of several subqueries.
    first, *others = (each.rows().order_by().values("pk") for each in some)
    return Q(pk__in=first.union(*others) if others else first)
