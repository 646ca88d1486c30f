"""Strict readers for request bodies and queries: they collect every problem, then refuse.

Stricter than OpenTrain may be, on purpose: unknown keys and ``null`` are refused, so that a
client's typo shows here and not in production. ``details.issues`` lists ``{path, message}``;
``path`` leads to the value, with the index for one in a list.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from urllib.parse import parse_qsl, urlsplit

from django_opentrain.platform.payloads import parse_body
from django_opentrain.sandbox.errors import bad_request

MAX_BODY_BYTES = 1_000_000
MAX_INTEGER = 2**31 - 1
MAX_TEXT = 2048
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DIGITS = re.compile(r"[0-9]{1,9}")
#: What a database can't store or an encoding can't write: NUL, and lone surrogates.
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")

#: The characters of a URI (RFC 3986, section 2), without credentials before the host.
_WEB_URL = re.compile(
    r"https?://[A-Za-z0-9._~!$&'()*+,;=:%\[\]-]+([/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?"
)

Path = tuple["str | int", ...]


class Fields:
    """Reads typed values out of one JSON object; :meth:`finish` refuses what was wrong."""

    def __init__(
        self,
        values: Mapping[str, object],
        *,
        path: Path = (),
        issues: list[dict[str, object]] | None = None,
    ) -> None:
        self._values = values
        self._path = path
        self._read: set[str] = set()
        self.issues: list[dict[str, object]] = [] if issues is None else issues

    def wrong(self, key: str | int, message: str) -> None:
        """Note that the value at ``key`` won't do."""
        self.issues.append({"path": [*self._path, key], "message": message})

    def refuse_unknown(self) -> None:
        """Note each key that nobody has read."""
        for key in self._values:
            if key not in self._read:
                self.wrong(key, "Unknown key")

    def finish(self) -> None:
        """Raise the 400 that lists all issues, if there are any."""
        self.refuse_unknown()
        refuse(self.issues)

    def has(self, key: str) -> bool:
        """Whether ``key`` was sent."""
        return key in self._values

    def _take(self, key: str, *, required: bool) -> object | None:
        self._read.add(key)
        if key not in self._values:
            if required:
                self.wrong(key, "Required")
            return None
        value = self._values[key]
        if value is None:
            self.wrong(key, "Must not be null: leave it out")
        return value

    def text(
        self,
        key: str,
        *,
        required: bool = False,
        max_length: int = 200,
        choices: Collection[str] | None = None,
    ) -> str | None:
        """A string of 1 to ``max_length`` characters, one of ``choices`` where those are given."""
        value = self._take(key, required=required)
        if value is None:
            return None
        problem = _text_problem(value, max_length, choices)
        if problem:
            self.wrong(key, problem)
            return None
        return str(value)

    def raw_text(self, key: str) -> str | None:
        """A string with anything in it."""
        value = self._take(key, required=False)
        if value is not None and not isinstance(value, str):
            self.wrong(key, "Must be a string")
            return None
        return value

    def url(self, key: str, *, required: bool = False, max_length: int = MAX_TEXT) -> str | None:
        """An absolute http(s) URL without credentials."""
        value = self.text(key, required=required, max_length=max_length)
        if value is not None and not is_web_url(value):
            self.wrong(key, "Must be an http or https URL")
            return None
        return value

    def integer(self, key: str, *, maximum: int = MAX_INTEGER) -> int | None:
        """A whole number from 0 to ``maximum``."""
        value = self._take(key, required=False)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(key, "Must be an integer")
        elif not 0 <= value <= maximum:
            self.wrong(key, f"Must be from 0 to {maximum}")
        else:
            return value
        return None

    def number(self, key: str, *, required: bool = False) -> float | None:
        """A number of at least 0."""
        value = self._take(key, required=required)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.wrong(key, "Must be a number")
        elif not 0 <= value <= MAX_INTEGER:
            self.wrong(key, f"Must be from 0 to {MAX_INTEGER}")
        else:
            return value
        return None

    def flag(self, key: str, *, default: bool | None = None) -> bool | None:
        """``true`` or ``false``."""
        value = self._take(key, required=False)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(key, "Must be true or false")
            return default
        return value

    def day(self, key: str) -> str | None:
        """A required calendar day, ``YYYY-MM-DD``."""
        value = self.text(key, required=True, max_length=10)
        if value is None:
            return None
        if not _DATE.fullmatch(value) or not _is_date(value):
            self.wrong(key, "Must be a date, YYYY-MM-DD")
            return None
        return value

    def texts(
        self, key: str, *, required: bool = False, choices: Collection[str] | None = None
    ) -> list[str] | None:
        """A list of at least one string, without repeats."""
        value = self._take(key, required=required)
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            self.wrong(key, "Must be a list with at least one entry")
            return None
        for index, each in enumerate(value):
            problem = _text_problem(each, MAX_TEXT, choices)
            if problem:
                self.issues.append({"path": [*self._path, key, index], "message": problem})
        return list(dict.fromkeys(map(str, value)))

    def objects(self, key: str, *, maximum: int) -> Sequence[Fields]:
        """A required list of 1 to ``maximum`` objects."""
        value = self._take(key, required=True)
        if value is None:
            return ()
        if not isinstance(value, list) or not 1 <= len(value) <= maximum:
            self.wrong(key, f"Must be a list of 1 to {maximum} entries")
            return ()
        found = []
        for index, each in enumerate(value):
            path = (*self._path, key, index)
            if isinstance(each, dict):
                found.append(Fields(each, path=path, issues=self.issues))
            else:
                self.issues.append({"path": list(path), "message": "Must be an object"})
        return found

    def mapping(self, key: str) -> dict[str, object] | None:
        """Any JSON object."""
        value = self._take(key, required=False)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, "Must be an object")
            return None
        return value


