"""Objections: one open at a time, bounded, closed once, and erased with the trainer's data."""

from __future__ import annotations

from datetime import date, timedelta
from datetime import timezone as tz

import pytest
from django.utils import timezone

from django_opentrain.errors import OperationRefused
from django_opentrain.models import Contract, Participant, UsageObjection, WorkEntry
from django_opentrain.models.objections import MAX_TEXT
from django_opentrain.services import usage
from django_opentrain.services.conditions import CONDITIONS
from django_opentrain.services.purge import erasure, retention
from django_opentrain.services.usage import objections
from tests import factories

pytestmark = pytest.mark.django_db

MARIA = "usr_maria"


@pytest.fixture
def contract() -> Contract:
    install = factories.make_install()
    trainer = factories.make_participant(install, opentrain_user_id=MARIA)
    ended = {"status": Contract.Status.ENDED, "ended_at": timezone.now()}
    return factories.make_contract(install, [factories.make_link(install)], trainer=trainer, **ended)


def object_to(
    contract: Contract, text: str = "Two hours are missing.", day: date | None = None
) -> UsageObjection:
    return usage.object_to(contract, day or usage.today(), opentrain_user_id=MARIA, text=text)


def test_it_is_open_until_it_is_answered(contract: Contract) -> None:
    row = object_to(contract, "  Two hours are missing.\0 ")
    assert (row.text, row.is_open) == ("Two hours are missing.\N{REPLACEMENT CHARACTER}", True)
    assert list(CONDITIONS["usage-objected"].rows()) == [row]
    usage.answer(row, " They are yesterday's. ", by="acme-boss")
    assert (row.status, row.answer, row.closed_by) == ("ANSWERED", "They are yesterday's.", "acme-boss")
    assert row.closed_at is not None
    assert not CONDITIONS["usage-objected"].rows()
    with pytest.raises(OperationRefused, match="closed already"):
        usage.withdraw(row)
    with pytest.raises(OperationRefused, match="closed already"):
        usage.answer(row, "Again.", by="acme-boss")
    row.refresh_from_db()
    assert row.answer == "They are yesterday's."


def test_there_is_one_open_at_a_time(contract: Contract) -> None:
    row = object_to(contract)
    with pytest.raises(OperationRefused, match="already"):
        object_to(contract)
    usage.withdraw(row)
    assert object_to(contract).pk != row.pk


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "Say what is wrong"), (" \n", "Say what is wrong"), ("x" * (MAX_TEXT + 1), "at most 1000")],
)
def test_a_text_is_needed_and_bounded(contract: Contract, text: str, words: str) -> None:
    with pytest.raises(OperationRefused, match=words):
        object_to(contract, text)
    row = object_to(contract, "x" * MAX_TEXT)
    with pytest.raises(OperationRefused, match="answer" if not text.strip() else words):
        usage.answer(row, text, by="ada")


def test_no_day_in_the_future_and_no_flood(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationRefused, match="future"):
        object_to(contract, day=usage.today() + timedelta(days=1))
    monkeypatch.setattr(objections, "MAX_PER_DAY", 2)
    monkeypatch.setattr(objections, "MAX_OPEN", 3)
    for _ in range(2):
        usage.withdraw(object_to(contract))
    with pytest.raises(OperationRefused, match="too many"):
        object_to(contract)
    for number in range(1, 4):
        object_to(contract, day=usage.today() - timedelta(days=number))
    with pytest.raises(OperationRefused, match="too many"):
        object_to(contract, day=usage.today() - timedelta(days=9))


def corrected(contract: Contract, trainer: str, tenant: str = "acme") -> WorkEntry:
    now = timezone.now().astimezone(tz.utc)
    return WorkEntry.objects.create(
        key=f"{tenant} {trainer}",
        tenant=tenant,
        opentrain_user_id=trainer,
        external_project_id="p1",
        kind=WorkEntry.Kind.CORRECTED,
        at=now,
        access_since=now,
        work_date=now.date(),
        observed_at=now,
        tasks=-1,
        reason="Maria was ill.",
        corrected_by="ada",
    )


def test_what_was_written_is_erased_with_the_trainers_data(contract: Contract) -> None:
    answered, still_open = object_to(contract), object_to(contract, day=usage.today() - timedelta(days=1))
    usage.answer(answered, "Maria was ill.", by="acme-boss")
    other = factories.make_objection(contract, opentrain_user_id="usr_other")
    entry, others = corrected(contract, MARIA), corrected(contract, "usr_other")
    erasure.erase(MARIA)
    for row in (answered, still_open, other, entry, others):
        row.refresh_from_db()
    assert (answered.text, answered.answer, answered.status) == ("", "", "ANSWERED")
    assert (still_open.text, still_open.status, still_open.live) == ("", "WITHDRAWN", None)
    assert (other.text, other.is_open) == ("I worked two hours more.", True)
    assert (entry.reason, entry.tasks, entry.opentrain_user_id) == ("", -1, MARIA)
    assert others.reason == "Maria was ill."


def test_of_the_customers_whose_retention_is_over_alone(contract: Contract) -> None:
    row = object_to(contract)
    entry, elsewhere = corrected(contract, MARIA), corrected(contract, MARIA, "globex")
    assert retention.anonymize(Participant.objects.filter(install__tenant="acme")) == 1
    for each in (row, entry, elsewhere):
        each.refresh_from_db()
    assert (row.text, entry.reason, elsewhere.reason) == ("", "", "Maria was ill.")
