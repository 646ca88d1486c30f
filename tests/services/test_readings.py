"""The core loop, whichever way the points that OpenTrain's documentation leaves open turn out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from django_opentrain.models import AccessGrant, Contract, Install, WebhookEndpoint
from django_opentrain.platform.errors import RateLimited
from django_opentrain.sandbox import Readings
from django_opentrain.services import endpoints, reconcile
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import Host


def every_reading(*names: str) -> list[Any]:
    """The defaults, and (slow: they are many) each other reading of the points named; of all when none is."""
    others = [
        pytest.param(Readings(**{point.name: value}), marks=pytest.mark.slow)
        for point in fields(Readings)
        for value in point.metadata["choices"].split("|")[1:]
        if not names or point.name in names
    ]
    return [Readings(), *others]


def name_of(readings: Readings) -> str:
    others = [f"{name}={value}" for name, value in vars(readings).items() if value != vars(Readings())[name]]
    return "".join(others) or "defaults"


@pytest.fixture(params=every_reading(), ids=name_of)
def opentrain(request: pytest.FixtureRequest, db: None) -> Iterator[OpenTrain]:
    with OpenTrain(request.param) as opentrain:
        yield opentrain


def under(*names: str) -> pytest.MarkDecorator:
    """The test under the readings of these points only: those that can make a difference to it."""
    return pytest.mark.parametrize("opentrain", every_reading(*names), ids=name_of, indirect=True)


def inside(site: Host, *hires: Hire) -> bool:
    return site.inside == {(hire.opentrain_user_id, "p1") for hire in hires}


def test_access_comes_and_goes(linked: OpenTrain, site: Host) -> None:
    maria, joao = linked.hire("Maria S."), linked.hire("João P.", work_email="later")
    linked.run()
    assert inside(site, maria)
    assert (maria.contract.status, maria.contract.title) == ("active", "Label data")
    assert maria.contract.start_date == linked.today
    assert (maria.participant.display_name, maria.participant.work_email) == ("Maria S.", maria.work_email)
    assert joao.grant.state == AccessGrant.State.WAITING_FOR_EMAIL
    linked.release_email(joao)
    linked.travel(minutes=5)
    linked.run()
    assert inside(site, maria, joao)
    linked.end(maria)
    linked.run()
    assert inside(site, joao)
    assert (maria.contract.status, maria.contract.end_date) == ("ended", linked.today)
    assert list(Contract.objects.values_list("install__tenant", flat=True)) == ["acme"] * 2


def test_budgets_and_usage(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.fund(maria, hours=10)
    linked.run()
    assert maria.contract.funded_volume == 10
    for hours in (8, 2):
        assert linked.consume(maria, hours=hours).accepted
        linked.run()
    assert site.budgets == [("OK", "LOW"), ("LOW", "DEPLETED")]
    linked.fund(maria, hours=90)
    linked.run()
    assert maria.contract.budget_state == "OK"
    assert linked.sandbox.budget(maria.id).seconds == 10 * 3600


@pytest.mark.long
@under("created", "empty_fields", "retry_delays", "failures", "disabled", "event_ids")
def test_a_disabled_endpoint_is_re_enabled_and_nothing_is_lost(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(linked.sandbox.engine, "sender", lambda *_arguments: 503)
        hires = [linked.hire(f"Trainer {number}") for number in range(10)]
        for minutes in (0, 1, 5, 30, 120):
            linked.travel(minutes=minutes)
            linked.sandbox.deliver_due()
    [info] = Install.objects.get().client.list_webhook_endpoints()
    assert info.status == "DISABLED"
    linked.travel(hours=1)
    endpoints.check_all()
    linked.run()
    assert inside(site, *hires)
    assert WebhookEndpoint.objects.get().status == WebhookEndpoint.Status.ACTIVE
    linked.end(hires[0])
    linked.deliver()
    linked.run()
    assert inside(site, *hires[1:])


@under("rate_limit")
def test_a_rate_limit_is_waited_out(linked: OpenTrain, site: Host) -> None:
    linked.fail_next(429, match="GET /contracts")
    install = Install.objects.get()
    with pytest.raises(RateLimited):
        reconcile.install(install)
    maria = linked.hire()
    linked.travel(minutes=5)
    linked.run()
    assert inside(site, maria)
    install.refresh_from_db()
    assert install.last_error == ""


@pytest.mark.long
def test_the_customer_disconnects_and_comes_back(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    linked.disconnect()
    linked.run()
    assert Install.objects.get().status == Install.Status.REVOKED
    linked.connect("acme")
    linked.run()
    linked.travel(hours=2)
    linked.run()
    assert inside(site, maria)
    linked.disconnect()
    linked.run()
    linked.travel(hours=2)
    linked.run()
    assert inside(site)
