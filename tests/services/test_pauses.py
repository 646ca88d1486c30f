"""A pause that OpenTrain asks for is no failure: fifteen of 90 seconds are 23 minutes, whatever was to be done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from django_opentrain.models import AccessGrant, Install
from django_opentrain.services import connect, reconcile, usage
from django_opentrain.services.usage import runs
from django_opentrain.testing.kit import OpenTrain

PAUSES, SECONDS = 15, 90
LOOK_EVERY = timedelta(seconds=15)
#: Each pause, and the time until the next look.
LONGEST = PAUSES * (timedelta(seconds=SECONDS) + 2 * LOOK_EVERY)


@pytest.fixture
def linked(opentrain: OpenTrain) -> OpenTrain:
    opentrain.connect("acme")
    opentrain.link("p1")
    opentrain.run()
    return opentrain


def takes(
    opentrain: OpenTrain, *, match: str, work: Callable[[], object], done: Callable[[], bool]
) -> timedelta:
    """The time until it is done, when each of the first calls is answered 429."""
    opentrain.fail_next(429, times=PAUSES, retry_after=str(SECONDS), match=match)
    began = opentrain.now
    for _look in range(500):
        work()
        if done():
            break
        opentrain.travel(seconds=LOOK_EVERY.total_seconds())
    return opentrain.now - began


def test_usage(linked: OpenTrain) -> None:
    maria = linked.hire()
    linked.run()
    usage.record(maria.contract, usage.today() - timedelta(days=1), total_seconds=600)

    def done() -> bool:
        return linked.sandbox.budget(maria.id).seconds == 600

    assert takes(linked, match="POST .*/usage", work=runs.run_due, done=done) <= LONGEST


def test_reconciling(linked: OpenTrain) -> None:
    Install.objects.update(reconciled_at=None)
    reconcile.request_all()

    def done() -> bool:
        return Install.objects.filter(reconciled_at=None).count() == 0

    assert takes(linked, match="GET /project-links", work=reconcile.run_due, done=done) <= LONGEST


def test_disconnecting(linked: OpenTrain) -> None:
    connect.disconnect(Install.objects.get())

    def done() -> bool:
        return Install.objects.get().token is None

    assert takes(linked, match="DELETE .*", work=reconcile.run_due, done=done) <= LONGEST


def test_asking_for_a_work_email(linked: OpenTrain) -> None:
    maria = linked.hire(work_email="later")
    linked.run()
    maria_s = AccessGrant.objects.filter(participant__opentrain_user_id=maria.opentrain_user_id)
    linked.sandbox.release_email(maria.id)

    def done() -> bool:
        return maria_s.get().state == AccessGrant.State.GRANTED

    assert takes(linked, match="GET .*/participants", work=linked.run, done=done) <= LONGEST + timedelta(
        minutes=1
    )
