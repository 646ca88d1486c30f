"""The breaker: an unusual number of removals at once stops and asks."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from django_opentrain.models import AccessGrant, Install, ProjectLink, WebhookEndpoint
from django_opentrain.services import connect, endpoints, reconcile
from django_opentrain.services.reconcile import runs, snapshot
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db


def install() -> Install:
    return Install.objects.get(status=Install.Status.ACTIVE)


def silence(opentrain: OpenTrain) -> None:
    """From now on no webhook comes: only asking helps."""
    endpoints.pause(WebhookEndpoint.objects.get(status=WebhookEndpoint.Status.ACTIVE))


def hourly(opentrain: OpenTrain) -> None:
    opentrain.travel(hours=1)
    reconcile.request_all()
    opentrain.run()


def hire(opentrain: OpenTrain, number: int, **values: Any) -> list[Hire]:
    return [opentrain.hire(f"Trainer {each}", **values) for each in range(number)]


def test_many_removals_at_once_wait_for_somebody(
    linked: OpenTrain, site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    hires = [linked.hire(f"Trainer {number}") for number in range(8)]
    linked.run()
    silence(linked)
    for each in hires[:7]:
        linked.end(each)
    with caplog.at_level(logging.ERROR, "django_opentrain"):
        hourly(linked)
    assert len(site.inside) == 8
    assert install().removals_held == 7
    assert len(install().reconcile_summary["held"]) == 7
    assert "Nothing is revoked until it is confirmed" in caplog.text
    reconcile.confirm_removals(install())
    linked.run()
    assert len(site.inside) == 1
    assert (install().removals_held, install().removals_confirmed) == (0, False)


@pytest.mark.parametrize("by", ["here", "on OpenTrain", "reconnect"])
def test_after_the_connection_has_ended_nothing_is_left_to_confirm(by: str, linked: OpenTrain) -> None:
    Install.objects.update(removals_held=7)
    if by == "here":
        connect.disconnect(install())
    elif by == "on OpenTrain":
        linked.disconnect(install())
        linked.run()
    else:
        linked.connect("acme")
    assert not Install.objects.filter(removals_held__gt=0).exists()


def test_a_confirmation_is_for_what_was_shown(linked: OpenTrain, site: Host) -> None:
    """OpenTrain was unreachable in between, and then listed more."""
    hires = hire(linked, 14)
    linked.run()
    silence(linked)
    for each in hires[:8]:
        linked.end(each)
    hourly(linked)
    reconcile.confirm_removals(install())
    for each in hires[8:]:
        linked.end(each)
    hourly(linked)
    assert len(site.inside) == 14
    assert (install().removals_held, install().removals_confirmed) == (14, False)
    reconcile.confirm_removals(install())
    linked.run()
    assert site.inside == set()


def test_a_few_removals_need_nobody(linked: OpenTrain, site: Host) -> None:
    hires = [linked.hire(f"Trainer {number}") for number in range(5)]
    linked.run()
    silence(linked)
    for each in hires:
        linked.end(each)
    hourly(linked)
    assert site.inside == set()


@pytest.mark.parametrize(
    ("hired", "ended", "share", "held"),
    [
        (5, 5, 0.0, False),
        (6, 6, 0.0, True),
        (12, 6, 0.5, False),
        (11, 6, 0.5, True),
        (8, 8, 1.0, False),
    ],
    ids=["few", "any, when none may go", "half", "more than half", "all may go"],
)
def test_where_it_trips(
    linked: OpenTrain, site: Host, settings: Any, hired: int, ended: int, share: float, held: bool
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "REMOVAL_BREAKER": share}
    hires = hire(linked, hired)
    linked.run()
    silence(linked)
    for each in hires[:ended]:
        linked.end(each)
    hourly(linked)
    assert install().removals_held == (ended if held else 0)
    assert len(site.inside) == (hired if held else hired - ended)


def test_links_and_contracts_count_together(linked: OpenTrain, site: Host) -> None:
    """One run is not to remove in two steps what is too much for one."""
    hires = hire(linked, 5)
    linked.link("p2", job="Another job")
    hire(linked, 4, job="Another job")
    linked.run()
    silence(linked)
    gone = ProjectLink.objects.get(external_project_id="p2")
    install().client.delete_project_link(str(gone.opentrain_id))
    for each in hires[:2]:
        linked.end(each)
    hourly(linked)
    assert (len(site.inside), install().removals_held) == (5, 2)


def test_a_confirmation_during_a_run_is_not_forgotten(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    hires = hire(linked, 8)
    linked.run()
    silence(linked)
    for each in hires[:7]:
        linked.end(each)
    read_contracts = snapshot.read_contracts

    def during_call(*arguments: Any) -> None:
        read_contracts(*arguments)
        reconcile.confirm_removals(install())

    hourly(linked)
    monkeypatch.setattr(runs, "read_contracts", during_call)
    reconcile.install(install())
    monkeypatch.undo()
    linked.run()
    assert len(site.inside) == 1
    assert not install().removals_confirmed
    assert AccessGrant.objects.wanted().count() == 1
