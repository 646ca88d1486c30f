from __future__ import annotations

from django_opentrain.platform.deadlines import MAX_CALL_SECONDS
from django_opentrain.services.workers.locks import LEASE


def test_the_longest_call_is_shorter_than_the_lease() -> None:
    assert LEASE.total_seconds() - 60 >= MAX_CALL_SECONDS, (
        "a minute for resolving the name and for its addresses"
    )
