"""When the access that an install gave ends: the page says it, the sweep does it, from one place."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from django_opentrain.models import Install
from tests import factories

pytestmark = pytest.mark.django_db

SINCE = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
Status = Install.Status


@pytest.fixture(autouse=True)
def grace(settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "REVOKE_GRACE": 600}


def install(**columns: Any) -> Install:
    row = factories.make_install()
    Install.objects.filter(pk=row.pk).update(**columns)
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.UNAUTHORIZED])
def test_a_refused_install_keeps_its_access_for_a_day_or_the_longer_grace(status: str, settings: Any) -> None:
    row = install(status=status, refused_at=SINCE)
    assert row.access_ends_at == SINCE + timedelta(days=1)
    settings.OPENTRAIN = {**settings.OPENTRAIN, "REVOKE_GRACE": 172_800}
    assert row.access_ends_at == SINCE + timedelta(days=2)


def test_a_revoked_install_is_abandoned_when_its_time_is_over() -> None:
    row = install(status=Status.REVOKED, revoked_at=SINCE)
    ends_at = row.access_ends_at
    assert ends_at == SINCE + timedelta(seconds=600)
    assert not Install.objects.abandoned(ends_at - timedelta(seconds=1)).exists()
    assert Install.objects.abandoned(ends_at).get() == row


def test_nothing_ends_where_nothing_is_wrong_or_all_is_over() -> None:
    assert install(status=Status.ACTIVE).access_ends_at is None
    assert install(status=Status.DISCONNECTED, refused_at=SINCE, revoked_at=SINCE).access_ends_at is None
    successor = factories.make_install()
    row = install(status=Status.REVOKED, revoked_at=SINCE, superseded_by=successor)
    assert row.access_ends_at is None
    assert not Install.objects.abandoned(SINCE + timedelta(days=9)).exists()
