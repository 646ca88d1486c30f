"""An attempt is counted before it begins: one that ends its process backs off, too."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from django_opentrain.models import AccessGrant
from django_opentrain.services.workers.locks import LEASE
from django_opentrain.services.workers.retries import LONGEST_RETRY_SECONDS, claim_attempt
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_contract, make_grant, make_install, make_link, make_participant

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant(opentrain: OpenTrain) -> AccessGrant:
    install = make_install()
    return make_grant(make_contract(install), make_link(install), make_participant(install))


def test_an_attempt_is_counted_and_put_off_before_it_begins(grant: AccessGrant) -> None:
    assert claim_attempt(grant, last_error="under way")
    stored = AccessGrant.objects.get()
    assert (stored.attempts, stored.last_error) == (1, "under way")
    assert stored.next_attempt_at is not None
    assert stored.next_attempt_at > timezone.now() + LEASE
    assert (grant.attempts, grant.next_attempt_at) == (1, stored.next_attempt_at)


def test_of_two_workers_that_loaded_the_same_row_one_makes_the_attempt(grant: AccessGrant) -> None:
    other = AccessGrant.objects.get()
    assert claim_attempt(grant)
    assert not claim_attempt(other)
    assert AccessGrant.objects.get().attempts == 1


def test_what_was_never_finished_is_tried_again_later_and_later(
    grant: AccessGrant, opentrain: OpenTrain
) -> None:
    waits = []
    for _attempt in range(12):
        assert claim_attempt(grant, hold=timedelta())
        assert not claim_attempt(grant)
        assert grant.next_attempt_at is not None
        waits.append((grant.next_attempt_at - timezone.now()).total_seconds())
        opentrain.travel(seconds=waits[-1] + 1)
    assert waits[0] < 15
    assert waits[3] < waits[5] < waits[7]
    assert max(waits) <= LONGEST_RETRY_SECONDS
