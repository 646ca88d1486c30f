"""The inbox: what is stored of a delivery, and how often it takes effect."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Model
from django.utils import timezone

from django_opentrain.errors import BadSignature, UnknownEndpoint
from django_opentrain.models import Install, WebhookEndpoint, WebhookEvent
from django_opentrain.platform import catalog
from django_opentrain.platform.payloads import Event
from django_opentrain.services import inbox
from django_opentrain.services.access.unit_of_work import UnitOfWork
from django_opentrain.services.inbox import deliveries, handlers, processing, receiving
from django_opentrain.services.workers import wakeup
from tests.factories import make_endpoint, make_event, make_install

pytestmark = pytest.mark.django_db

PENDING, PROCESSED, IGNORED, FAILED = WebhookEvent.Status.values


def signed(
    endpoint: WebhookEndpoint, body: bytes, headers: dict[str, str] | None = None, *, age: int = 0
) -> dict[str, str]:
    """Headers as OpenTrain sends them, made by hand and not by the code under test."""
    stamp = int(timezone.now().timestamp()) - age
    digest = hmac.new(endpoint.secret.encode(), b"%d." % stamp + body, hashlib.sha256).hexdigest()
    return {
        "X-OpenTrain-Event": "contract.started",
        "X-OpenTrain-Delivery": "del_1",
        "X-OpenTrain-Signature": f"t={stamp},v1={digest}",
        **(headers or {}),
    }


def body_of(**members: Any) -> bytes:
    event = {"id": "evt_1", "type": "contract.ended", "apiVersion": "v1", "resourceId": "ctr_1", "data": {}}
    return json.dumps({**event, **members}).encode()


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    return make_endpoint(make_install())


# Receiving ------------------------------------------------------------------------------------


def test_a_delivery_is_stored_as_it_came(endpoint: WebhookEndpoint) -> None:
    body = body_of(jobId="job_7")
    receipt = inbox.receive(endpoint.key, signed(endpoint, body), body)
    assert (receipt.duplicate, receipt.status) == (False, PENDING)
    row = WebhookEvent.objects.get()
    assert (row.endpoint, row.body, row.delivery_id) == (endpoint, body, "del_1")
    assert (row.event_id, row.type, row.resource_id, row.job_id) == (
        "evt_1",
        "contract.ended",
        "ctr_1",
        "job_7",
    )


@pytest.mark.parametrize("delivery", ["del_1", "del_2", ""])
def test_a_repeat_is_one_row_whatever_its_unsigned_header_says(
    endpoint: WebhookEndpoint, delivery: str
) -> None:
    body = body_of()
    inbox.receive(endpoint.key, signed(endpoint, body), body)
    again = signed(endpoint, body, {"X-OpenTrain-Delivery": delivery}, age=-30)
    assert inbox.receive(endpoint.key, again, body).duplicate
    assert WebhookEvent.objects.count() == 1


def test_a_forged_delivery_header_does_not_hide_another_event(endpoint: WebhookEndpoint) -> None:
    first, second = body_of(id="evt_1"), body_of(id="evt_2")
    inbox.receive(endpoint.key, signed(endpoint, first, {"X-OpenTrain-Delivery": "del_2"}), first)
    receipt = inbox.receive(endpoint.key, signed(endpoint, second, {"X-OpenTrain-Delivery": "del_2"}), second)
    assert not receipt.duplicate
    assert WebhookEvent.objects.count() == 2


def test_the_same_body_at_two_endpoints_is_two_rows(endpoint: WebhookEndpoint) -> None:
    other = make_endpoint(endpoint.install)
    body = body_of()
    for each in (endpoint, other):
        assert not inbox.receive(each.key, signed(each, body), body).duplicate


def test_the_type_comes_from_the_body(endpoint: WebhookEndpoint) -> None:
    body = body_of(type="contract.ended")
    inbox.receive(endpoint.key, signed(endpoint, body, {"X-OpenTrain-Event": "install.revoked"}), body)
    assert WebhookEvent.objects.get().type == "contract.ended"


@pytest.mark.parametrize("age", [301, -301, 86400])
def test_old_and_future_signatures_are_refused(endpoint: WebhookEndpoint, age: int) -> None:
    body = body_of()
    with pytest.raises(BadSignature):
        inbox.receive(endpoint.key, signed(endpoint, body, age=age), body)
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(("age", "taken"), [(59, True), (61, False)])
def test_how_old_a_signature_may_be_is_the_sites_to_say(
    endpoint: WebhookEndpoint, settings: Any, age: int, taken: bool
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "SIGNATURE_TOLERANCE": 60}
    body = body_of()
    with nullcontext() if taken else pytest.raises(BadSignature):
        inbox.receive(endpoint.key, signed(endpoint, body, age=age), body)


def test_only_what_is_new_and_known_wakes_the_workers(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudges: list[bytes] = []
    for body in (body_of(), body_of(), body_of(type="contract.paused"), b"{"):
        monkeypatch.setattr(wakeup, "wake_workers", lambda body=body: nudges.append(body))
        inbox.receive(endpoint.key, signed(endpoint, body), body)
    assert nudges == [body_of()]


def test_nothing_forged_is_stored(endpoint: WebhookEndpoint) -> None:
    body = body_of()
    for headers in ({}, {"X-OpenTrain-Signature": "t=1,v1=00"}, signed(make_endpoint(make_install()), body)):
        with pytest.raises(BadSignature):
            inbox.receive(endpoint.key, headers, body)
    with pytest.raises(BadSignature):
        inbox.receive(endpoint.key, signed(endpoint, body), body + b" ")
    assert not WebhookEvent.objects.exists()


def test_an_unknown_key_and_an_endpoint_without_a_secret_are_unknown() -> None:
    waiting = make_endpoint(make_install(), secret=None, status=WebhookEndpoint.Status.PENDING)
    for key in (uuid.uuid4(), waiting.key):
        with pytest.raises(UnknownEndpoint):
            inbox.receive(key, {}, b"{}")


def test_header_names_have_no_case(endpoint: WebhookEndpoint) -> None:
    body = body_of()
    headers = {name.lower(): value for name, value in signed(endpoint, body).items()}
    inbox.receive(endpoint.key, headers, body)
    assert WebhookEvent.objects.get().delivery_id == "del_1"


def test_an_endpoint_is_remembered_for_a_while_only(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "ENDPOINT_CACHE_SECONDS", 0)
    body = body_of()
    inbox.receive(endpoint.key, signed(endpoint, body), body)
    headers = signed(endpoint, body)
    endpoint.delete()
    with pytest.raises(UnknownEndpoint):
        inbox.receive(endpoint.key, headers, body)


HELL = {
    "not JSON": b"{",
    "empty": b"",
    "a list": b"[]",
    "NaN": b'{"id": NaN}',
    "too large a number": b'{"id": 1e999}',
    "5,000 digits": b'{"id": ' + b"9" * 5000 + b"}",
    "deeply nested": b"[" * 100_000,
    "not UTF-8": b"\xff\xfe",
    "unknown type": b'{"id": "1", "type": "contract.paused"}',
    "no type": b'{"id": "1"}',
    "type is a list": b'{"id": "1", "type": ["contract.started"]}',
    "a NUL": b'{"id": "1", "type": "a\\u0000b"}',
    "a lone surrogate": b'{"id": "1", "type": "a\\ud800b"}',
}


@pytest.mark.parametrize("body", HELL.values(), ids=HELL.keys())
def test_signed_nonsense_is_kept_and_ignored(endpoint: WebhookEndpoint, body: bytes) -> None:
    receipt = inbox.receive(endpoint.key, signed(endpoint, body), body)
    assert receipt.status == IGNORED
    row = WebhookEvent.objects.get()
    assert row.body == body
    assert row.error
    assert inbox.drain() == 0
    inbox.replay(WebhookEvent.objects.all())
    assert inbox.drain() == 1
    row.refresh_from_db()
    assert (row.status, bool(row.error)) == (IGNORED, True)


ODD = {
    "no data": {"data": None},
    "data is a list": {"data": [1]},
    "no resource": {"resourceId": None},
    "an id that is a number": {"id": 7},
    "an endless id": {"id": "x" * 100_000},
    "an endless resource": {"resourceId": "x" * 10_000},
    "a NUL in the id": {"id": "a\0b"},
    "a surrogate in the resource": {"resourceId": "\ud800"},
    "strange parts": {
        "data": {"contract": 7, "freelancer": [], "projectLink": "no", "budget": {"state": {}}}
    },
    "strange members": {
        "data": {
            "contract": {"id": "ctr_1", "title": "\0" * 5000, "startDate": "31/12/2026", "status": 1},
            "freelancer": {"opentrainUserId": "usr_1", "displayName": "\ud800" * 999, "workEmail": "@"},
            "projectLink": {"id": "lnk_1", "externalProjectId": "p" * 1000, "provisioningMode": None},
            "budget": {"state": "LOW", "consumedFraction": 1e300, "fundedVolume": "1e9999"},
            "contractId": {"$ne": None},
        }
    },
}


@pytest.mark.parametrize("event_type", catalog.EVENT_TYPES)
@pytest.mark.parametrize("members", ODD.values(), ids=ODD.keys())
def test_odd_bodies_of_known_types_are_processed(
    endpoint: WebhookEndpoint, event_type: str, members: dict[str, Any]
) -> None:
    body = body_of(**{"type": event_type, **members})
    inbox.receive(endpoint.key, signed(endpoint, body), body)
    assert inbox.drain() == 1
    assert WebhookEvent.objects.get().status in (PROCESSED, IGNORED)


def test_an_endless_string_is_processed(endpoint: WebhookEndpoint) -> None:
    # MariaDB takes 16 MB in one statement, and the ciphertext comes escaped; the receiver refuses such bodies anyway.
    size = 2_000_000 if connection.vendor == "mysql" else 10_000_000
    body = body_of(data={"contract": {"id": "ctr_1", "title": "x" * size}})
    inbox.receive(endpoint.key, signed(endpoint, body), body)
    assert inbox.drain() == 1
    assert endpoint.install.contracts.get().title == "x" * 500


@pytest.mark.django_db(transaction=True)
def test_what_could_not_be_stored_is_not_taken_for_a_repeat(endpoint: WebhookEndpoint) -> None:
    """An IntegrityError that is not the digest's must reach the caller: OpenTrain then tries again."""
    body = body_of()
    headers = signed(endpoint, body)
    inbox.receive(endpoint.key, headers, body)
    endpoint.install.delete()  # the process still remembers the endpoint
    with pytest.raises(IntegrityError):
        inbox.receive(endpoint.key, headers, body)


