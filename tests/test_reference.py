"""What the documents list of the code is what the code says, and that is what a host's developer needs."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType

import pytest

from django_opentrain.adapters import DjangoUsersAdapter, OpenTrainAdapter
from tests.reference import PARTS, pages, parts_of, renewed
from tests.reference.code import documented_services
from tests.reference.markdown import ROOT

HOOKS = [
    (each.__name__, name, value)
    for each in (OpenTrainAdapter, DjangoUsersAdapter)
    for name, value in vars(each).items()
    if inspect.isfunction(value) and not name.startswith("_")
]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_what_the_code_says(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == renewed(page), (
        "Renew it: tests/reference/__init__.py says how."
    )


def test_each_part_is_in_one_page() -> None:
    assert sorted(name for page in pages() for name in parts_of(page)) == sorted(PARTS)


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
