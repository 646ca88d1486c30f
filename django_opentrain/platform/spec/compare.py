"""Comparing a whole document: operations, parameters, bodies, responses, authentication."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django_opentrain.platform import catalog
from django_opentrain.platform.operations import GET_OPENAPI, OPERATIONS, Operation
from django_opentrain.platform.spec.differences import Difference, Kind, NotASpecError
from django_opentrain.platform.spec.expectations import ERROR, EXCHANGES, Exchange, Sent
from django_opentrain.platform.spec.members import compare_read, compare_sent, compare_sent_value
from django_opentrain.platform.spec.schema import Shape, resolve, shape_of

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
#: Schemes by which a bearer token can be what is asked for.
BEARER_SCHEMES: Final = ("oauth2", "openIdConnect")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class _Served:
    """One operation as the document has it, with what its path has for all methods."""

    path: str
    node: Mapping[str, Any]
    shared: Mapping[str, Any]


def compare(document: object) -> list[Difference]:
    """Every difference between the document and this package, the worst first.

    Raises ``NotASpecError`` for what is no OpenAPI 3 document.
    """
    if not isinstance(document, Mapping) or not str(document.get("openapi", "")).startswith("3."):
        raise NotASpecError("This is not an OpenAPI 3 document.")
    served = _served_operations(document)
    found: set[Difference] = set()
    for operation in OPERATIONS:
        found.update(_compare_operation(document, served, operation))
    ours = {_key(each.method, catalog.API_PATH + each.path) for each in (*OPERATIONS, GET_OPENAPI)}
    for key, each in served.items():
        if key not in ours:
            found.add(Difference(Kind.NEW, f"{key[0]} {each.path}", "is a new operation"))
    return sorted(found, key=lambda each: (-each.kind, each.where, each.text))


# Finding operations ---------------------------------------------------------------------------


def _key(method: str, path: str) -> tuple[str, str]:
    """What names of the ids in a path are doesn't matter."""
    return method.upper(), re.sub(r"\{[^}]*\}", "{}", path).rstrip("/")


def _served_operations(document: Document) -> dict[tuple[str, str], _Served]:
    paths = document.get("paths")
    if not isinstance(paths, Mapping):
        raise NotASpecError("This document lists no paths.")
    prefix = _server_path(document)
    served = {}
    for path, node in paths.items():
        item = resolve(document, node)
        # Some documents repeat the server's path in each of theirs.
        full = path if str(path).startswith(f"{catalog.API_PATH}/") else f"{prefix}{path}"
        for method in METHODS:
            if isinstance(item.get(method), Mapping):
                served[_key(method, full)] = _Served(full, item[method], item)
    return served


def _server_path(document: Document) -> str:
    """The path of the first server; ours where the document names none."""
    servers = document.get("servers")
    if not isinstance(servers, list) or not servers:
        return catalog.API_PATH
    url = resolve(document, servers[0]).get("url")
    return urlsplit(url).path.rstrip("/") if isinstance(url, str) else catalog.API_PATH


def _compare_operation(
    document: Document, served: Mapping[tuple[str, str], _Served], operation: Operation
) -> Iterator[Difference]:
    where = f"{operation.method} {operation.path}"
    found = served.get(_key(operation.method, catalog.API_PATH + operation.path))
    if found is None:
        yield Difference(Kind.BREAKING, where, f"was removed{_similar(served, operation)}")
        return
    if found.node.get("deprecated") is True:
        yield Difference(Kind.NEW, where, "is deprecated")
    exchange = EXCHANGES[operation]
    yield from _compare_security(document, found, operation, where)
    yield from _compare_parameters(document, found, exchange, where)
    yield from _compare_body(document, found, exchange, where)
    yield from _compare_responses(document, found, exchange, where)


def _similar(served: Mapping[tuple[str, str], _Served], operation: Operation) -> str:
    end = _key("", operation.path)[1]
    similar = [
        each.path
        for (method, path), each in served.items()
        if method == operation.method and path.endswith(end)
    ]
    return f"; there is {', '.join(sorted(similar))}" if similar else ""


# Authentication -------------------------------------------------------------------------------


