"""Two workers with one trainer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction

from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.errors import AdapterError
from django_opentrain.models import AccessGrant, TrainerAccount
from tests.adapters.conftest import MakeGrant, revoke, user_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite has one writer at a time"),
]


def in_threads(*works: Callable[[], object]) -> None:
    """Run all at once, each with a database connection of its own; the first error is raised."""

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(run, work) for work in works]:
            future.result(timeout=30)


def test_two_customers_hire_a_new_trainer_at_once(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grants = [make_grant("acme"), make_grant("zeta")]
    together = threading.Barrier(len(grants), timeout=10)

    def give(grant: AccessGrant) -> None:
        together.wait()
        try:
            adapter.grant_access(grant)
        except AdapterError:
            # PostgreSQL under REPEATABLE READ: the account that the other one has made can't be seen. Workers retry.
            adapter.grant_access(grant)

    in_threads(*[lambda grant=grant: give(grant) for grant in grants])
    assert User.objects.count() == TrainerAccount.objects.count() == 1
    assert user_of().groups.count() == 2


def test_the_last_two_grants_go_at_once(adapter: DjangoUsersAdapter, make_grant: MakeGrant) -> None:
    grants = [make_grant("acme"), make_grant("zeta")]
    for grant in grants:
        adapter.grant_access(grant)
    AccessGrant.objects.update(desired=AccessGrant.Desired.REVOKED)
    together = threading.Barrier(len(grants), timeout=10)

    def remove(grant: AccessGrant) -> None:
        together.wait()
        revoke(adapter, grant)

    in_threads(*[lambda grant=grant: remove(grant) for grant in grants])
    assert not user_of().is_active
    assert not user_of().groups.exists()


def test_a_removal_sees_the_access_that_another_worker_gives(
    adapter: DjangoUsersAdapter, make_grant: MakeGrant
) -> None:
    old = make_grant("acme")
    adapter.grant_access(old)
    given, removing = threading.Event(), threading.Event()

    def give() -> None:
        with transaction.atomic():
            adapter.grant_access(make_grant("acme"))
            given.set()
            assert removing.wait(10)
            # The other worker is at the account's lock by then; without one it would be through.
            threading.Event().wait(0.3)

    def remove() -> None:
        assert given.wait(10)
        removing.set()
        revoke(adapter, old)

    in_threads(give, remove)
    assert user_of().is_active
    assert user_of().groups.count() == 1
