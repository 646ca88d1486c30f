from __future__ import annotations

import io
import time
from datetime import datetime, timezone

import pytest
import requests
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse

from django_opentrain.platform.responses import MAX_RETRY_AFTER_SECONDS, Body, read_body, retry_after

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("999999999999", MAX_RETRY_AFTER_SECONDS),
        ("Sun, 22 Nov 2026 10:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_SECONDS),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("7²", None),
        ("٧", None),  # noqa: RUF001 - Arabic, which int() takes
        ("9" * 5000, None),
        ("soon", None),
        ("Sun, 31 Feb 2026 10:00:00 GMT", None),
        ("Sun, 22 Nov 2026 10:00:30 +0000", None),
        ("Sun, 22 Xyz 2026 10:00:30 GMT", None),
    ],
)
@time_machine.travel(NOW, tick=False)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}) == seconds


@time_machine.travel(NOW, tick=False)
def test_a_date_is_measured_by_the_servers_clock() -> None:
    headers = {"Retry-After": "Sun, 22 Nov 2026 12:00:30 GMT", "Date": "Sun, 22 Nov 2026 12:00:00 GMT"}
    assert retry_after(headers) == 30.0


def test_no_header_no_seconds() -> None:
    assert retry_after(CaseInsensitiveDict()) is None


def test_a_short_body_is_broken_where_urllib3_does_not_say_so() -> None:
    """urllib3 1.26 doesn't compare with Content-Length."""
    response = requests.Response()
    response.headers["Content-Length"] = "10"
    response.raw = HTTPResponse(
        io.BytesIO(b"{}"), response.headers, preload_content=False, enforce_content_length=False
    )
    assert read_body(response, time.monotonic() + 1) == Body(b"", "broke off", transient=True)


def test_a_body_from_another_adapter_is_late_as_well() -> None:
    """It has no socket whose reads could end at the deadline."""
    response = requests.Response()
    response.raw = io.BytesIO(b"{}")
    assert read_body(response, time.monotonic() - 1).problem == "took too long to arrive"


@given(st.text(), st.text())
def test_any_header_is_seconds_or_nothing(value: str, date: str) -> None:
    seconds = retry_after({"Retry-After": value, "Date": date})
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS
