"""A day's page and the files: the same hours for the customer as in the ledger, and no other customer's."""

from __future__ import annotations

import csv
import io
import warnings
from datetime import date, datetime, timedelta
from datetime import timezone as tz
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_opentrain.models import AccessGrant, Contract, DailyUsage, WorkEntry
from django_opentrain.web.views import days, downloads
from tests import factories
from tests.web.adapter import NamesAdapter
from tests.web.conftest import Visitor
from tests.web.markup import page_of, text_of
from tests.web.test_decorators import check_markup

DAY = date(2026, 11, 2)
NOON = datetime(2026, 11, 2, 12, tzinfo=tz.utc)
MINUTE = timedelta(minutes=1)
Kind = WorkEntry.Kind


@pytest.fixture(autouse=True)
def _observing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NamesAdapter, "observes_work", True)


def hire(tenant: str = "acme", contract: Contract | None = None, **values: Any) -> AccessGrant:
    install = contract.install if contract else factories.make_install(tenant)
    link = factories.make_link(install, external_project_id=f"{tenant}-1", external_project_name="Invoices")
    trainer = factories.make_participant(install, **values)
    contract = contract or factories.make_contract(install, [link], trainer=trainer)
    return factories.make_grant(contract, link, trainer)


def url_of(grant: AccessGrant, day: object = DAY, name: str = "day") -> str:
    return reverse(f"opentrain:{name}", kwargs={"pk": grant.contract_id, "day": str(day)})


def test_a_day_has_its_totals_and_the_actions_behind_them(boss: Client) -> None:
    grant = hire()
    factories.make_usage(grant.contract, DAY, total_seconds=420, tasks_completed=1, labels_completed=3)
    factories.make_work(grant, NOON, object_id="task 7", duration=timedelta(seconds=423))
    page = page_of(boss.get(url_of(grant)))
    check_markup(page)
    assert "Maria S." in page.text
    assert "0:07 1 3 To be reported" in page.text
    assert "12:00:00 submitted Invoices task 7 0:07:03 0:07:03 1 3" in page.text


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([{"duration": timedelta(hours=2)}], "0:30:00 1 3|One action counts for at most 30 minutes."),
        (
            [{"access_since": NOON - MINUTE}],
            "0:01:00|access began on Nov. 2, 2026, 11:59 a.m. UTC. No time from before",
        ),
        ([{"at": NOON - MINUTE}, {}], "0:01:00|The rest of this time is counted with other actions"),
        ([{"kind": Kind.REMOVED}], "removed by others|What was counted for it stays"),
        ([{"kind": Kind.DELETED, "tasks": -1}], "deleted by the trainer|is taken back on this day"),
        (
            [{"kind": Kind.CORRECTED, "duration": -MINUTE, "reason": "a test", "corrected_by": "ada"}],
            "ada: a test|\u22120:01:00",
        ),
    ],
)
def test_why_less_counts_than_was_claimed(boss: Client, entries: list[dict[str, Any]], words: str) -> None:
    grant = hire()
    for values in entries:
        factories.make_work(grant, **{"at": NOON, **values})
    text = text_of(boss.get(url_of(grant)))
    assert [each for each in words.split("|") if each not in text] == []


def test_a_fraction_of_a_second_needs_no_reason(boss: Client) -> None:
    grant = hire()
    factories.make_work(grant, NOON, duration=timedelta(seconds=5.8))
    factories.make_work(grant, NOON + timedelta(seconds=5.2), duration=timedelta(seconds=5.6))
    assert "The rest of this time" not in text_of(boss.get(url_of(grant)))


def test_what_a_trainer_does_for_another_customer_is_not_shown(boss: Client) -> None:
    """Though it takes its part of the time that both claim."""
    here = hire(opentrain_user_id="usr_maria")
    there = hire("globex", opentrain_user_id="usr_maria")
    factories.make_work(there, NOON, object_id="secret task")
    factories.make_work(here, NOON + MINUTE, object_id="task 1")
    page = page_of(boss.get(url_of(here)))
    assert "secret" not in page.text
    assert "12:00" not in page.text.replace("12:01:00", "")
    assert "0:05:00 0:01:00" in page.text
    assert boss.get(url_of(there)).status_code == 404
    content = b"".join(boss.get(url_of(here, name="day-csv"))).decode()
    assert "task 1" in content
    assert "secret" not in content
    assert boss.get(url_of(there, name="day-csv")).status_code == 404