def _text_problem(value: object, max_length: int, choices: Collection[str] | None) -> str:
    """What is wrong with ``value`` as a text; "" if nothing is."""
    if not isinstance(value, str):
        return "Must be a string"
    if not 1 <= len(value) <= max_length:
        return f"Must have 1 to {max_length} characters"
    if _UNSTORABLE.search(value):
        return "Must not contain NUL or lone surrogates"
    if choices is not None and value not in choices:
        return f"Must be one of {', '.join(choices)}"
    return ""


def refuse(issues: Sequence[Mapping[str, object]]) -> None:
    """Raise the 400 that lists ``issues``, if there are any."""
    if issues:
        paths = (issue["path"] for issue in issues)
        where = ", ".join(".".join(map(str, p)) for p in paths if isinstance(p, list))
        raise bad_request(f"Invalid request: {where[:300]}", issues=list(issues))


def read_json(headers: Mapping[str, str], body: bytes) -> Fields:
    """The JSON object of a request. No body at all counts as ``{}``."""
    if len(body) > MAX_BODY_BYTES:
        raise bad_request("The body is too large")
    if not body:
        return Fields({})
    if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise bad_request("The body must be sent as application/json")
    value = parse_body(body)
    if value is None:
        raise bad_request("The body must be a JSON object")
    return Fields(value)


def read_query(query: str) -> Fields:
    """The parameters of a query string, as strings; each at most once."""
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
    fields = Fields(dict(pairs))
    for key in {key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1}:
        fields.wrong(key, "Given more than once")
    return fields


def query_integer(query: Fields, key: str, *, default: int, minimum: int, maximum: int) -> int:
    """An integer parameter, written in digits."""
    text = query.text(key)
    if text is None:
        return default
    if not _DIGITS.fullmatch(text) or not minimum <= int(text) <= maximum:
        query.wrong(key, f"Must be an integer from {minimum} to {maximum}")
        return default
    return int(text)


def is_web_url(value: str) -> bool:
    """Whether ``value`` is an absolute http(s) URL with a host and without credentials."""
    if not _WEB_URL.fullmatch(value):
        return False
    try:
        parts = urlsplit(value)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
