from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_opentrain.platform.catalog import EVENT_TYPES
from django_opentrain.platform.payloads import Event, order_key, parse_body
from tests.platform.test_resources import CONTRACT
from tests.platform.test_values import any_json, any_text

BODY = {
    "id": "evt_12",
    "type": "contract.ended",
    "apiVersion": "v1",
    "createdAt": "2026-11-22T10:00:00.000Z",
    "resourceId": "ctr_1",
    "jobId": None,
    "data": {"contract": CONTRACT},
}


def test_an_event() -> None:
    event = Event.from_body(json.dumps(BODY).encode())
    assert event == Event(
        id="evt_12",
        type="contract.ended",
        resource_id="ctr_1",
        job_id="",
        created=BODY["createdAt"],
        data={"contract": CONTRACT},
    )
    assert event.created_at == datetime(2026, 11, 22, 10, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"x"', b"null", b"{", b'{"a": NaN}', b'{"a": 1e999}', b"\xff\xfe", b"[" * 100_000],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_object_is_no_event(body: bytes) -> None:
    assert parse_body(body) is None
    assert Event.from_body(body) is None


@pytest.mark.long
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(BODY, any_json.filter(lambda value: value == value)))
    | st.dictionaries(any_text, any_json)
)
def test_any_object_is_an_event_whose_ids_can_be_stored(body: dict[str, object]) -> None:
    event = Event.from_body(json.dumps(body).encode())
    if event is not None:  # it is None where json wrote NaN or Infinity
        for text in (event.id, event.type, event.resource_id, event.job_id):
            assert "\x00" not in text
            assert len(text.encode()) <= 4 * 200
        assert isinstance(event.data, dict)
        assert event.created_at is None or event.created_at.tzinfo is timezone.utc


@given(st.binary() | any_text.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_an_event_or_none(body: bytes) -> None:
    event = Event.from_body(body)
    assert event is None or isinstance(json.loads(body), dict)


ids = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=200).filter(
    lambda text: "\x7f" not in text
)
envelopes = st.fixed_dictionaries(
    {
        "id": ids | st.integers(0, 10**20),
        "type": st.sampled_from(EVENT_TYPES) | ids.map(lambda text: text[:100]),
        "resourceId": ids,
        "jobId": st.none() | ids,
        "createdAt": st.datetimes(timezones=st.just(timezone.utc)).map(datetime.isoformat),
        "data": st.dictionaries(st.text(), st.recursive(st.text() | st.integers(), st.lists)),
    },
    optional={"apiVersion": st.just("v1"), "novelty": st.text()},
)


@pytest.mark.long
@given(envelope=envelopes, escaped=st.booleans(), indent=st.none() | st.integers(0, 2))
def test_a_good_body_loses_nothing(envelope: dict[str, Any], escaped: bool, indent: int | None) -> None:
    body = json.dumps(envelope, ensure_ascii=escaped, indent=indent).encode()
    event = Event.from_body(body)
    assert event == Event(
        id=str(envelope["id"]),
        type=envelope["type"],
        resource_id=envelope["resourceId"],
        job_id=envelope["jobId"] or "",
        created=envelope["createdAt"],
        data=envelope["data"],
    )
    assert event.created_at == datetime.fromisoformat(envelope["createdAt"])


@pytest.mark.long
@given(envelope=envelopes, share=st.floats(0, 1, exclude_max=True))
def test_a_body_cut_short_is_no_event(envelope: dict[str, Any], share: float) -> None:
    body = json.dumps(envelope).encode()
    assert Event.from_body(body[: int(len(body) * share)]) is None


@pytest.mark.parametrize(
    ("earlier", "later"), [("9", "10"), ("0011", "100"), ("evt_9", "evt_10"), ("01HZZ", "01J00")]
)
def test_events_are_ordered_as_they_were_issued(earlier: str, later: str) -> None:
    assert order_key(earlier) < order_key(later)


@given(st.integers(0, 10**30), st.integers(0, 10**30), st.sampled_from(["", "evt_"]), st.integers(0, 3))
def test_numbered_events_are_ordered_by_number(one: int, two: int, prefix: str, zeros: int) -> None:
    padding = "" if prefix else "0" * zeros
    first, second = order_key(f"{prefix}{padding}{one}"), order_key(f"{prefix}{two}")
    assert (first < second, first == second) == (one < two, one == two)