def test_of_several_trainers_one_can_be_chosen(boss: Client) -> None:
    maria = hire(display_name="Maria S.", opentrain_user_id="usr_maria")
    joao = factories.make_grant(
        maria.contract, maria.link, factories.make_participant(maria.contract.install, display_name="João P.")
    )
    for grant in (maria, joao):
        factories.make_work(grant, NOON, object_id=f"task of {grant.participant}")
    for worker in ("", joao.participant.opentrain_user_id):
        factories.make_usage(maria.contract, DAY, worker_id=worker)
    both = text_of(boss.get(url_of(maria)))
    assert "task of Maria" in both
    assert "task of João" in both
    one = page_of(boss.get(url_of(maria), {"trainer": "usr_maria"}))
    check_markup(one)
    assert "task of Maria" in one.text
    assert "task of João" not in one.text
    assert len(boss.get(url_of(maria), {"trainer": "usr_maria"}).context["days"]) == 1
    assert "task of João" in text_of(boss.get(url_of(maria), {"trainer": "nonsense"}))


@pytest.mark.parametrize(
    "day",
    ["2026-13-01", "20261102", "2026-W45-1", "tomorrow", "1999-12-31", "9999-12-31", "2026-11-02T00:00"],
)
def test_what_is_no_day_is_not_found(boss: Client, day: str) -> None:
    assert boss.get(url_of(hire(), day)).status_code == 404


def test_a_day_without_work_and_a_site_without_a_ledger_say_so(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = hire()
    assert "No actions are stored for this day." in text_of(boss.get(url_of(grant)))
    monkeypatch.setattr(NamesAdapter, "observes_work", False)
    assert "doesn't store single actions" in text_of(boss.get(url_of(grant)))


@pytest.mark.long
def test_thousands_of_actions_are_pages_and_the_same_number_of_queries(boss: Client) -> None:
    grant = hire()
    url = url_of(grant)
    factories.make_work(grant, NOON)
    factories.make_usage(grant.contract, DAY)
    boss.get(url)
    with CaptureQueriesContext(connection) as few:
        boss.get(url)
    like = factories.make_work(grant, NOON)
    columns = {field.attname: getattr(like, field.attname) for field in WorkEntry._meta.fields[1:]}
    WorkEntry.objects.bulk_create(
        WorkEntry(**{**columns, "key": f"bulk {number}", "at": NOON + timedelta(seconds=number)})
        for number in range(2500)
    )
    with CaptureQueriesContext(connection) as many:
        page = boss.get(url, {"page": 26})
    assert len(many) == len(few) <= 12
    assert len(page.context["lines"]) == 2502 % days.ENTRIES_PER_PAGE
    assert page.context["page"].paginator.num_pages == 26


def test_the_contracts_page_leads_to_its_days(boss: Client) -> None:
    grant = hire()
    factories.make_usage(grant.contract, DAY)
    page = page_of(boss.get(reverse("opentrain:contract", args=[grant.contract_id])))
    assert url_of(grant) in [a.attributes["href"] for a in page.all("a")]


# Files -------------------------------------------------------------------------------------------


def lines_of(response: Any, delimiter: str = ",") -> list[dict[str, str]]:
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]
    content = b"".join(response)
    assert content.startswith(b"\xef\xbb\xbf")
    text = content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_a_contracts_days_are_a_file(boss: Client) -> None:
    grant = hire(opentrain_user_id="usr_maria")
    factories.make_usage(grant.contract, DAY, total_seconds=5400, status="REPORTED", reported_at=NOON)
    factories.make_usage(grant.contract, DAY - timedelta(days=1), total_seconds=None, labels_completed=None)
    response = boss.get(reverse("opentrain:contract-csv", args=[grant.contract_id]))
    name = f"opentrain-contract-{grant.contract_id}-days.csv"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    first, second = lines_of(response)
    assert (first["date"], first["seconds"], first["hours"], first["labels"]) == ("2026-11-01", "", "", "")
    assert second == {
        "date": "2026-11-02",
        "contract": str(grant.contract),
        "contract_id": grant.contract.opentrain_id,
        "trainer": "Maria S.",
        "trainer_id": "usr_maria",
        "seconds": "5400",
        "hours": "1.5000",
        "tasks": "12",
        "labels": "40",
        "status": "REPORTED",
        "hours_withheld": "false",
        "reported_at": "2026-11-02T12:00:00+00:00",
        "error": "",
    }


def test_under_asgi_they_are_sent_while_they_are_read_too(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "BATCH", 2)
    grant = hire()
    for number in range(5):
        factories.make_usage(grant.contract, DAY - timedelta(days=number))
    url = reverse("opentrain:contract-csv", args=[grant.contract_id])
    client = AsyncClient()
    client.cookies = boss.cookies

    async def parts() -> list[bytes]:
        response: Any = await client.get(url)
        return [part async for part in response]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = async_to_sync(parts)()
    assert len(got) == 1 + 3, "the heading, and a part for each batch"
    assert b"".join(got) == b"".join(boss.get(url))


