"""Reconciliation: everything that an event would have said is also found by comparing with OpenTrain."""

from django_opentrain.services.reconcile.held import held_grants
from django_opentrain.services.reconcile.runs import (
    Outcome,
    confirm_removals,
    each_due,
    install,
    reconcile_or_finish,
    request_all,
    run_due,
)

__all__ = [
    "Outcome",
    "confirm_removals",
    "each_due",
    "held_grants",
    "install",
    "reconcile_or_finish",
    "request_all",
    "run_due",
]