@pytest.fixture
def fail_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Exception]], None]:
    """The next delivery can't be stored."""
    store = deliveries.store

    def break_store(error: type[Exception]) -> None:
        def fail(*_arguments: object, **_more: object) -> bool:
            monkeypatch.setattr(deliveries, "store", store)
            raise error

        monkeypatch.setattr(deliveries, "store", fail)

    return break_store


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_connection_that_died_while_it_was_idle_costs_no_delivery(
    endpoint: WebhookEndpoint, fail_once: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    fail_once(error)
    monkeypatch.setattr(connection, "is_usable", lambda: False)
    body = body_of()
    assert not inbox.receive(endpoint.key, signed(endpoint, body), body).duplicate
    assert WebhookEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("usable", [False, True])
def test_what_a_living_connection_or_a_transaction_has_refused_stays_refused(
    endpoint: WebhookEndpoint, fail_once: Any, monkeypatch: pytest.MonkeyPatch, usable: bool
) -> None:
    """What a transaction did before is lost with its connection: that is for its owner to do again."""
    fail_once(OperationalError)
    monkeypatch.setattr(connection, "is_usable", lambda: usable)
    body = body_of()
    with pytest.raises(OperationalError), nullcontext() if usable else transaction.atomic():
        inbox.receive(endpoint.key, signed(endpoint, body), body)


def test_a_forged_request_costs_no_statement_once_the_endpoint_is_known(
    endpoint: WebhookEndpoint, django_assert_num_queries: Any
) -> None:
    body = body_of()
    inbox.receive(endpoint.key, signed(endpoint, body), body)
    with django_assert_num_queries(0), pytest.raises(BadSignature):
        inbox.receive(endpoint.key, {}, body)


# Processing -----------------------------------------------------------------------------------


def test_an_event_through_two_endpoints_takes_effect_once(endpoint: WebhookEndpoint) -> None:
    other = make_endpoint(endpoint.install)
    body = body_of(id="evt_9")
    for each in (endpoint, other):
        inbox.receive(each.key, signed(each, body), body)
    inbox.drain()
    assert sorted(WebhookEvent.objects.values_list("status", flat=True)) == [IGNORED, PROCESSED]
    assert "already" in WebhookEvent.objects.get(status=IGNORED).error


def test_the_same_id_of_another_customer_is_another_event(endpoint: WebhookEndpoint) -> None:
    other = make_endpoint(make_install("globex"))
    body = body_of(id="evt_9")
    for each in (endpoint, other):
        inbox.receive(each.key, signed(each, body), body)
    inbox.drain()
    assert WebhookEvent.objects.filter(status=PROCESSED).count() == 2


def test_processing_twice_changes_nothing(endpoint: WebhookEndpoint) -> None:
    row = make_event(endpoint, type="contract.ended", resource_id="ctr_1")
    first = inbox.process(row).processed_at
    assert first is not None
    assert inbox.process(row).processed_at == first
    assert row.attempts == 1


def test_an_event_counts_for_whoever_has_taken_over_by_then(endpoint: WebhookEndpoint) -> None:
    """The customer reconnects while a worker already has the event in hand."""
    row = make_event(endpoint, type="contract.ended", resource_id="ctr_1")
    assert row.endpoint.install.superseded_by is None
    new = make_install()
    Install.objects.filter(pk=endpoint.install.pk).update(superseded_by=new)
    assert inbox.process(row).status == PROCESSED
    assert [contract.opentrain_id for contract in new.contracts.all()] == ["ctr_1"]


@pytest.mark.parametrize("body", [None, b"[]"])
def test_what_has_no_body_any_more_has_no_effect(endpoint: WebhookEndpoint, body: bytes | None) -> None:
    row = inbox.process(make_event(endpoint, type="contract.ended", resource_id="ctr_1", body=body))
    assert (row.status, row.error) == (IGNORED, "The body was deleted, or is not a JSON object.")
    assert not endpoint.install.contracts.exists()


def test_a_failure_is_kept_and_tried_again(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make_event(endpoint, type="contract.ended", resource_id="ctr_1")

    def fail(*_arguments: object) -> str:
        Install.objects.filter(pk=endpoint.install.pk).update(last_error="half-written")
        raise RuntimeError("out of luck")

    monkeypatch.setattr(handlers, "apply", fail)
    inbox.process(row)
    assert (row.status, row.attempts, row.error) == (PENDING, 1, "RuntimeError: out of luck")
    assert row.next_attempt_at is not None
    assert row.next_attempt_at > timezone.now()
    endpoint.install.refresh_from_db()
    assert endpoint.install.last_error == ""
    assert inbox.drain() == 0
    WebhookEvent.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    monkeypatch.undo()
    assert inbox.drain() == 1
    row.refresh_from_db()
    assert (row.status, row.error) == (PROCESSED, "")
    assert WebhookEvent.objects.get().next_attempt_at is None


def test_an_event_that_others_keep_undoing_stays_due(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    row = make_event(endpoint, type="contract.ended", resource_id="ctr_1")

    def undo(*_arguments: object) -> str:
        raise OperationalError(1213, "Deadlock found when trying to get lock")

    with monkeypatch.context() as patch:
        patch.setattr(handlers, "apply", undo)
        assert inbox.drain() == 0
    row.refresh_from_db()
    assert (row.status, row.attempts, row.next_attempt_at) == (PENDING, 0, None)
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert inbox.drain() == 1


def test_after_many_failures_an_event_waits_for_a_person(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make_event(endpoint, type="contract.ended", resource_id="ctr_1")

    def fail(*_arguments: object) -> str:
        raise RuntimeError

    monkeypatch.setattr(handlers, "apply", fail)
    for _attempt in range(processing.MAX_ATTEMPTS):
        inbox.process(row)
    assert row.status == FAILED
    monkeypatch.undo()
    assert inbox.replay(WebhookEvent.objects.all()) == 1
    assert inbox.drain() == 1
    row.refresh_from_db()
    assert row.status == PROCESSED


def test_an_event_whose_key_is_lost_waits_for_the_key(endpoint: WebhookEndpoint, settings: Any) -> None:
    from django_opentrain.crypto import generate_key

    row = make_event(endpoint, type="contract.ended", resource_id="ctr_1")
    known = settings.OPENTRAIN
    settings.OPENTRAIN = {**known, "ENCRYPTION_KEYS": [generate_key()]}
    row = WebhookEvent.objects.get(pk=row.pk)
    inbox.process(row)
    assert row.status == PENDING
    assert "ENCRYPTION_KEYS" in row.error
    settings.OPENTRAIN = known
    assert inbox.process(WebhookEvent.objects.get(pk=row.pk)).status == PROCESSED


def test_a_purged_event_is_not_replayed(endpoint: WebhookEndpoint) -> None:
    make_event(endpoint, body=None, status=PROCESSED)
    assert inbox.replay(WebhookEvent.objects.all()) == 0


def test_customers_take_turns(endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    other = make_endpoint(make_install("globex"))
    for number in range(5):
        make_event(endpoint, type="contract.ended", event_id=f"a{number}", resource_id=f"a{number}")
    make_event(other, type="contract.ended", event_id="b", resource_id="b")
    monkeypatch.setattr(processing, "BATCH_PER_CUSTOMER", 2)
    order: list[str] = []
    apply = handlers.apply

    def spy(origin: Install, unit: UnitOfWork, event: Event) -> str:
        order.append(origin.tenant)
        return apply(origin, unit, event)

    monkeypatch.setattr(handlers, "apply", spy)
    assert inbox.drain() == 6
    assert "globex" in order[:3]


@pytest.mark.parametrize(("kept_times", "turns_taken"), [(0, (1, 2)), (10**6, (5,))])
def test_customers_whom_another_worker_served_are_not_tried_one_by_one(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, kept_times: int, turns_taken: tuple[int, ...]
) -> None:
    """Unless it takes longer to ask who is left."""
    monkeypatch.setattr(processing, "KEPT_TIMES", kept_times)
    for each in [endpoint, *(make_endpoint(make_install(f"customer{number}")) for number in range(5))]:
        make_event(each, type="contract.ended", event_id="a", resource_id="ctr_1")
    turns = inbox.each_due()
    assert next(turns) == 1
    served = WebhookEvent.objects.filter(status="PENDING")
    left = served.first()
    assert left is not None
    served.exclude(pk=left.pk).update(status=PROCESSED)
    rest = list(turns)
    assert sum(rest) == 1
    assert len(rest) in turns_taken  # with those that were tried in vain


def test_events_are_processed_however_long_it_takes_to_ask_whose_are_due(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is with millions of them."""
    make_event(endpoint, type="contract.ended", resource_id="ctr_1")
    times = itertools.count(step=3.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    assert inbox.drain() == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL counts the rows that it reads")
def test_a_customers_turn_reads_no_other_customers_events(endpoint: WebhookEndpoint) -> None:
    """Also where the statistics are older than the flood."""
    flooded = make_endpoint(make_install("globex"))
    make_events(flooded, 2000, status=PROCESSED)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    make_events(flooded, 2000)
    make_event(endpoint, type="contract.ended", resource_id="ctr_1")
    waiting = processing._Waiting()
    before = rows_read(WebhookEvent)
    assert list(processing._turns([endpoint.install_id], waiting)) == [(endpoint.install_id, 1)]
    assert rows_read(WebhookEvent) - before < 10


def make_events(endpoint: WebhookEndpoint, number: int, **values: Any) -> None:
    WebhookEvent.objects.bulk_create(
        WebhookEvent(
            endpoint=endpoint,
            digest=f"{values} {each}",
            type="contract.ended",
            body=b"{}",
            received_at=timezone.now(),
            **values,
        )
        for each in range(number)
    )


def rows_read(model: type[Model]) -> int:
    """By this transaction, so far."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = %s",
            [model._meta.db_table],
        )
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("chosen", ["before", "while it fails"])
def test_workers_that_chose_the_same_event_burn_one_attempt(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    """Eight workers list what is due at the same moment, and the first fails at it."""
    event = make_event(endpoint, type="contract.ended", resource_id="ctr_1")
    listed = [WebhookEvent.objects.select_related("endpoint__install").get() for _ in range(8)]
    attempts = []

    def fail(*_arguments: object) -> str:
        attempts.append(event.pk)
        raise RuntimeError("out of luck")

    monkeypatch.setattr(handlers, "apply", fail)
    if chosen == "before":
        due, install_id = WebhookEvent.objects.due(timezone.now()), endpoint.install.pk
        assert [processing._process(install_id, due) for _row in listed] == [1, *[0] * 7]
        assert len(attempts) == 1
    else:  # each has rolled back before the first has written its failure down
        for row in listed:
            processing._failed(row, RuntimeError("out of luck"))
    event.refresh_from_db()
    assert event.attempts == 1