def test_all_of_a_customers_days_in_a_period_and_no_others(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "BATCH", 3)
    ours = [hire(), hire()]
    for grant in [*ours, hire("globex")]:
        for number in range(5):
            factories.make_usage(grant.contract, DAY + timedelta(days=number))
            factories.make_usage(grant.contract, DAY + timedelta(days=number), worker_id="usr_x")
    url = reverse("opentrain:days-csv")
    got = lines_of(boss.get(url, {"since": "2026-11-03", "until": "2026-11-05"}))
    keys = [(row["contract_id"], row["trainer_id"], row["date"]) for row in got]
    assert len(keys) == len(set(keys)) == 2 * 2 * 3
    assert {key[0] for key in keys} == {grant.contract.opentrain_id for grant in ours}
    assert {key[2] for key in keys} == {"2026-11-03", "2026-11-04", "2026-11-05"}


@pytest.mark.parametrize(
    "query", [{}, {"since": "1", "until": "2026-11-05"}, {"since": "2026-11-05", "until": "2026-11-04"}]
)
def test_a_period_that_is_none_is_asked_for_again(boss: Client, query: dict[str, str]) -> None:
    response = boss.get(reverse("opentrain:days-csv"), query)
    assert response.status_code == 400
    check_markup(page_of(response))
    assert "Download hours" in text_of(response)


def test_the_number_of_queries_of_a_file_does_not_grow_with_its_rows(boss: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            lines_of(boss.get(reverse("opentrain:days-csv"), {"since": "2026-11-01", "until": "2026-12-01"}))
        return len(captured)

    factories.make_usage(hire().contract, DAY)
    few = queries()
    for _ in range(10):
        factories.make_usage(hire().contract, DAY)
    assert queries() == few


DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=1", " =1", "\uff1d1+1"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_cell_that_begins_like_a_formula_is_a_text(boss: Client, text: str) -> None:
    grant = hire(display_name=text)
    factories.make_work(
        grant, NOON, object_id=text, kind=Kind.DELETED, tasks=-1, labels=-3, duration=timedelta()
    )
    factories.make_usage(grant.contract, DAY)
    (entry,) = lines_of(boss.get(url_of(grant, name="day-csv")))
    assert (entry["object"], entry["trainer"]) == (f"'{text}", f"'{text}")
    assert (entry["tasks"], entry["labels"], entry["claimed_seconds"]) == ("-1", "-3", "0")
    (day,) = lines_of(boss.get(reverse("opentrain:contract-csv", args=[grant.contract_id])))
    assert day["trainer"] == f"'{text}"


def test_what_a_cell_may_hold_stays_in_it(boss: Client) -> None:
    grant = hire(display_name='a "b", c;\nd')
    factories.make_work(grant, NOON)
    (entry,) = lines_of(boss.get(url_of(grant, name="day-csv")))
    assert entry["trainer"] == 'a "b", c;\nd'


def test_the_seconds_of_a_days_actions_are_its_total(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "BATCH", 4)
    grant = hire()
    for number in range(10):
        factories.make_work(grant, NOON + number * MINUTE, duration=timedelta(seconds=7.3))
    got = lines_of(boss.get(url_of(grant, name="day-csv")))
    assert [row["at"] for row in got] == [f"2026-11-02T12:0{number}:00+00:00" for number in range(10)]
    assert sum(float(row["counted_seconds"]) for row in got) == pytest.approx(73)
    assert got[0]["counted_seconds"] == "7.3"


def test_where_a_comma_is_decimal_semicolons_separate(boss: Client, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    grant = hire()
    factories.make_usage(grant.contract, DAY, total_seconds=5400)
    (day,) = lines_of(boss.get(reverse("opentrain:contract-csv", args=[grant.contract_id])), ";")
    assert (day["hours"], day["status"]) == ("1,5000", DailyUsage.Status.DUE)


def test_another_customers_files_are_not_found(visitor: Visitor) -> None:
    grant = hire()
    factories.make_usage(grant.contract, DAY)
    other = visitor("other-boss")
    assert other.get(reverse("opentrain:contract-csv", args=[grant.contract_id])).status_code == 404
    period = {"since": "2026-11-01", "until": "2026-12-01"}
    assert lines_of(other.get(reverse("opentrain:days-csv"), period)) == []
