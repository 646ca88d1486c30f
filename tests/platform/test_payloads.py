from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert Event.from_body(json.dumps(BODY).encode()) == Event(
        id="evt_12",
        type="contract.ended",
        resource_id="ctr_1",
        job_id="",
        created_at=datetime(2026, 11, 22, 10, tzinfo=timezone.utc),
        data={"contract": CONTRACT},
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"x"', b"null", b"{", b'{"a": NaN}', b'{"a": 1e999}', b"\xff\xfe", b"[" * 100_000],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_object_is_no_event(body: bytes) -> None:
    assert parse_body(body) is None
    assert Event.from_body(body) is None


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


@pytest.mark.parametrize(
    ("earlier", "later"), [("9", "10"), ("0011", "100"), ("evt_9", "evt_10"), ("01HZZ", "01J00")]
)
def test_events_are_ordered_as_they_were_issued(earlier: str, later: str) -> None:
    assert order_key(earlier) < order_key(later)
