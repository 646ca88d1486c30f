"""Services take rows as hosts read them, from Django 6.1 on with its fetch modes as well."""

from __future__ import annotations

from datetime import date
from typing import Any

import django
import pytest
from django.db import models

from django_opentrain.models import AccessGrant, Contract, DailyUsage
from django_opentrain.services import access, usage
from tests import factories

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(django.VERSION < (6, 1), reason="there are no fetch modes"),
]


def test_rows_that_fetch_for_their_peers_are_taken() -> None:
    install = factories.make_install()
    link = factories.make_link(install)
    for _ in range(2):
        contract = factories.make_contract(install, [link])
        factories.make_grant(contract, link, factories.make_participant(install))
    peers: Any = getattr(models, "FETCH_PEERS")  # noqa: B009 - the stubs are older
    contracts: Any = Contract.objects
    for contract in contracts.fetch_mode(peers).order_by("pk"):
        usage.add(contract, date(2026, 11, 1), total_seconds=60)
    assert list(DailyUsage.objects.values_list("total_seconds", flat=True)) == [60, 60]
    grants: Any = AccessGrant.objects
    for grant in grants.fetch_mode(peers).order_by("pk"):
        access.converge(grant)
    assert list(AccessGrant.objects.values_list("state", flat=True)) == [AccessGrant.State.GRANTED] * 2