def _compare_security(
    document: Document, found: _Served, operation: Operation, where: str
) -> Iterator[Difference]:
    wanted = found.node.get("security", document.get("security"))
    if not isinstance(wanted, list) or not wanted:
        return
    ways = [resolve(document, each) for each in wanted]
    if any(_is_satisfied(document, each, operation) for each in ways):
        return
    names = " or ".join(sorted(" and ".join(sorted(each)) or "nothing" for each in ways))
    yield Difference(
        Kind.BREAKING,
        where,
        f"asks for {names}, where a bearer token with {operation.scope or 'no scope'} is sent",
    )


def _is_satisfied(document: Document, way: Mapping[str, Any], operation: Operation) -> bool:
    implied = catalog.IMPLIED_SCOPES.get(operation.scope, frozenset())
    enough = {operation.scope, *implied}
    for name, scopes in way.items():
        schemes = resolve(document, document.get("components")).get("securitySchemes")
        scheme = resolve(document, resolve(document, schemes).get(name))
        bearer = scheme.get("type") == "http" and str(scheme.get("scheme", "")).lower() == "bearer"
        if not bearer and scheme.get("type") not in BEARER_SCHEMES:
            return False
        if isinstance(scopes, list) and not set(map(str, scopes)) <= enough:
            return False
    return True


# Requests -------------------------------------------------------------------------------------


def _compare_parameters(
    document: Document, found: _Served, exchange: Exchange, where: str
) -> Iterator[Difference]:
    given = {("query", each.name): each for each in exchange.query}
    seen = set()
    for node in (*_list(found.shared.get("parameters")), *_list(found.node.get("parameters"))):
        parameter = resolve(document, node)
        key = (str(parameter.get("in")), str(parameter.get("name")))
        seen.add(key)
        if key[0] != "path":
            yield from _compare_parameter(document, parameter, given.get(key), f"{where}: {key[0]} {key[1]}")
    for key in given:
        if key not in seen:
            yield Difference(Kind.BREAKING, f"{where}: {key[0]} {key[1]}", "was removed, but is sent")


def _compare_parameter(
    document: Document, parameter: Mapping[str, Any], ours: Sent | None, where: str
) -> Iterator[Difference]:
    required = parameter.get("required") is True
    if ours is None:
        kind, text = (
            (Kind.BREAKING, "is required, but not sent") if required else (Kind.NEW, "is new, but not sent")
        )
        yield Difference(kind, where, text)
        return
    if required and not ours.always:
        yield Difference(Kind.BREAKING, where, "is required, but not always sent")
    yield from compare_sent_value(document, ours, shape_of(document, parameter.get("schema")), where)


def _compare_body(document: Document, found: _Served, exchange: Exchange, where: str) -> Iterator[Difference]:
    body = resolve(document, found.node.get("requestBody"))
    schema = _json_schema(document, body)
    if not body:
        if exchange.body:
            yield Difference(Kind.BREAKING, f"{where}: body", "was removed, but is sent")
        return
    if not exchange.body:
        kind = Kind.BREAKING if body.get("required") is True else Kind.NEW
        yield Difference(kind, f"{where}: body", "is new, but not sent")
    elif schema is None:
        yield Difference(Kind.BREAKING, f"{where}: body", "is no longer JSON")
    else:
        yield from compare_sent(document, schema, exchange.body, f"{where}: body")


# Responses ------------------------------------------------------------------------------------


def _compare_responses(
    document: Document, found: _Served, exchange: Exchange, where: str
) -> Iterator[Difference]:
    responses = resolve(document, found.node.get("responses"))
    good = [each for status, each in sorted(responses.items()) if str(status).startswith("2")]
    schemas = [_json_schema(document, resolve(document, each)) for each in good]
    schema = next((each for each in schemas if each is not None), None)
    if schema is not None:
        yield from compare_read(document, schema, exchange.response, f"{where}: response")
    elif not good or any(resolve(document, each).get("content") for each in good):
        yield Difference(Kind.BREAKING, f"{where}: response", "is not described as JSON")
    elif any(each.essential for each in exchange.response):
        yield Difference(Kind.BREAKING, f"{where}: response", "is empty")
    for status, each in responses.items():
        if str(status)[:1] in "45":
            error = _json_schema(document, resolve(document, each))
            if error is not None:
                yield from compare_read(document, error, ERROR, "every error")


def _json_schema(document: Document, node: Mapping[str, Any]) -> Shape | None:
    """The shape of a body's JSON; None where it is described as something else, or not at all."""
    content = resolve(document, node.get("content"))
    for name, media in content.items():
        if str(name).partition(";")[0].strip().endswith("json"):
            return shape_of(document, resolve(document, media).get("schema"))
    return None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
