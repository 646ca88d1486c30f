"""A pause that OpenTrain asks for is no failure: fifteen of 90 seconds are 23 minutes, whatever was to be done.

It asks with a 429, or with a 503 that has ``Retry-After``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from django_opentrain.models import AccessGrant, Install
from django_opentrain.services import connect, reconcile, usage
from django_opentrain.services.usage import reporting, runs
from django_opentrain.testing.kit import OpenTrain

PAUSES, SECONDS = 15, 90
LOOK_EVERY = timedelta(seconds=15)
#: Each pause, and the time until the next look.
LONGEST = PAUSES * (timedelta(seconds=SECONDS) + 2 * LOOK_EVERY)


@pytest.fixture(params=[429, 503])
def status(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def takes(
    opentrain: OpenTrain, status: int, *, match: str, work: Callable[[], object], done: Callable[[], bool]
) -> timedelta:
    """The time until it is done, when each of the first calls is answered with this status."""
    opentrain.fail_next(status, times=PAUSES, retry_after=str(SECONDS), match=match)
    began = opentrain.now
    for _look in range(500):
        work()
        if done():
            break
        opentrain.travel(seconds=LOOK_EVERY.total_seconds())
    return opentrain.now - began


@pytest.mark.slow
def test_usage(linked: OpenTrain, status: int) -> None:
    maria = linked.hire()
    linked.run()
    usage.record(maria.contract, usage.today() - timedelta(days=1), total_seconds=600)

    def done() -> bool:
        return linked.sandbox.budget(maria.id).seconds == 600

    # Whether a report has taken effect that is answered 503 is not known before that has passed.
    longest = LONGEST if status == 429 else PAUSES * (reporting.LATEST_EFFECT + 2 * LOOK_EVERY)
    assert takes(linked, status, match="POST .*/usage", work=runs.run_due, done=done) <= longest


@pytest.mark.long
def test_reconciling(linked: OpenTrain, status: int) -> None:
    Install.objects.update(reconciled_at=None)
    reconcile.request_all()

    def done() -> bool:
        return Install.objects.filter(reconciled_at=None).count() == 0

    assert takes(linked, status, match="GET /project-links", work=reconcile.run_due, done=done) <= LONGEST


@pytest.mark.long
def test_disconnecting(linked: OpenTrain, status: int) -> None:
    connect.disconnect(Install.objects.get())

    def done() -> bool:
        return Install.objects.get().token is None

    assert takes(linked, status, match="DELETE .*", work=reconcile.run_due, done=done) <= LONGEST


@pytest.mark.slow
def test_asking_for_a_work_email(linked: OpenTrain, status: int) -> None:
    maria = linked.hire(work_email="later")
    linked.run()
    maria_s = AccessGrant.objects.filter(participant__opentrain_user_id=maria.opentrain_user_id)
    linked.sandbox.release_email(maria.id)

    def done() -> bool:
        return maria_s.get().state == AccessGrant.State.GRANTED

    assert takes(
        linked, status, match="GET .*/participants", work=linked.run, done=done
    ) <= LONGEST + timedelta(minutes=1)


@pytest.mark.slow
def test_one_who_leaves_is_let_go_in_the_end(linked: OpenTrain, caplog: pytest.LogCaptureFixture) -> None:
    """OpenTrain asks for a pause forever, or fails."""
    install = connect.disconnect(Install.objects.get())
    linked.fail_next(429, times=5000, retry_after="60", match="DELETE .*")
    for hours in range(40):
        for _minute in range(60 if hours < 2 else 1):
            reconcile.run_due()
            linked.travel(minutes=1)
        install.refresh_from_db()
        if install.token is None:
            break
        linked.travel(minutes=0 if hours < 2 else 59)
    assert 23 <= hours <= 25
    assert "ends with work undone" in caplog.text
