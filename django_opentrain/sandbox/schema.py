"""Checks JSON against schemas, strictly: every problem is listed, then the request is refused.

The schemas are those of ``openapi.json`` and those made from the verbs' signatures (:mod:`.control`); this reads
the keywords that they use. Stricter than OpenTrain may be, on purpose: unknown keys and ``null`` are refused, so
that a client's typo shows here and not in production.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django_opentrain.sandbox.errors import bad_request

#: The API's description, as the sandbox serves it.
SPEC: dict[str, Any] = json.loads((Path(__file__).parent / "openapi.json").read_text(encoding="utf-8"))

Schema = Mapping[str, Any]
#: Leads to a value, with the index for one in a list.
Location = tuple["str | int", ...]
#: As ``details.issues`` lists it: ``path`` and ``message``.
Issue = dict[str, object]

_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "string": (str, "a string"),
    "integer": (int, "an integer"),
    "number": ((int, float), "a number"),
    "boolean": (bool, "true or false"),
    "array": (list, "a list"),
    "object": (dict, "an object"),
}
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
#: What a database can't store or an encoding can't write: NUL, and lone surrogates.
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
#: A URI (RFC 3986) without credentials before the host.
_WEB_URL = re.compile(SPEC["components"]["schemas"]["CreateWebhookEndpoint"]["properties"]["url"]["pattern"])


def refuse(issues: Sequence[Issue]) -> None:
    """Raise the 400 that lists ``issues``, if there are any."""
    if issues:
        paths = (issue["path"] for issue in issues)
        where = ", ".join(".".join(map(str, path)) for path in paths if isinstance(path, list))
        raise bad_request(f"Invalid request: {where[:300]}", issues=list(issues))


def issue(path: Location, message: str) -> Issue:
    return {"path": list(path), "message": message}


def resolved(schema: Schema) -> Schema:
    """The schema itself, where ``schema`` is a reference to one of the components."""
    name = schema.get("$ref")
    return SPEC["components"]["schemas"][name.rpartition("/")[2]] if name else schema


def issues_of(value: object, schema: Schema, path: Location = ()) -> Iterator[Issue]:
    """All that is wrong with ``value``."""
    schema = resolved(schema)
    problem = _problem(value, schema)
    if problem:
        yield issue(path, problem)
    elif isinstance(value, dict) and "properties" in schema:
        yield from _property_issues(value, schema, path)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from issues_of(each, schema["items"], (*path, index))


def _property_issues(value: Mapping[str, object], schema: Schema, path: Location) -> Iterator[Issue]:
    for key in schema.get("required", ()):
        if key not in value:
            yield issue((*path, key), "Required")
    for key, each in value.items():
        if key in schema["properties"]:
            yield from issues_of(each, schema["properties"][key], (*path, key))
        else:
            yield issue((*path, key), "Unknown key")


def _problem(value: object, schema: Schema) -> str:
    """What is wrong with ``value`` as a whole; "" if nothing is."""
    expected, name = _TYPES[schema["type"]]
    if value is None:
        return "Must not be null: leave it out"
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        return f"Must be {name}"
    if "enum" in schema and value not in schema["enum"]:
        return f"Must be one of {', '.join(schema['enum'])}"
    if isinstance(value, str):
        return _text_problem(value, schema)
    if isinstance(value, list):
        wrong = _outside(len(value), schema.get("minItems", 0), schema.get("maxItems"))
        return f"Must have {wrong} entries" if wrong else ""
    if isinstance(value, dict):
        wrong = _outside(len(value), schema.get("minProperties", 0), None)
        return f"Must have {wrong} keys" if wrong else ""
    if isinstance(value, (int, float)) and "minimum" in schema:
        wrong = _outside(value, schema["minimum"], schema.get("maximum"))
        return f"Must be {wrong}" if wrong else ""
    return ""


def _outside(value: float, low: int, high: int | None) -> str:
    """The bounds in words where ``value`` is outside of them, else ""."""
    if high is None:
        return f"{low} or more" if value < low else ""
    return "" if low <= value <= high else f"{low} to {high}"


def _text_problem(value: str, schema: Schema) -> str:
    wrong = _outside(len(value), schema.get("minLength", 0), schema.get("maxLength"))
    if wrong:
        return f"Must have {wrong} characters"
    if schema.get("format") == "uri" and not is_web_url(value):
        return "Must be an http or https URL"
    if schema.get("format") == "date" and not _is_date(value):
        return "Must be a date, YYYY-MM-DD"
    # The one pattern in use (but for URLs') is the part of this that JSON Schema can say.
    if "pattern" in schema and _UNSTORABLE.search(value):
        return "Must not contain NUL or lone surrogates"
    return ""


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
        return bool(_DATE.fullmatch(value) and date.fromisoformat(value))
    except ValueError:
        return False
