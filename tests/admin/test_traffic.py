"""What has arrived at endpoints, and what is sent again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from django_opentrain.models import Contract, ProjectLink, WebhookEndpoint, WebhookEvent
from django_opentrain.services.endpoint_traffic import Traffic, traffic
from django_opentrain.testing.hires import Hire
from tests import factories
from tests.admin.browsing import act, confirm, text_of, url
from tests.admin.conftest import logged_in

pytestmark = pytest.mark.django_db


def receive(endpoint: WebhookEndpoint, days: float, status: str = "PROCESSED") -> WebhookEvent:
    return factories.make_event(endpoint, status=status, received_at=timezone.now() - timedelta(days=days))


def test_failed_events_of_a_week_are_counted_and_the_last_of_any_time_is_known(superuser: User) -> None:
    install = factories.make_install()
    busy, quiet, new = (factories.make_endpoint(install) for _ in range(3))
    for days, status in ((6, "FAILED"), (5, "PROCESSED"), (3, "IGNORED"), (1, "PENDING"), (8, "FAILED")):
        receive(busy, days, status)
    last = receive(quiet, 20, "FAILED")
    found = traffic([busy.pk, quiet.pk, new.pk])
    assert (found[busy.pk].received, found[busy.pk].failed) == (4, 1)
    assert found[quiet.pk] == Traffic(last_at=last.received_at, received=0, failed=0)
    assert found[new.pk] == Traffic(last_at=None)
    client = logged_in(superuser)
    page = text_of(client.get(url(WebhookEndpoint, "changelist")))
    assert "25.0 % (1)" in page
    assert "2 weeks, 6 days ago" in page.replace("\xa0", " ")
    assert "25.0 % (1)" in text_of(client.get(url(WebhookEndpoint, "change", busy.pk)))


def test_a_link_says_how_many_contracts_it_has(superuser: User) -> None:
    install = factories.make_install()
    link, other = factories.make_link(install), factories.make_link(install)
    for _ in range(3):
        factories.make_contract(install, [link])
    rows = logged_in(superuser).get(url(ProjectLink, "changelist")).context["cl"].result_list
    assert {row: row.hires for row in rows} == {link: 3, other: 0}
    assert Contract.objects.count() == 3


def test_all_that_failed_is_sent_again_where_no_delivery_is_named(hire: Hire, superuser: User) -> None:
    endpoint = WebhookEndpoint.objects.get()
    client = logged_in(superuser)
    assert "Empty: all deliveries that failed." in text_of(act(client, endpoint, "redeliver"))
    said = confirm(client, endpoint, "redeliver", delivery_id="")
    assert any("0 deliveries are sent again." in each for each in said)


def test_an_unknown_delivery_is_an_error_and_no_more(hire: Hire, superuser: User) -> None:
    said = confirm(logged_in(superuser), WebhookEndpoint.objects.get(), "redeliver", delivery_id="dlv_none")
    assert any("nothing was done" in each for each in said)
    assert len(said) == 2
