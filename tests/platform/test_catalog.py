from __future__ import annotations

import pytest

from django_opentrain.platform.catalog import (
    CONTRACTS_READ,
    PROJECT_LINKS_READ,
    PROJECT_LINKS_WRITE,
    SCOPES,
    has_scope,
)


@pytest.mark.parametrize("container", [list, tuple, set, frozenset])
def test_a_scope_is_had_when_it_was_granted(container: type) -> None:
    assert all(has_scope(container([scope]), scope) for scope in SCOPES)
    assert not has_scope(container(), CONTRACTS_READ)


def test_write_implies_read_and_not_the_other_way_round() -> None:
    assert has_scope([PROJECT_LINKS_WRITE], PROJECT_LINKS_READ)
    assert not has_scope([PROJECT_LINKS_READ], PROJECT_LINKS_WRITE)


@pytest.mark.parametrize("granted", [None, 7, {CONTRACTS_READ: True}, f"not {CONTRACTS_READ}"])
def test_what_is_no_list_of_scopes_grants_nothing(granted: object) -> None:
    assert not has_scope(granted, CONTRACTS_READ)
