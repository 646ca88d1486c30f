from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_opentrain.platform.values import (
    MAX_ID,
    NUMBER_BOUND,
    Fields,
    MalformedResource,
    as_choice,
    as_count,
    as_date,
    as_datetime,
    as_decimal,
    as_email,
    as_id,
    as_ids,
    as_text,
    as_url,
    load_json,
)

UTC = timezone.utc
NAUGHTY = [None, True, False, [], {}, ["x"], {"a": 1}]

any_text = st.text(st.characters(exclude_categories=()))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
    max_leaves=10,
)


@pytest.mark.parametrize("read", [as_id, as_choice, as_url, as_email, lambda value: as_text(value, 10)])
@pytest.mark.parametrize("value", [*NAUGHTY, 1.5, float("nan"), ""], ids=repr)
def test_what_is_no_text_reads_as_empty(read: Callable[[object], str], value: object) -> None:
    assert read(value) == ""


@pytest.mark.parametrize("read", [as_decimal, as_count, as_datetime, as_date])
@pytest.mark.parametrize(
    "value", [*NAUGHTY, "", "x", "NaN", "Infinity", "1e3", "²", "1,5", "\ud800"], ids=ascii
)
def test_what_is_no_number_or_time_reads_as_none(read: Callable[[object], object], value: object) -> None:
    assert read(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ctr_1", "ctr_1"),
        (17, "17"),
        (0, "0"),
        ("project 7", "project 7"),
        ("x" * MAX_ID, "x" * MAX_ID),
        ("x" * (MAX_ID + 1), ""),
        (10**40 - 1, "9" * 40),
        (10**40, ""),
        pytest.param(10**5000, "", id="huge"),
        ("a\x00b", ""),
        ("a\nb", ""),
        ("a\ud800", ""),
    ],
    ids=lambda value: ascii(value)[:20] if isinstance(value, str) else "number",
)
def test_ids(value: object, expected: str) -> None:
    assert as_id(value) == expected


def test_texts_are_cut_and_storable() -> None:
    assert as_text("abc", 2) == "ab"
    assert as_text("a\x00b\ud800c", 10) == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
    assert as_text("line\nline 😀", 100) == "line\nline 😀"


def test_words() -> None:
    assert as_choice("PAY_PER_FURLONG") == "PAY_PER_FURLONG"
    assert as_choice("x" * 32) == "x" * 32
    assert as_choice("x" * 33) == as_choice("a\nb") == as_choice("a\ud800") == ""


@pytest.mark.parametrize(
    "url",
    ["https://app.opentrain.ai/p/1", "HTTP://localhost:8000/?a=b#c", "https://a/" + "x" * 2038],
    ids=lambda url: url[:30],
)
def test_web_addresses_pass(url: str) -> None:
    assert as_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example/x",
        "/relative",
        "https://",
        "https://a b",
        "https://a\n",
        " https://a",
        "https://a\x00",
        "https://a/" + "x" * 2039,
    ],
    ids=lambda url: ascii(url)[:30],
)
def test_what_must_not_be_linked_to_is_dropped(url: str) -> None:
    assert as_url(url) == ""


@pytest.mark.parametrize(
    ("email", "usable"),
    [
        ("maria.s-7@opentrain.work", True),
        ("x" * 239 + "@opentrain.work", True),
        ("x" * 240 + "@opentrain.work", False),
        ("maria", False),
        ("a@b@c", False),
        ("a@b,c@d", False),
        ("Maria <m@opentrain.work>", False),
        ("m@opentrain.work\nBcc: x@y", False),
        ("m\x00@opentrain.work", False),
    ],
)
def test_emails(email: str, *, usable: bool) -> None:
    assert as_email(email) == (email if usable else "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (12, "12"),
        (0.8125, "0.8125"),
        (Decimal("1.50"), "1.50"),
        ("1250.00", "1250.00"),
        ("-3", "-3"),
        (1e-7, "1E-7"),
        (NUMBER_BOUND - 1, str(NUMBER_BOUND - 1)),
    ],
)
def test_numbers(value: object, expected: str) -> None:
    assert str(as_decimal(value)) == expected


