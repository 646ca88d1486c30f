"""Of which contracts the host may have days that are not collected: no others are asked for."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q
from django.db.models.lookups import Exact

from django_opentrain.adapters import OpenTrainAdapter, get_adapter
from django_opentrain.models import Contract
from django_opentrain.platform.redaction import describe
from django_opentrain.services.work.totals import COMMITTED_LATER, news
from django_opentrain.services.workers import heartbeat
from django_opentrain.time_limits import soft_time_limit

logger = logging.getLogger(__name__)

#: Days after a contract's end during which late work is still collected.
COLLECT_AFTER_END: Final = timedelta(days=7)
#: Each contract is collected once in this time whatever is new, at a quarter of an hour of its own.
ALWAYS_WITHIN: Final = timedelta(days=1)
QUARTER: Final = timedelta(minutes=15)
QUARTERS: Final = ALWAYS_WITHIN // QUARTER
#: Contracts named by one statement.
BATCH: Final = 500


def new_work(now: datetime) -> Q:
    """Contracts under which there can be new work: active and recently ended ones."""
    return Q(status=Contract.Status.ACTIVE) | Q(ended_at__gte=now - COLLECT_AFTER_END)


def something_new(now: datetime) -> Q:
    """Contracts of which the host may have days that are not collected.

    Where collecting failed it is repeated until it works. A host with a ledger has nothing new without new entries,
    and some can say of which contracts they have (``usage_changed_since``). Once a day each contract is collected
    anyway: which hours are its may have been learned later, and days of long ago may have been corrected.
    """
    failed = Q(collect_attempts__gt=0) | ~Q(collect_error="")
    adapter = get_adapter()
    if adapter.observes_work:
        return failed | _once_a_day(now) | Q(news())
    if type(adapter).collect_usage is OpenTrainAdapter.collect_usage:
        return failed
    if _says_what_changed(adapter):
        return failed | _once_a_day(now) | Q(next_collect_at__isnull=False)
    return Q()


def note_changes(now: datetime) -> int:
    """Ask the adapter which contracts have something new since it was last asked, where it can say so.

    They become due; returns how many. If it fails, that is logged, and it is asked for the same time again.
    """
    adapter = get_adapter()
    if adapter.observes_work or not _says_what_changed(adapter):
        return 0
    try:
        changed = _changed(adapter, now)
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - host code: what is collected once a day goes on
        logger.error("usage_changed_since failed: %s", describe(error))
        return 0
    waiting = Contract.objects.filter(new_work(now), next_collect_at=None)
    due = sum(waiting.filter(each).update(next_collect_at=now) for each in changed)
    heartbeat.record(heartbeat.USAGE_CHANGES, now)
    return due


def _changed(adapter: OpenTrainAdapter, now: datetime) -> list[Q]:
    """The contracts that the adapter names, in batches."""
    # Before it was asked first, all were collected; and each is within a day.
    asked_at = heartbeat.last(heartbeat.USAGE_CHANGES) or now - ALWAYS_WITHIN
    # A host's transaction may have committed later what it wrote before.
    changed = adapter.usage_changed_since(min(asked_at, now) - COMMITTED_LATER)
    if changed is None:
        return [Q()]
    keys = [contract.pk for contract in changed]
    return [Q(pk__in=keys[begin : begin + BATCH]) for begin in range(0, len(keys), BATCH)]


def _says_what_changed(adapter: OpenTrainAdapter) -> bool:
    return type(adapter).usage_changed_since is not OpenTrainAdapter.usage_changed_since


def _once_a_day(now: datetime) -> Q:
    """Contracts that were never collected, not for a day, or whose quarter of an hour it is: not all at once."""
    quarter = int(now.timestamp() // QUARTER.total_seconds()) % QUARTERS
    its_quarter = Q(Exact(F("pk") % QUARTERS, quarter), usage_collected_at__lte=now - QUARTER)
    return Q(usage_collected_at=None) | Q(usage_collected_at__lte=now - ALWAYS_WITHIN) | its_quarter
