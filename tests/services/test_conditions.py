"""What is reported as a condition can be resolved: nothing is reported forever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install, WebhookEvent
from django_opentrain.services.conditions import CONDITIONS
from django_opentrain.services.purge.erasure import erase
from tests import factories

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(days=60)


def present() -> set[str]:
    return {name for name, each in CONDITIONS.items() if each.rows().exists()}


def contract_with_problems(contract: dict[str, Any], **install: Any) -> Contract:
    made = factories.make_contract(
        factories.make_install(**install), collect_error="no table", budget_state="LOW", **contract
    )
    for status in (DailyUsage.Status.DUE, DailyUsage.Status.REFUSED):
        factories.make_usage(made, timezone.localdate() - timedelta(days=3), worker_id=status, status=status)
    DailyUsage.objects.update(updated_at=timezone.now() - LONG_AGO)
    return made


def test_a_removal_fails_when_it_was_tried() -> None:
    """Not because access could not be given before."""
    install = factories.make_install()
    grant = factories.make_grant(
        factories.make_contract(install), factories.make_link(install), factories.make_participant(install)
    )
    AccessGrant.objects.update(desired="REVOKED", state="FAILED", attempts=0, desired_at=timezone.now())
    assert "removal-failing" not in present()
    AccessGrant.objects.filter(pk=grant.pk).update(attempts=1)
    assert "removal-failing" in present()
    AccessGrant.objects.update(attempts=0, desired_at=timezone.now() - timedelta(minutes=11))
    assert "removal-failing" in present()


OF_USAGE = {"usage-uncollected", "usage-unreported", "usage-refused"}


def test_a_connection_without_a_token_reports_no_work() -> None:
    contract_with_problems({})
    assert present() == {*OF_USAGE, "budget-low"}
    Install.objects.update(status="DISCONNECTED")
    assert present() == OF_USAGE  # until its last usage is reported
    Install.objects.update(token=None)
    assert present() == set()


def test_the_work_of_a_contract_that_ended_long_ago_is_collected_no_more() -> None:
    ended = {"status": Contract.Status.ENDED, "ended_at": timezone.now() - timedelta(days=1)}
    contract_with_problems(ended)
    assert present() == OF_USAGE
    Contract.objects.update(ended_at=timezone.now() - LONG_AGO)
    assert present() == {"usage-unreported", "usage-refused"}


def test_an_event_that_failed_and_was_erased_can_be_replayed_no_more() -> None:
    endpoint = factories.make_endpoint(factories.make_install())
    factories.make_event(endpoint, data={"freelancer": {"id": "usr_1"}}, status=WebhookEvent.Status.FAILED)
    assert present() == {"events-failed"}
    assert erase("usr_1").event_bodies == 1
    assert present() == set()
