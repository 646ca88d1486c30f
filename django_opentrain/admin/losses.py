"""Who would lose what by an action, for its confirmation page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet, Sum

from django_opentrain.admin import services
from django_opentrain.admin.customers import name_customers
from django_opentrain.models import AccessGrant

#: Grants that a confirmation lists.
MAX_SHOWN: Final = 50


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Grants that would be revoked, each with ``customer_name``, and how many more there are."""

    grants: Sequence[AccessGrant]
    more: int


def of_held_removals(installs: QuerySet[Any]) -> Losses:
    """What the held removals of these installs would revoke."""
    holding = installs.order_by("pk").filter(removals_held__gt=0)
    # Each of them loses something: no more are needed, and a statement that names thousands fails on SQLite.
    held = services.reconcile.held_grants(holding[:MAX_SHOWN]).select_related(
        "participant", "link", "contract__install"
    )
    grants = list(held.order_by("contract__install", "participant__display_name", "pk")[:MAX_SHOWN])
    name_customers(grants, "contract__install__tenant")
    count = holding.aggregate(count=Sum("removals_held"))["count"] or 0
    return Losses(grants=grants, more=max(0, count - len(grants)))
