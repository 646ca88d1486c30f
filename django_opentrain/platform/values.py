"""Reads single values of untrusted JSON: what can't be used becomes nothing.

Everything that comes out of here can be kept in a database column: no NUL, no lone surrogates (PostgreSQL
refuses both), no NaN or Infinity, nothing endless. The limits are ours; OpenTrain documents none for what
it sends.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from numbers import Integral
from typing import Any, Final, TypeVar

Resource = TypeVar("Resource")

MAX_ID: Final = 200
MAX_CHOICE: Final = 32
MAX_EMAIL: Final = 254  # RFC 5321, section 4.5.3.1.3, less the angle brackets
MAX_URL: Final = 2048
NAME_LENGTH: Final = 300
TITLE_LENGTH: Final = 500
COUNTRY_LENGTH: Final = 100
MESSAGE_LENGTH: Final = 1000
#: No count, volume or amount of money reaches this.
NUMBER_BOUND: Final = 10**15

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_NOT_IN_IDS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_NUMBER = re.compile(r"[-+]?[0-9]{1,20}(?:\.[0-9]{1,20})?")
_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f\ud800-\udfff]+", re.IGNORECASE)
_EMAIL = re.compile(r"""[^\s@,;<>()"\x00-\x1f\x7f\ud800-\udfff]+@[^\s@,;<>()"\x00-\x1f\x7f\ud800-\udfff]+""")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r"(Z|z|[+-][0-9]{2}:?[0-9]{2})?)?"
)


def camel(name: str) -> str:
    """``external_project_id`` as OpenTrain writes it: ``externalProjectId``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class MalformedResource(ValueError):  # noqa: N818 - names the condition, as the errors of this package do
    """JSON from OpenTrain lacks what its kind can't do without; the message names the field."""


def load_json(content: bytes) -> Any:
    """What ``content`` holds. Raises ``ValueError`` for all that isn't JSON in UTF-8.

    Stricter than ``json.loads``: NaN, Infinity and numbers that overflow to them are refused (RFC 8259,
    section 6), and so is what is nested too deep to be read.
    """
    try:
        return _DECODER.decode(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deep") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number too large")
    return number


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def as_id(value: object) -> str:
    """An id as text; "" for what can't be one. Whether ids are strings or numbers is not documented."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**40:
        return str(value)
    if isinstance(value, str) and len(value) <= MAX_ID and not _NOT_IN_IDS.search(value):
        return value
    return ""


def as_ids(value: object) -> tuple[str, ...]:
    """The usable ids of a list."""
    return tuple(filter(None, map(as_id, value))) if isinstance(value, (list, tuple)) else ()


def as_text(value: object, limit: int) -> str:
    """Text for people, cut to ``limit`` characters."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value[:limit]) if isinstance(value, str) else ""


def as_choice(value: object) -> str:
    """A status, type or scope. Unknown ones pass: OpenTrain may add some. Longer ones than any known: ""."""
    return value if isinstance(value, str) and len(value) <= MAX_CHOICE and value.isprintable() else ""


def as_url(value: object) -> str:
    """An absolute http(s) URL; "" for all else, ``javascript:`` above all, since pages link to it."""
    usable = isinstance(value, str) and len(value) <= MAX_URL and _URL.fullmatch(value)
    return str(value) if usable else ""


def as_email(value: object) -> str:
    """One e-mail address."""
    usable = isinstance(value, str) and len(value) <= MAX_EMAIL and _EMAIL.fullmatch(value)
    return str(value) if usable else ""


def as_decimal(value: object) -> Decimal | None:
    """A finite number below ``NUMBER_BOUND``, also where it comes as a text, as decimals often do in JSON."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
        return None
    if isinstance(value, int) and abs(value) >= NUMBER_BOUND:
        return None  # before str(), which refuses integers of thousands of digits
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() and number.copy_abs() < NUMBER_BOUND else None


def as_count(value: object) -> int | None:
    """A whole number that isn't negative."""
    number = as_decimal(value)
    if number is None or number < 0 or number != number.to_integral_value():
        return None
    return int(number)


def as_whole(value: object) -> object:
    """A whole number that a program gives as another type than ``int``, as one; anything else as it is."""
    if value is None or type(value) is int:
        return value
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    whole = as_count(value) if isinstance(value, (float, Decimal)) else None
    return value if whole is None else whole


def as_datetime(value: object) -> datetime | None:
    """An ISO 8601 timestamp or date as an aware datetime in UTC; without an offset it is taken as UTC."""
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups("0")
    try:
        local = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second),
            int(fraction[:6].ljust(6, "0")),
            tzinfo=_offset(offset),
        )
        return local.astimezone(timezone.utc)
    except (ValueError, OverflowError):  # no such day or time, or one outside of the years 1 to 9999
        return None


def as_date(value: object) -> date | None:
    """A ``YYYY-MM-DD`` date, or the UTC day of a timestamp."""
    moment = as_datetime(value)
    return moment.date() if moment else None


def _offset(text: str) -> timezone:
    if text in ("0", "Z", "z"):
        return timezone.utc
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-ahead if text[0] == "-" else ahead)


class Fields:
    """The members of one JSON object of OpenTrain's."""

    def __init__(self, data: object, kind: str) -> None:
        """``kind`` names the object in messages. Raises ``MalformedResource`` when ``data`` isn't one."""
        if not isinstance(data, Mapping):
            raise MalformedResource(f"{kind}: not an object")
        self.raw: Mapping[str, Any] = data
        self._kind = kind

    def get(self, name: str) -> object:
        """The member as it came; None where it is missing."""
        return self.raw.get(name)

    def required(self, name: str, read: Callable[[object], str]) -> str:
        """A member that the resource can't do without. Raises ``MalformedResource`` naming it."""
        value = read(self.raw.get(name))
        if not value:
            raise MalformedResource(f"{self._kind}.{name}: missing or not usable")
        return value

    def optional(self, name: str, parse: Callable[[object], Resource]) -> Resource | None:
        """A nested resource; None where it is missing or malformed."""
        try:
            return parse(self.raw.get(name))
        except MalformedResource:
            return None
