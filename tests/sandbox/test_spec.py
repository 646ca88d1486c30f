"""The OpenAPI document and the routes say the same, both ways."""

from __future__ import annotations

import pytest
import requests
from openapi_spec_validator import validate

from django_opentrain.platform.catalog import (
    API_PATH,
    EVENT_TYPES,
    SCOPES,
)
from django_opentrain.sandbox import Sandbox
from django_opentrain.sandbox.api import OPERATIONS
from django_opentrain.sandbox.api.routing import Operation
from tests.sandbox.spec import SPEC

METHODS = {"get", "post", "put", "patch", "delete"}


def test_the_document_is_valid() -> None:
    validate(SPEC)


def test_routes_and_document_agree() -> None:
    documented = {
        (method.upper(), path) for path, item in SPEC["paths"].items() for method in item if method in METHODS
    }
    assert documented == {(each.method, each.path) for each in OPERATIONS}
    assert len(OPERATIONS) == 15


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_scope_and_status_are_documented(operation: Operation) -> None:
    documented = SPEC["paths"][operation.path][operation.method.lower()]
    needs = f"`{operation.scope}`" if operation.scope else "Any valid token"
    assert needs in documented["description"]
    assert str(operation.status) in documented["responses"]


def test_enumerations_are_those_of_the_catalogue() -> None:
    schemas = SPEC["components"]["schemas"]
    assert schemas["Scope"]["enum"] == list(SCOPES)
    assert schemas["EventType"]["enum"] == list(EVENT_TYPES)


def test_it_is_served_without_a_token(sandbox: Sandbox, session: requests.Session) -> None:
    response = session.get(f"{sandbox.base_url}{API_PATH}/openapi.json")
    assert response.status_code == 200
    served = response.json()
    assert served.pop("servers") == [{"url": f"{sandbox.base_url}{API_PATH}"}]
    assert served == {key: value for key, value in SPEC.items() if key != "servers"}
