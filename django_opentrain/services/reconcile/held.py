"""Removals that the breaker holds: who would lose what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db.models import Q

from django_opentrain.models import AccessGrant, Install
from django_opentrain.models.access import AccessGrantQuerySet

#: In an install's ``reconcile_summary``: OpenTrain's ids of the contracts whose end is held.
CONTRACTS: Final = "held_contracts"
#: How many of them are remembered.
MAX_CONTRACTS: Final = 1000


def held_grants(installs: Iterable[Install]) -> AccessGrantQuerySet:
    """The grants that are revoked once the held removals of these installs are confirmed, as the last run found."""
    losing = Q(pk__in=())
    for each in installs:
        ends = each.reconcile_summary.get(CONTRACTS, ())
        losing |= Q(contract__install=each, contract__opentrain_id__in=ends)
    return AccessGrant.objects.unrevoked().filter(losing)
