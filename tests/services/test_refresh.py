"""Participants and budgets are fetched again daily: what is new takes effect, what isn't costs next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_opentrain.models import AccessGrant, Contract, Install, Participant
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import RateLimited
from django_opentrain.services import reconcile
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import Host, RecordingAdapter

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def outdated() -> None:
    """Budgets and participants were fetched long ago."""
    long_ago = timezone.now() - 2 * DAY
    Contract.objects.update(budget_updated_at=long_ago, participants_read_at=long_ago)
    Participant.objects.update(updated_at=long_ago)


def reconciled() -> reconcile.Outcome:
    return reconcile.install(Install.objects.get())


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host says of all trainers at once that they have access."""
    monkeypatch.setattr(
        RecordingAdapter, "access_states", lambda _self, rows: dict.fromkeys((row.pk for row in rows), True)
    )


@pytest.mark.usefixtures("answering")
def test_what_is_as_it_was_takes_the_same_few_statements(linked: OpenTrain, site: Host) -> None:
    linked.link("p2", job="Label data")
    counts = []
    for number in (2, 10):
        while Contract.objects.count() < number:
            linked.hire(f"Trainer {Contract.objects.count()}", job="Label data")
            linked.run()
        reconciled()
        outdated()
        with CaptureQueriesContext(connection) as statements:
            outcome = reconciled()
        assert outcome.found_nothing
        counts.append(len(statements))
    long_ago = timezone.now() - DAY
    assert not Contract.objects.filter(budget_updated_at__lte=long_ago).exists()
    assert not Contract.objects.filter(participants_read_at__lte=long_ago).exists()
    with CaptureQueriesContext(connection) as statements:
        reconciled()
    assert counts == [len(statements) + 7] * 2


def named(hire: Hire) -> dict[str, Any]:
    # Not the ciphertext's object.
    columns = Participant.objects.filter(pk=hire.participant.pk).values("display_name", "updated_at")
    return dict(columns.get())


@pytest.mark.usefixtures("answering")
def test_what_is_as_it_was_is_left_alone(linked: OpenTrain, site: Host) -> None:
    maria = linked.hire()
    linked.run()
    outdated()
    before, grant = named(maria), AccessGrant.objects.values().get()
    linked.travel(seconds=1)
    calls = len(site.calls)
    reconciled()
    after = named(maria)
    assert after.pop("updated_at") > before.pop("updated_at"), "named now: their data is not to be purged"
    assert after == before
    contract = maria.contract
    lately = timezone.now() - timedelta(seconds=1)
    assert contract.budget_updated_at is not None
    assert contract.participants_read_at is not None
    assert min(contract.budget_updated_at, contract.participants_read_at) > lately
    assert AccessGrant.objects.values().get() == grant
    assert len(site.calls) == calls


NEWS: dict[str, tuple[Callable[[OpenTrain, Hire], object], Callable[[Hire], object]]] = {
    "a Work Email": (
        lambda opentrain, maria: opentrain.change_email(maria, "new@opentrain.work"),
        lambda maria: maria.participant.work_email == "new@opentrain.work",
    ),
    "a country": (
        lambda _opentrain, _maria: Participant.objects.update(country="Atlantis"),
        lambda maria: maria.participant.country != "Atlantis",
    ),
    "someone who joined": (
        lambda opentrain, maria: opentrain.sandbox.add_participant(maria.id, "Ken T."),
        lambda _maria: AccessGrant.objects.wanted().count() == 2,
    ),
    "someone whose data was erased": (
        lambda _opentrain, _maria: Participant.objects.update(purged_at=timezone.now(), display_name=""),
        lambda maria: maria.participant.purged_at is None and maria.participant.display_name,
    ),
    "who was hired": (
        lambda _opentrain, _maria: Contract.objects.update(trainer=None),
        lambda maria: maria.contract.trainer == maria.participant,
    ),
    "a budget": (
        lambda opentrain, maria: opentrain.sandbox.fund(maria.id, 100, 50),
        lambda maria: maria.contract.funded_volume == 50,
    ),
    "a milestone": (
        lambda _opentrain, _maria: Contract.objects.update(active_milestone={"id": "another"}),
        lambda maria: (maria.contract.active_milestone or {}).get("id") != "another",
    ),
}


@pytest.mark.parametrize(("happens", "known"), NEWS.values(), ids=NEWS)
def test_news_take_effect(
    linked: OpenTrain,
    site: Host,
    happens: Callable[[OpenTrain, Hire], object],
    known: Callable[[Hire], object],
) -> None:
    maria, ken = linked.hire(), linked.hire("Ken T.")
    linked.run()
    linked.end(ken)
    linked.run()
    AccessGrant.objects.filter(participant=ken.participant).delete()
    happens(linked, maria)
    assert not known(maria)
    outdated()
    reconciled()
    assert known(maria)


def test_a_grant_that_is_missing_only_with_one_of_two_links_is_made(linked: OpenTrain, site: Host) -> None:
    linked.link("p2", job="Label data")
    linked.hire()
    linked.run()
    AccessGrant.objects.filter(link__external_project_id="p2").delete()
    reconciled()
    assert AccessGrant.objects.wanted().count() == 2


def test_what_was_fetched_before_a_pause_is_kept(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a customer with a low limit would fetch the same ones again and again."""
    for number in range(4):
        linked.hire(f"Trainer {number}")
    linked.run()
    outdated()
    get_budget, asked = PlatformClient.get_budget, []

    def limited(client: PlatformClient, contract_id: str) -> Any:
        asked.append(contract_id)
        if len(asked) == 3:
            raise RateLimited("slow down", status=429, code="RATE_LIMITED", retry_after=30)
        return get_budget(client, contract_id)

    monkeypatch.setattr(PlatformClient, "get_budget", limited)
    with pytest.raises(RateLimited):
        reconciled()
    lately = timezone.now() - timedelta(minutes=1)
    fetched = Contract.objects.filter(budget_updated_at__gte=lately)
    assert set(fetched.values_list("opentrain_id", flat=True)) == set(asked[:2])


def test_a_budget_that_an_event_brought_during_the_call_stays(
    linked: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is as it was when OpenTrain was asked is not as it is any more."""
    maria = linked.hire()
    linked.run()
    outdated()
    reconciled()
    outdated()
    get_budget = PlatformClient.get_budget

    def during_call(client: PlatformClient, contract_id: str) -> Any:
        answer = get_budget(client, contract_id)
        brought = timezone.now()
        Contract.objects.update(
            budget_state="LOW", consumed_volume=F("funded_volume"), budget_updated_at=brought
        )
        return answer

    monkeypatch.setattr(PlatformClient, "get_budget", during_call)
    reconciled()
    contract = maria.contract
    assert contract.budget_state == "LOW"
