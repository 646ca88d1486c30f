"""The work ledger: what trainers do, observed when they do it, and the daily totals that follow from it."""

from django_opentrain.services.work.observing import TAKE_BACK, note_removal, observe
from django_opentrain.services.work.totals import day_totals, entries

__all__ = ["TAKE_BACK", "day_totals", "entries", "note_removal", "observe"]
