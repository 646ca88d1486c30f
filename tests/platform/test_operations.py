from __future__ import annotations

import inspect
import re

import pytest

from django_opentrain.platform.catalog import SCOPES
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import InvalidRequest
from django_opentrain.platform.operations import GET_BUDGET, GET_OPENAPI, OPERATIONS, Operation


def test_there_are_fifteen_and_each_is_a_method_of_the_client() -> None:
    methods = {
        name for name, _ in inspect.getmembers(PlatformClient, inspect.isfunction) if not name.startswith("_")
    }
    assert len(OPERATIONS) == 15
    assert {operation.name for operation in (*OPERATIONS, GET_OPENAPI)} == methods


def test_only_what_does_no_harm_twice_is_repeated() -> None:
    repeated = {operation.name for operation in OPERATIONS if operation.idempotent}
    reads = {operation.name for operation in OPERATIONS if operation.method in ("GET", "DELETE")}
    assert repeated == reads | {"report_usage"}


def test_scopes_are_known_ones() -> None:
    assert {operation.scope for operation in OPERATIONS} <= {"", *SCOPES}
    assert [operation.name for operation in OPERATIONS if not operation.scope] == ["get_install"]


def test_no_two_share_method_and_path() -> None:
    assert len({(operation.method, operation.path) for operation in OPERATIONS}) == 15


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_ids_are_percent_encoded(operation: Operation) -> None:
    names = re.findall(r"{(\w+)}", operation.path)
    path = operation.path_for(**dict.fromkeys(names, "a/../b?c#d%2f é"))
    assert path.count("/") == operation.path.count("/")
    assert path == re.sub(r"{\w+}", "a%2F..%2Fb%3Fc%23d%252f%20%C3%A9", operation.path)


@pytest.mark.parametrize("contract_id", ["", ".", "..", "...", "a\ud800"], ids=ascii)
def test_what_would_change_the_path_is_refused(contract_id: str) -> None:
    with pytest.raises(InvalidRequest, match="contract_id") as caught:
        GET_BUDGET.path_for(contract_id=contract_id)
    assert caught.value.__cause__ is None
