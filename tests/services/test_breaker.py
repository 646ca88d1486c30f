"""The breaker: an unusual number of removals at once stops and asks."""

from __future__ import annotations

import logging
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from django_opentrain.errors import ReconnectRequired
from django_opentrain.models import AccessGrant, Install, ProjectLink, WebhookEndpoint
from django_opentrain.services import connect, endpoints, reconcile
from django_opentrain.services.access import grants
from django_opentrain.services.conditions import CONDITIONS
from django_opentrain.services.doctor import examine
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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_a_few_removals_need_nobody(linked: OpenTrain, site: Host) -> None:
    hires = [linked.hire(f"Trainer {number}") for number in range(5)]
    linked.run()
    silence(linked)
    for each in hires:
        linked.end(each)
    hourly(linked)
    assert site.inside == set()


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
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


# A connection that ended on OpenTrain ----------------------------------------------------------


def ended_on_opentrain(opentrain: OpenTrain, trainers: int) -> Install:
    """After the grace period, when the access of its trainers should end."""
    hire(opentrain, trainers)
    opentrain.run()
    row = install()
    opentrain.disconnect(row)
    opentrain.run()
    opentrain.travel(minutes=20)
    opentrain.run()
    row.refresh_from_db()
    assert row.status == Install.Status.REVOKED
    return row


@pytest.mark.long
def test_an_ended_connection_with_a_few_trainers_leaves_no_access_behind(
    linked: OpenTrain, site: Host
) -> None:
    row = ended_on_opentrain(linked, 5)
    assert (site.inside, row.removals_held) == (set(), 0)


@pytest.mark.long
def test_an_ended_connection_with_many_trainers_asks_first(
    linked: OpenTrain, site: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """A staging site that connects the same app may have ended it."""
    with caplog.at_level(logging.ERROR, "django_opentrain"):
        row = ended_on_opentrain(linked, 6)
        linked.travel(hours=5)
        linked.run()
    assert (len(site.inside), row.removals_held) == (6, 6)
    assert caplog.text.count("until it is confirmed") == 1
    assert list(CONDITIONS["removals-held"].rows()) == [row]
    assert [each.id for each in examine(offline=True) if each.id == "removals-held"] == ["removals-held"]


@pytest.mark.long
def test_its_removals_are_made_once_they_are_confirmed(linked: OpenTrain, site: Host) -> None:
    row = ended_on_opentrain(linked, 6)
    reconcile.confirm_removals(row)
    linked.run()
    row.refresh_from_db()
    assert (site.inside, row.removals_held, row.removals_confirmed) == (set(), 0, False)
    with pytest.raises(ReconnectRequired):
        reconcile.confirm_removals(row)


@pytest.mark.long
def test_its_removals_are_confirmed_by_the_command(linked: OpenTrain, site: Host) -> None:
    row = ended_on_opentrain(linked, 6)
    with pytest.raises(CommandError, match="No connected install"):
        call_command("opentrain_sync", install=str(row.pk), stdout=StringIO())
    call_command("opentrain_sync", install=str(row.pk), confirm_removals=True, stdout=StringIO())
    assert site.inside == set()


@pytest.mark.long
def test_a_reconnect_keeps_what_was_held(linked: OpenTrain, site: Host) -> None:
    ended_on_opentrain(linked, 6)
    linked.connect("acme")
    linked.run()
    linked.travel(hours=2)
    linked.run()
    assert len(site.inside) == 6
    assert not CONDITIONS["removals-held"].rows().exists()


@pytest.mark.long
def test_a_customer_who_disconnects_here_has_confirmed_it(linked: OpenTrain, site: Host) -> None:
    hire(linked, 8)
    linked.run()
    connect.disconnect(install())
    linked.run()
    assert site.inside == set()


@pytest.mark.long
def test_where_all_may_go_at_once_nothing_asks(linked: OpenTrain, site: Host, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "REMOVAL_BREAKER": 1.0}
    assert ended_on_opentrain(linked, 8).removals_held == 0
    assert site.inside == set()


@pytest.mark.long
def test_what_was_held_and_is_taken_by_hand_waits_for_no_one(linked: OpenTrain, site: Host) -> None:
    ended_on_opentrain(linked, 6)
    grants.revoke(AccessGrant.objects.all(), "operator")
    linked.run()
    assert site.inside == set()
    assert not CONDITIONS["removals-held"].rows().exists()
