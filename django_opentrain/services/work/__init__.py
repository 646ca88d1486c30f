"""The work ledger: what trainers do, observed when they do it, and the daily totals that follow from it."""

from django_opentrain.acting import acting_user
from django_opentrain.services.work.corrections import correct
from django_opentrain.services.work.gains import TAKE_BACK, Change
from django_opentrain.services.work.listing import Entries, entries
from django_opentrain.services.work.observing import note_removal, observe
from django_opentrain.services.work.totals import day_totals

__all__ = [
    "TAKE_BACK",
    "Change",
    "Entries",
    "acting_user",
    "correct",
    "day_totals",
    "entries",
    "note_removal",
    "observe",
]
