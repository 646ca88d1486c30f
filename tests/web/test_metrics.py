"""The metrics, read by prometheus-client's own strict parser."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, InterfaceError, connection, connections, transaction
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone
from prometheus_client import parser as text_parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from django_opentrain.models import AccessGrant, Counter, DailyUsage, Heartbeat, Install, WebhookEvent
from django_opentrain.platform import catalog
from django_opentrain.services import inbox
from django_opentrain.services.conditions import CONDITIONS
from django_opentrain.services.inbox import processing
from django_opentrain.services.workers import heartbeat
from django_opentrain.testing.kit import OpenTrain
from tests.factories import (
    make_contract,
    make_endpoint,
    make_event,
    make_grant,
    make_install,
    make_link,
    make_participant,
    make_usage,
    make_user,
)

TOKEN = "a-token-of-the-monitor's".replace("'", "-")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
LOGIN_WALL = "tests.web.test_receiver.needs_login"

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _metered(settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "METRICS_TOKEN": TOKEN}


def ask(client: Client | None = None, *, token: str = TOKEN, accept: str = OPENMETRICS) -> Any:
    credentials = {"Authorization": f"Bearer {token}"} if token else {}
    return (client or Client()).get(reverse("opentrain:metrics"), headers={"Accept": accept, **credentials})


def scrape() -> Samples:
    parse: Any = openmetrics_parser.text_string_to_metric_families
    families = parse(ask().content.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def counted() -> dict[tuple[str, str, str], int]:
    return {(each.metric, each.label, each.detail): each.count for each in Counter.objects.all()}


def failing_grant(install: Install | None = None) -> AccessGrant:
    install = install or make_install()
    return make_grant(
        make_contract(install), make_link(install), make_participant(install), state=AccessGrant.State.FAILED
    )


@contextmanager
def without_metrics() -> Iterator[None]:
    from django.conf import settings

    with override_settings(OPENTRAIN={**settings.OPENTRAIN, "METRICS_TOKEN": ""}):
        yield


def test_a_site_without_a_token_has_no_metrics_and_counts_nothing() -> None:
    with without_metrics():
        inbox.process(make_event(make_endpoint(make_install())))
        assert ask(token="").status_code == 404
        assert ask(token=" ").status_code == 404
    assert counted() == {}


@pytest.mark.parametrize("token", ["", TOKEN[:-1], f"{TOKEN}x", "tökèn", TOKEN.upper()])
def test_without_the_token_there_is_nothing_to_read(token: str) -> None:
    response = ask(token=token)
    assert (response.status_code, response.content) == (401, b"")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_users_need_the_permission() -> None:
    user = make_user("operator")
    user.is_staff = True
    user.save()
    client = Client()
    client.force_login(user)
    assert ask(client, token="").status_code == 401
    user.user_permissions.add(Permission.objects.get(codename="view_counter"))
    assert ask(client, token="").status_code == 200
    # A wrong token is not made up for by a session.
    assert ask(client, token="wrong").status_code == 401


def test_it_needs_no_login_and_is_only_read(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOGIN_WALL]
    response = ask()
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    url = reverse("opentrain:metrics")
    assert Client().post(url, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 405


def test_monitors_get_the_format_that_they_ask_for() -> None:
    openmetrics, text = ask(), ask(accept="text/plain;version=0.0.4")
    assert openmetrics["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert text["Content-Type"].startswith("text/plain; version=0.0.4")
    assert openmetrics.content.endswith(b"# EOF\n")
    for parser, response in ((openmetrics_parser, openmetrics), (text_parser, text)):
        names = {each.name for each in parser.text_string_to_metric_families(response.content.decode())}
        assert {"opentrain_condition_rows", "opentrain_events", "opentrain_api_request_duration_seconds"} <= {
            name.removesuffix("_total") for name in names
        }


def test_it_says_how_the_site_stands(django_assert_num_queries: Any) -> None:
    install = make_install()
    endpoint = make_endpoint(install)
    make_event(endpoint, received_at=timezone.now() - timedelta(minutes=5))
    contract = failing_grant(install).contract
    make_usage(contract, status=DailyUsage.Status.REFUSED)
    make_usage(contract, status=DailyUsage.Status.REPORTED)
    heartbeat.beat()
    with django_assert_num_queries(6):
        samples = scrape()
    assert value(samples, "opentrain_installs", status=install.status.lower()) == 1
    assert value(samples, "opentrain_webhook_endpoints", status=endpoint.status.lower()) == 1
    assert value(samples, "opentrain_access_grants", desired="granted", state="failed") == 1
    assert value(samples, "opentrain_events_pending") == 1
    assert 300 <= (value(samples, "opentrain_events_oldest_pending_seconds") or 0) < 360
    days = [value(samples, "opentrain_usage_days", status=each) for each in ("due", "withheld", "refused")]
    assert days == [0, 0, 1]
    beat = value(samples, "opentrain_last_run_timestamp_seconds", work=heartbeat.SWEEP)
    assert abs((beat or 0) - timezone.now().timestamp()) < 60


def test_each_condition_has_a_number_also_while_no_row_is_in_it() -> None:
    heartbeat.beat()
    failing_grant()
    rows = {
        dict(labels)["condition"]: number
        for (name, labels), number in scrape().items()
        if name == "opentrain_condition_rows"
    }
    named = {name: each.rows().count() for name, each in CONDITIONS.items() if each.for_operators}
    assert rows == {**named, "beat-silent": 0, "clock-set-back": 0}
    assert sum(rows.values()) > 0
    Heartbeat.objects.all().delete()
    assert value(scrape(), "opentrain_condition_rows", condition="beat-silent", severity="error") == 1


def test_statements_do_not_grow_with_the_rows(django_assert_num_queries: Any) -> None:
    for _ in range(3):
        contract = failing_grant().contract
        make_usage(contract)
        make_event(make_endpoint(contract.install))
    with django_assert_num_queries(6):
        scrape()


@pytest.mark.django_db(transaction=True)
def test_events_are_counted_by_type_and_outcome() -> None:
    endpoint = make_endpoint(make_install())
    for event_type in (catalog.CONTRACT_STARTED, "contract.made-up", "x" * 60):
        inbox.process(make_event(endpoint, event_type))
    # It takes effect once, and is counted once.
    event = make_event(endpoint, catalog.INSTALL_REVOKED, {"install": {"id": endpoint.install.opentrain_id}})
    inbox.process(event)
    inbox.process(event)
    with mock.patch("django_opentrain.services.inbox.handlers.apply", side_effect=ValueError):
        inbox.process(make_event(endpoint, catalog.CONTRACT_ENDED))
        last = make_event(endpoint, catalog.CONTRACT_ENDED, attempts=processing.MAX_ATTEMPTS - 1)
        assert inbox.process(last).status == WebhookEvent.Status.FAILED
    samples = scrape()
    outcomes = {
        (dict(labels)["type"], dict(labels)["outcome"]): number
        for (name, labels), number in samples.items()
        if name == "opentrain_events_total"
    }
    of_started = {key: n for key, n in outcomes.items() if key[0] == catalog.CONTRACT_STARTED}
    assert sum(of_started.values()) == 1
    assert outcomes[catalog.CONTRACT_ENDED, "retried"] == outcomes[catalog.CONTRACT_ENDED, "failed"] == 1
    assert outcomes["other", "ignored"] == 2
    assert sum(n for key, n in outcomes.items() if key[0] == catalog.INSTALL_REVOKED) == 1


@pytest.mark.django_db(transaction=True)
def test_requests_are_counted_by_status_with_their_latency(opentrain: OpenTrain) -> None:
    install = opentrain.connect()
    Counter.objects.all().delete()
    install.client.get_install()
    install.client.list_contracts()
    with pytest.raises(Exception, match="OpenTrain"):
        install.client.get_budget("ctr_unknown")
    samples = scrape()
    assert value(samples, "opentrain_api_requests_total", status="200") == 2
    assert value(samples, "opentrain_api_requests_total", status="404") == 1
    name = "opentrain_api_request_duration_seconds"
    assert value(samples, f"{name}_count") == value(samples, f"{name}_bucket", le="+Inf") == 3
    assert 0 < (value(samples, f"{name}_sum") or 0) < 3 * 20
    bounds = [
        (float(dict(labels)["le"]), n) for (each, labels), n in samples.items() if each == f"{name}_bucket"
    ]
    assert [n for _bound, n in sorted(bounds)] == sorted(n for _bound, n in bounds)


@pytest.mark.django_db(transaction=True)
def test_a_request_without_a_response_is_counted() -> None:
    install = make_install()
    with pytest.raises(Exception, match=r"reached|respond"):
        install.client.get_install()
    assert value(scrape(), "opentrain_api_requests_total", status="0") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [DatabaseError("full"), InterfaceError("connection already closed")])
def test_a_number_that_cannot_be_stored_fails_no_call(
    error: Exception, opentrain: OpenTrain, caplog: pytest.LogCaptureFixture
) -> None:
    install = opentrain.connect()
    with mock.patch.object(Counter.objects.all().__class__, "update", side_effect=error):
        assert install.client.get_install().id
    assert "Not counted for the metrics" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_request_in_a_transaction_is_counted_after_it(opentrain: OpenTrain) -> None:
    install = opentrain.connect()
    Counter.objects.all().delete()
    with transaction.atomic():
        install.client.get_install()
        # Its row would stay locked, and all other requests wait for the end of this transaction.
        assert not Counter.objects.exists()
    assert value(scrape(), "opentrain_api_requests_total", status="200") == 1


def test_it_names_no_customer_no_trainer_and_no_secret(opentrain: OpenTrain) -> None:
    install = opentrain.connect()
    secrets = [install.tenant, install.opentrain_id, install.token, TOKEN]
    secrets += [endpoint.secret for endpoint in install.webhook_endpoints.all()]
    page = ask().content.decode()
    assert page
    assert not [each for each in secrets if each and each in page]


def test_without_the_package_a_check_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from django_opentrain.checks.values import check_values

    assert "opentrain.E039" not in {each.id for each in check_values()}
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with mock.patch("django_opentrain.checks.values.find_spec", return_value=None):
        assert "opentrain.E039" in {each.id for each in check_values()}
        with without_metrics():
            assert "opentrain.E039" not in {each.id for each in check_values()}


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("sqlite" in connection.vendor, reason="SQLite has one writer at a time")
def test_nothing_is_lost_where_many_count_at_once() -> None:
    def count() -> None:
        for _ in range(25):
            Counter.objects.count_up(Counter.Metric.API_REQUESTS, "200", "0.1", seconds=0.5)
        connections.close_all()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    counter = Counter.objects.get()
    assert (counter.count, counter.seconds) == (100, 50)
