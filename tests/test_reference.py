"""docs/reference/code.md is what the code says, and the code says what a host's developer needs."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

from django_opentrain.adapters import DjangoUsersAdapter, OpenTrainAdapter
from tests.reference import FILE, documented_services, reference

HOOKS = [
    (each.__name__, name, value)
    for each in (OpenTrainAdapter, DjangoUsersAdapter)
    for name, value in vars(each).items()
    if inspect.isfunction(value) and not name.startswith("_")
]


def test_the_reference_is_what_the_code_says() -> None:
    assert FILE.read_text(encoding="utf-8") == reference(), "Renew it: tests/reference.py says how."


@pytest.mark.parametrize(("adapter", "name", "hook"), HOOKS)
def test_each_hook_says_when_it_is_called(adapter: str, name: str, hook: object) -> None:
    if adapter == "DjangoUsersAdapter" and hasattr(OpenTrainAdapter, name):
        return  # there it is said
    assert "Called" in (inspect.getdoc(hook) or "")


@pytest.mark.parametrize(("module", "name"), list(documented_services()))
def test_each_service_with_arguments_says_what_it_raises(module: ModuleType, name: str) -> None:
    function = getattr(module, name)
    if inspect.signature(function).parameters:
        assert "aise" in (inspect.getdoc(function) or ""), f"{name}: what does it raise?"