@pytest.mark.parametrize(
    "value",
    [
        NUMBER_BOUND,
        -NUMBER_BOUND,
        pytest.param(10**5000, id="huge"),
        1e300,
        float("nan"),
        float("inf"),
        float("-inf"),
        str(NUMBER_BOUND),
        "9" * 20,
        "9" * 5000,
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("sNaN"),
    ],
    ids=lambda value: str(value)[:10] if not isinstance(value, int) else "int",
)
def test_what_no_column_holds_is_no_number(value: object) -> None:
    assert as_decimal(value) is None
    assert as_count(value) is None


def test_counts_are_whole_and_not_negative() -> None:
    assert [as_count(value) for value in (7, 7.0, "7", 7.5, -1)] == [7, 7, 7, None, None]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T10:20:30Z", datetime(2026, 11, 22, 10, 20, 30, tzinfo=UTC)),
        ("2026-11-22T10:20:30.123Z", datetime(2026, 11, 22, 10, 20, 30, 123000, tzinfo=UTC)),
        ("2026-11-22T10:20:30.123456789Z", datetime(2026, 11, 22, 10, 20, 30, 123456, tzinfo=UTC)),
        ("2026-11-22 10:20", datetime(2026, 11, 22, 10, 20, tzinfo=UTC)),
        ("2026-11-22T23:30:00-05:00", datetime(2026, 11, 23, 4, 30, tzinfo=UTC)),
        ("2026-11-22T00:30:00+0530", datetime(2026, 11, 21, 19, 0, tzinfo=UTC)),
    ],
)
def test_times(value: str, expected: datetime) -> None:
    assert as_datetime(value) == expected
    assert as_date(value) == expected.date()


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-30",
        "2026-11-22T25:00:00Z",
        "0000-01-01",
        "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-10:00",
        "2026-11-22T10:20:30+99:00",
        "2026-11-22\n",
        "٢٠٢٦-١١-٢٢",  # noqa: RUF001 - Arabic digits, which int() takes
        "2026-11-22T10:20:30.Z",
        1764000000,
    ],
)
def test_what_is_no_time(value: object) -> None:
    assert as_datetime(value) is None
    assert as_date(value) is None


@given(any_json)
def test_whatever_json_holds_reads_as_something_storable(value: object) -> None:
    for read in (as_id, as_choice, as_url, as_email, lambda given: as_text(given, 50)):
        text = read(value)
        assert "\x00" not in text
        assert len(text.encode()) <= 4 * 2048  # encodes at all: no lone surrogate is left
    number = as_decimal(value)
    assert number is None or (number.is_finite() and abs(number) < NUMBER_BOUND)
    moment = as_datetime(value)
    assert moment is None or moment.tzinfo is UTC
    assert as_date(value) is None or isinstance(as_date(value), date)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))  # noqa: DTZ001 - made aware below
def test_every_timestamp_of_pythons_own_reads_back(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    assert as_datetime(aware.isoformat()) == aware


def test_fields_name_what_is_missing() -> None:
    with pytest.raises(MalformedResource, match=r"^budget: not an object$"):
        Fields([], "budget")
    with pytest.raises(MalformedResource, match=r"^budget\.state: missing or not usable$"):
        Fields({"state": 7.5}, "budget").required("state", as_choice)


def test_lists_keep_their_usable_members() -> None:
    assert as_ids(["a", None, 3, {}, "b\x00"]) == ("a", "3")
    assert as_ids("abc") == as_ids(None) == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"[1e999]",
        b"\xff",
        b'"\xed\xa0\x80"',
        b"[" * 100_000,
        b"1" * 5000,
        b"<html>",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_not_json_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own messages differ by version
        load_json(content)


def test_json_is_read() -> None:
    assert load_json(b'{"a": [1.5, "\\ud800", null]}') == {"a": [1.5, "\ud800", None]}


@given(st.binary())
def test_bytes_are_json_or_a_value_error(content: bytes) -> None:
    with suppress(ValueError):
        assert load_json(content) == json.loads(content)
