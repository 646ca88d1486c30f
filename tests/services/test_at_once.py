"""Workers and customers at once, on databases with row locks."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections, transaction

from django_opentrain.models import AccessGrant, Participant
from django_opentrain.services import takeover
from django_opentrain.services.locks import lock
from tests.factories import make_contract, make_grant, make_install, make_link, make_participant

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite has one writer at a time"),
]


def test_a_reconnect_while_access_is_given_is_no_deadlock() -> None:
    """Whoever gives access locks the trainer, then writes the grant: a reconnect has to keep to that order."""
    old, new = make_install(organization_id="org"), make_install(organization_id="org")
    link, trainer = make_link(old), make_participant(old)
    grant = make_grant(make_contract(old, [link]), link, trainer)
    locked, failures = threading.Event(), []

    def take_over() -> None:
        assert locked.wait(10)
        try:
            with transaction.atomic():
                takeover.from_predecessors(new)
        except Exception as error:  # noqa: BLE001 - a thread's error is the test's
            failures.append(error)
        finally:
            connections.close_all()

    other = threading.Thread(target=take_over)
    other.start()
    with transaction.atomic():
        lock(Participant.objects.filter(pk=trainer.pk))
        locked.set()
        other.join(1)  # by then it waits for the trainer, and must hold nothing that is needed here
        AccessGrant.objects.filter(pk=grant.pk).update(attempts=1)
    other.join(10)
    assert not failures
    grant.refresh_from_db()
    assert (grant.attempts, grant.link.install, grant.participant.install) == (1, new, new)
