"""A contract's page: its budget, its days, and what can be done about them."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_opentrain.models import AccessGrant, Contract, DailyUsage
from django_opentrain.services import usage
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.admin.browsing import confirm, text_of, url
from tests.admin.conftest import Scene, logged_in

DAY = date(2026, 5, 4)


@pytest.fixture
def client(superuser: User) -> Client:
    return logged_in(superuser)


def page_of(client: Client, contract: Contract) -> str:
    return text_of(client.get(url(Contract, "change", contract.pk)))


@pytest.fixture
def paid(scene: Scene) -> Contract:
    """A contract by the hour, with two days of work."""
    contract: Contract = scene[Contract]
    DailyUsage.objects.all().delete()
    Contract.objects.update(
        payment_type="PAY_PER_HOUR",
        funded_volume="60",
        consumed_volume="51",
        budget_updated_at="2026-05-04T10:00:00Z",
    )
    made = {"tasks_completed": 3, "labels_completed": 40}
    factories.make_usage(contract, DAY, total_seconds=2 * 3600 + 420, status="REPORTED", **made)
    factories.make_usage(contract, DAY, total_seconds=3600, status="DUE", worker_id="w2", **made)
    factories.make_usage(contract, DAY - timedelta(days=3), total_seconds=5400, status="REPORTED", **made)
    return contract


# What it shows ----------------------------------------------------------------------------------


def test_a_budget_is_a_bar_with_words_and_units(paid: Contract, client: Client) -> None:
    page = page_of(client, paid)
    bar = re.search(r"<progress[^>]*>", page)
    assert bar
    assert 'max="1" value="0.8500"' in bar[0]
    card = page.partition('<section class="opentrain-card" aria-labelledby="opentrain-budget">')[2]
    words = card.partition("</section>")[0].replace("\xa0", " ")
    assert ">Low</span> 51 of 60 funded hours used (85 %) · 9 funded hours are left." in words


def test_a_budget_that_is_not_known_has_no_bar(paid: Contract, client: Client) -> None:
    Contract.objects.update(budget_updated_at=None)
    page = page_of(client, paid)
    assert "<progress" not in page
    assert "OpenTrain hasn&#x27;t reported this budget yet." in page


def test_days_are_a_chart_with_a_table_whose_days_lead_to_their_rows(paid: Contract, client: Client) -> None:
    page = page_of(client, paid)
    assert "Hours per day. Reported: 3:37, To be reported: 1:00" in page
    assert re.search(r'<span class="opentrain-top" aria-hidden="true">4.h</span>', page)
    drawn = re.findall(r"<g><title>([^<]+)</title>", page)
    assert len(drawn) == 30
    assert drawn[-1] == "05/04/2026: reported: 2:07, to be reported: 1:00"
    table = page.partition("<details>")[2].partition("</details>")[0]
    days = re.findall(
        r'<th scope="row"><a href="([^"]+)">[^<]+</a></th><td>([^<]+)</td><td>([^<]+)</td>', table
    )
    assert [amounts for _address, *amounts in days] == [["2:07", "1:00"], ["1:30", "0:00"]]
    listed = client.get(days[0][0].replace("&amp;", "&")).context["cl"].result_list
    assert {(row.work_date, row.total_seconds) for row in listed} == {(DAY, 7620), (DAY, 3600)}


def test_of_a_contract_paid_by_the_label_labels_are_shown(paid: Contract, client: Client) -> None:
    Contract.objects.update(payment_type="PAY_PER_LABEL")
    assert "Labels per day. Reported: 80, To be reported: 40" in page_of(client, paid)


def test_without_work_there_is_no_chart(paid: Contract, client: Client) -> None:
    DailyUsage.objects.all().delete()
    assert "opentrain-chart" not in page_of(client, paid)


def test_days_are_shown_only_to_those_who_may_view_them(paid: Contract) -> None:
    reader = factories.make_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_contract"))
    page = page_of(logged_in(reader), paid)
    assert "<progress" in page
    assert "opentrain-chart" not in page


def test_more_days_cost_no_more_statements(paid: Contract, client: Client) -> None:
    page_of(client, paid)
    with CaptureQueriesContext(connection) as few:
        page_of(client, paid)
    for age in range(1, 29):
        factories.make_usage(paid, DAY - timedelta(days=age), worker_id="w3")
    with CaptureQueriesContext(connection) as many:
        page_of(client, paid)
    assert len(many) == len(few)


# What doesn't work ------------------------------------------------------------------------------


def test_usage_that_cant_be_reported_is_not_said_to_be(
    opentrain: OpenTrain, hire: Hire, operator: User
) -> None:
    usage.record(hire.contract, opentrain.today, total_seconds=3600)
    opentrain.fail_next(422)
    messages = confirm(logged_in(operator), hire.contract, "collect_and_report")
    assert messages[-1].endswith("nothing was done.")
    assert hire.contract.report_error in messages[0]


def test_access_that_cant_be_given_is_not_said_to_be(
    opentrain: OpenTrain, hire: Hire, operator: User
) -> None:
    AccessGrant.objects.update(state=AccessGrant.State.WAITING_FOR_EMAIL)
    hire.grant.participant.__class__.objects.update(work_email=None)
    opentrain.fail_next(500)
    messages = confirm(logged_in(operator), hire.contract, "apply_access")
    assert messages[-1].endswith("nothing was done.")
    assert str(hire.grant) in messages[0]
