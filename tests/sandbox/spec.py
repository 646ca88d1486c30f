"""Checks answers against the sandbox's OpenAPI document, field by field."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

import django_opentrain.sandbox

SPEC_FILE = Path(django_opentrain.sandbox.__file__).parent / "openapi.json"
SPEC: dict[str, Any] = json.loads(SPEC_FILE.read_text(encoding="utf-8"))


def _closed(schema: Any) -> Any:
    """The same schema, with fields that it doesn't name refused."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if "properties" in closed else closed


COMPONENTS = _closed(SPEC["components"])


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        target: Any = SPEC
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def template(path: str) -> str:
    """The path of the document that ``path`` is one of."""
    for candidate in sorted(SPEC["paths"], key=lambda each: each.count("{")):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", candidate), path):
            return str(candidate)
    raise AssertionError(f"{path} is not in the document")


def check_answer(method: str, path: str, status: int, body: object) -> None:
    """Fail unless the document allows this answer to this call."""
    operation = SPEC["paths"][template(path)][method.lower()]
    assert str(status) in operation["responses"], f"{method} {path} answers {status}: undocumented"
    response = _resolve(operation["responses"][str(status)])
    schema = _closed(response["content"]["application/json"]["schema"])
    validator = Draft202012Validator(
        {**schema, "components": COMPONENTS},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    validator.validate(body)
