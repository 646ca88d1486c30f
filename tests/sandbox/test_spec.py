"""The OpenAPI document, from which the sandbox takes its operations, and OpenTrain's words and limits."""

from __future__ import annotations

import re

import pytest
import requests
from openapi_spec_validator import validate

from django_opentrain.platform import catalog, operations
from django_opentrain.platform.catalog import API_PATH
from django_opentrain.sandbox import Sandbox
from django_opentrain.sandbox.api import OPERATIONS
from django_opentrain.sandbox.api.routing import Operation
from tests.sandbox.spec import SPEC


def test_the_document_is_valid() -> None:
    validate(SPEC)


def test_operations_are_those_that_the_client_calls() -> None:
    called = {
        (each.method, re.sub(r"\{\w+\}", "{}", each.path), each.scope)
        for each in operations.OPERATIONS
        if each.authenticated
    }
    assert called == {
        (each.method, re.sub(r"\{\w+\}", "{}", each.path), each.scope or "") for each in OPERATIONS
    }
    assert len(OPERATIONS) == 15


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_the_scope_is_described_in_words(operation: Operation) -> None:
    documented = SPEC["paths"][operation.path][operation.method.lower()]
    needs = f"`{operation.scope}`" if operation.scope else "Any valid token"
    assert needs in documented["description"]


def test_words_and_limits_are_those_of_the_catalogue() -> None:
    schemas = SPEC["components"]["schemas"]
    assert schemas["Scope"]["enum"] == list(catalog.SCOPES)
    assert schemas["EventType"]["enum"] == list(catalog.EVENT_TYPES)
    assert schemas["ProvisioningMode"]["enum"] == list(catalog.PROVISIONING_MODES)
    link, usage = schemas["CreateProjectLink"]["properties"], schemas["ReportUsage"]["properties"]
    assert link["externalProjectId"]["maxLength"] == catalog.MAX_EXTERNAL_PROJECT_ID
    assert link["externalProjectName"]["maxLength"] == catalog.MAX_EXTERNAL_PROJECT_NAME
    assert link["externalProjectUrl"]["maxLength"] == catalog.MAX_EXTERNAL_PROJECT_URL
    assert usage["entries"]["maxItems"] == catalog.MAX_USAGE_ENTRIES
    *_, limit = SPEC["paths"]["/contracts"]["get"]["parameters"]
    assert limit["schema"]["maximum"] == catalog.MAX_CONTRACTS_PER_PAGE


def test_it_is_served_without_a_token(sandbox: Sandbox, session: requests.Session) -> None:
    response = session.get(f"{sandbox.base_url}{API_PATH}/openapi.json")
    assert response.status_code == 200
    served = response.json()
    assert served.pop("servers") == [{"url": f"{sandbox.base_url}{API_PATH}"}]
    assert served == {key: value for key, value in SPEC.items() if key != "servers"}
