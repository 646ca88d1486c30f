"""Workers and customers at once, on databases with row locks."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, connections, transaction

from django_opentrain.models import AccessGrant, Install, Participant
from django_opentrain.services import access, contracts, linking, takeover
from django_opentrain.services.locks import lock, one_at_a_time
from tests.factories import make_contract, make_grant, make_install, make_link, make_participant
from tests.services.conftest import Host, RecordingAdapter

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite has one writer at a time"),
]


def in_a_thread(work: Callable[[], object], *, after: threading.Event) -> Thread:
    """Start it; it begins with its work once ``after`` is set."""
    thread = Thread(work, after)
    thread.start()
    return thread


class Thread(threading.Thread):
    """Keeps its error, and leaves no connection open."""

    def __init__(self, work: Callable[[], object], after: threading.Event) -> None:
        super().__init__()
        self.work, self.after = work, after
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            assert self.after.wait(10)
            with transaction.atomic():
                self.work()
        except Exception as error:  # noqa: BLE001 - a thread's error is the test's
            self.error = error
        finally:
            connections.close_all()


def test_a_reconnect_while_access_is_given_is_no_deadlock() -> None:
    """Whoever gives access locks the trainer, then writes the grant: a reconnect has to keep to that order."""
    old, new = make_install(organization_id="org"), make_install(organization_id="org")
    link, trainer = make_link(old), make_participant(old)
    grant = make_grant(make_contract(old, [link]), link, trainer)
    locked = threading.Event()
    other = in_a_thread(lambda: takeover.from_predecessors(new), after=locked)
    with transaction.atomic():
        lock(Participant.objects.filter(pk=trainer.pk))
        locked.set()
        other.join(1)  # by then it waits for the trainer, and must hold nothing that is needed here
        AccessGrant.objects.filter(pk=grant.pk).update(attempts=1)
    other.join(10)
    assert other.error is None
    grant.refresh_from_db()
    assert (grant.attempts, grant.link.install, grant.participant.install) == (1, new, new)


def test_unlinking_while_an_event_takes_effect_is_no_deadlock() -> None:
    """An event locks the install, then writes grants: unlinking has to keep to that order."""
    install = make_install(status=Install.Status.REVOKED)
    link = make_link(install)
    grant = make_grant(make_contract(install, [link]), link, make_participant(install))
    locked = threading.Event()
    other = in_a_thread(lambda: linking.unlink(link), after=locked)
    with one_at_a_time(install):
        locked.set()
        other.join(1)
        AccessGrant.objects.filter(pk=grant.pk).update(attempts=1)
    other.join(10)
    assert other.error is None
    grant.refresh_from_db()
    assert (grant.attempts, grant.desired) == (0, AccessGrant.Desired.REVOKED)


@pytest.mark.parametrize("fails", [False, True])
def test_an_end_while_the_host_is_giving_access_is_not_forgotten(
    site: Host, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """The host may take its time, and an event is not to wait for it."""
    install = make_install()
    link, trainer = make_link(install, external_project_id="p1"), make_participant(install)
    contract = make_contract(install, [link])
    grant = make_grant(contract, link, trainer, state=AccessGrant.State.PENDING, attempts=9)
    giving = threading.Event()
    other = in_a_thread(lambda: contracts.end(contract, "event"), after=giving)
    give = RecordingAdapter.grant_access

    def slowly(adapter: RecordingAdapter, row: AccessGrant) -> str:
        giving.set()
        other.join(10)
        if fails:
            raise RuntimeError("a bad day")
        return give(adapter, row)

    monkeypatch.setattr(RecordingAdapter, "grant_access", slowly)
    access.converge(grant)
    assert (other.is_alive(), other.error) == (False, None)
    grant.refresh_from_db()
    assert (grant.desired, grant.cause) == (AccessGrant.Desired.REVOKED, "event")
    assert grant.next_attempt_at is None, "the removal is due at once"
    access.converge_due()
    grant.refresh_from_db()
    assert (grant.state, site.inside) == (AccessGrant.State.REVOKED, set())
