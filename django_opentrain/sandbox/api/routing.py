"""The operations of the API, as ``openapi.json`` describes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

from django_opentrain.sandbox.errors import ApiError, not_found
from django_opentrain.sandbox.http import JSON, Request
from django_opentrain.sandbox.models import App, Install, Token
from django_opentrain.sandbox.payloads import Json, without_nulls
from django_opentrain.sandbox.readings import Readings
from django_opentrain.sandbox.schema import SPEC, Issue, Schema, issue, issues_of, refuse
from django_opentrain.sandbox.store import Store

METHODS = ("GET", "POST", "PATCH", "DELETE")
_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One authorized call: whose it is, and what it sent, checked against the description."""

    store: Store
    app: App
    install: Install
    token: Token
    #: The parameters in the path, decoded.
    ids: tuple[str, ...]
    query: Mapping[str, Any]
    body: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Operation:
    method: str
    path: str
    #: None: any valid token.
    scope: str | None
    #: Of success.
    status: int
    #: The schema of each parameter.
    query: Mapping[str, Schema]
    #: None where no body is expected.
    body: Schema | None
    run: Callable[[Call], Json]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{\w+\}", "([^/]+)", self.path))

    def ids_in(self, path: str) -> tuple[str, ...] | None:
        """The parameters in ``path``, decoded; None where it is the path of another operation."""
        found = self._pattern.fullmatch(path)
        return None if found is None else tuple(map(unquote, found.groups()))

    def read(self, request: Request, readings: Readings) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The query and the body of ``request``; 400 unless both are as described."""
        query, issues = _read_query(request.query, self.query)
        body: Mapping[str, Any] = {}
        if self.body is not None:
            body = request.json()
            if readings.request_nulls == "accepted":
                body = without_nulls(body)
            issues += issues_of(body, self.body)
        refuse(issues)
        return query, body


def described(handlers: Mapping[str, Callable[[Call], Json]]) -> Iterator[Operation]:
    """Each operation that is described for clients with a token; ``handlers`` by ``operationId``."""
    for path, item in SPEC["paths"].items():
        for method in METHODS:
            node = item.get(method.lower())
            if node is not None:
                [way] = node["security"]
                [status] = (int(each) for each in node["responses"] if each.startswith("2"))
                yield Operation(
                    method=method,
                    path=path,
                    scope=next(iter(way["installToken"]), None),
                    status=status,
                    query={each["name"]: each["schema"] for each in node.get("parameters", ())},
                    body=node["requestBody"]["content"][JSON]["schema"] if "requestBody" in node else None,
                    run=handlers[node["operationId"]],
                )


def match(operations: tuple[Operation, ...], method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
    """The operation that a request asks for, with the parameters in its path; 404 or 405 without one."""
    there = [(each, ids) for each in operations if (ids := each.ids_in(path)) is not None]
    for operation, ids in there:
        if operation.method == method:
            return operation, ids
    if not there:
        raise not_found("There is no such resource")
    allowed = [each.method for each, _ in there]
    headers = {"Allow": ", ".join(allowed)}
    raise ApiError("BAD_REQUEST", f"Use {' or '.join(allowed)}", status=405, headers=headers)


def _read_query(query: str, parameters: Mapping[str, Schema]) -> tuple[dict[str, Any], list[Issue]]:
    """The parameters, each at most once, numbers as numbers; and what is wrong with them."""
    values: dict[str, Any] = {}
    issues = []
    for key, text in parse_qsl(query, keep_blank_values=True):
        if key in values:
            issues.append(issue((key,), "Given more than once"))
        numeric = parameters.get(key, {}).get("type") == "integer"
        values[key] = int(text) if numeric and _DIGITS.fullmatch(text) else text
    return values, [*issues, *issues_of(values, {"type": "object", "properties": parameters})]
