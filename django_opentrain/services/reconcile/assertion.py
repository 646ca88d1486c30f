"""Asserting access again: what is settled here may have been changed in the host by hand.

Each run asks the adapter for all settled grants of the install at once, and converges only those that differ. Those
of which it doesn't know are converged, a share each hour, so that all are within a day. Where that takes long, the
next run goes on: events and removals, also other customers', come first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from datetime import timezone as tz
from typing import Final

from django.db.models import F, Q
from django.utils import timezone

from django_opentrain.adapters import get_adapter
from django_opentrain.conf import conf
from django_opentrain.models import AccessGrant, Install
from django_opentrain.models.access import AccessGrantQuerySet
from django_opentrain.platform.redaction import describe
from django_opentrain.platform.tracebacks import without_locals
from django_opentrain.services.access import convergence
from django_opentrain.services.workers.locks import Lease
from django_opentrain.time_limits import soft_time_limit

logger = logging.getLogger(__name__)

State, Desired = AccessGrant.State, AccessGrant.Desired

#: Hours in which each grant that the adapter can't speak for has its turn: with the time between two runs, a day.
SHARES: Final = 20
HOUR: Final = 3600
#: Seconds after which a scheduled run leaves the other hours' shares to the next one.
MAX_SECONDS: Final = 5.0
#: Grants for which the adapter is asked at once.
PAGE: Final = 500


def assert_access(
    install: Install, held: Lease, *, since: datetime | None, now: datetime, max_seconds: float
) -> datetime:
    """Converge those of the install's settled grants with which the host doesn't agree, or may not.

    Of those that the adapter can't speak for: those whose turn came between ``since`` and ``now``; all if ``since``
    is None. After ``max_seconds`` it ends with the hour in hand. Returns until when each has had its turn.
    """
    until = time.monotonic() + max_seconds
    hours = _hours(since, now)
    left_out = _assert(install, held, _settled(install), hours[0] % SHARES if hours else None)
    for hour in hours[1:] if left_out else ():
        if time.monotonic() >= until:
            return datetime.fromtimestamp(hour * HOUR, tz=tz.utc)
        share = hour % SHARES
        of_share = _settled(install).alias(share=F("participant_id") % SHARES).filter(share=share)
        _assert(install, held, of_share, share)
    return now


def _hours(since: datetime | None, now: datetime) -> range:
    """The hours that have begun since then, no more than there are shares; as many as there are for None."""
    hour = int(now.timestamp() // HOUR)
    first = hour - SHARES if since is None else int(since.timestamp() // HOUR)
    return range(max(first, hour - SHARES), hour)


def _assert(install: Install, held: Lease, grants: AccessGrantQuerySet, share: int | None) -> bool:
    """Converge those that differ, and of a share those of which the adapter doesn't know; whether there are such."""
    # Stays where a question ended its process or this run: then the adapter isn't asked in this one.
    may_ask = install.access_asked_at is None
    left_out = False
    for page in _pages(install, grants):
        held.renew(access_asked_at=timezone.now())
        wanted = [grant for grant in page if grant.desired == Desired.GRANTED]
        removed = [grant for grant in page if grant.desired != Desired.GRANTED]
        states = _states(install, page) if may_ask else {}
        left_out |= any(_is_unknown(grant, states) for grant in page)
        # Removals first, as always: if one removes too much, the wanted access is granted again after it.
        if _converge(_not_kept(removed, states), states, share, held) and may_ask:
            states = _states(install, wanted)
        _converge(wanted, states, share, held)
    return left_out


def _pages(install: Install, grants: AccessGrantQuerySet) -> Iterator[list[AccessGrant]]:
    """These of the install's, removals first, each as the adapter gets it."""
    ordered = grants.order_by("-desired", "pk").select_related("participant", "contract", "link")
    rest = Q()
    while page := list(ordered.filter(rest)[:PAGE]):
        for grant in page:
            grant.contract.install = install
            if grant.link.install_id == install.pk:
                grant.link.install = install
        yield page
        last = page[-1]
        rest = Q(desired__lt=last.desired) | Q(desired=last.desired, pk__gt=last.pk)
        if len(page) < PAGE:
            return


def _settled(install: Install) -> AccessGrantQuerySet:
    now = timezone.now()
    recently = now - timedelta(days=conf.pii_retention_days)
    settled = Q(desired=Desired.REVOKED, state=State.REVOKED, revoked_at__gte=recently)
    for desired in (Desired.GRANTED, Desired.PAUSED):
        settled |= Q(desired=desired, state__in=AccessGrant.SETTLED[desired])
    # One whose last attempt ended its process waits, so that it can't end every run.
    waited = Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)
    return AccessGrant.objects.filter(settled, waited, contract__install=install)


@without_locals  # the host's: its users are named by their Work Emails
def _states(install: Install, grants: Sequence[AccessGrant]) -> Mapping[int, bool]:
    try:
        states = get_adapter().access_states(grants)
        return {key: bool(state) for key, state in states.items() if state is not None}
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - host code: then each grant is converged in its turn
        logger.warning("access_states failed: %s", describe(error), extra=install.log_fields)
        return {}


def _not_kept(removed: Sequence[AccessGrant], states: Mapping[int, bool]) -> Sequence[AccessGrant]:
    """Without those that are open because another grant wants them to be: of these there is nothing to remove."""
    trainers = {grant.participant.opentrain_user_id for grant in removed if states.get(grant.pk)}
    if not trainers:
        return removed
    wanted = AccessGrant.objects.wanted().filter(participant__opentrain_user_id__in=trainers)
    kept = {
        (trainer, tenant, opened or linked)
        for trainer, tenant, opened, linked in wanted.values_list(
            "participant__opentrain_user_id",
            "link__install__tenant",
            "opened_project_id",
            "link__external_project_id",
        )
    }
    return [grant for grant in removed if not states.get(grant.pk) or _place(grant) not in kept]


def _place(grant: AccessGrant) -> tuple[str, str, str]:
    return grant.participant.opentrain_user_id, grant.tenant, grant.external_project_id


def _converge(
    grants: Sequence[AccessGrant], states: Mapping[int, bool], share: int | None, held: Lease
) -> int:
    """Converge those that differ; returns how many."""
    differing = [grant for grant in grants if _differs(grant, states, share)]
    for grant in differing:
        held.renew()
        convergence.converge(grant, reassert=True)
    return len(differing)


def _differs(grant: AccessGrant, states: Mapping[int, bool], share: int | None) -> bool:
    if grant.next_attempt_at or grant.attempt_began_at or grant.last_error:
        return True  # an attempt was interrupted or undecided, or the host is to be given something new
    if _is_unknown(grant, states):
        # By trainer: of what one has, the removals come first.
        return grant.participant_id % SHARES == share
    return states[grant.pk] != (grant.state == State.GRANTED)


def _is_unknown(grant: AccessGrant, states: Mapping[int, bool]) -> bool:
    """Whether only a call shows how it is: the adapter didn't say, or the project may be gone."""
    return grant.pk not in states or grant.link.project_missing_since is not None
