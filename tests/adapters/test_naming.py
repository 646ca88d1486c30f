"""Names of project groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_opentrain.adapters.naming import LONGEST_NAME, group_name

_ids = st.text(max_size=200)


@pytest.mark.parametrize(
    ("tenant", "project", "name"),
    [
        ("acme", "42", "opentrain:acme:42"),
        ("7", "3f2b-11", "opentrain:7:3f2b-11"),
        ("Acme", "a:b", "opentrain:%41cme:a%3ab"),
    ],
)
def test_plain_ids_can_be_read_in_it(tenant: str, project: str, name: str) -> None:
    assert group_name(tenant, project) == name


@given(_ids, _ids, _ids, _ids)
def test_no_two_projects_share_a_name(
    tenant: str, project: str, other_tenant: str, other_project: str
) -> None:
    same = (tenant, project) == (other_tenant, other_project)
    # Compared as MySQL does: upper and lower case are equal.
    names = {group_name(tenant, project).lower(), group_name(other_tenant, other_project).lower()}
    assert len(names) == (1 if same else 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a:b", "c"), ("a", "b:c")),
        (("A", "1"), ("a", "1")),
        (("a%41", "1"), ("aA", "1")),
        (("a ", "1"), ("a", "1")),
    ],
)
def test_look_alikes_differ(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert group_name(*one).lower() != group_name(*other).lower()


@given(_ids, _ids)
def test_it_fits_the_column(tenant: str, project: str) -> None:
    name = group_name(tenant, project)
    assert len(name) <= LONGEST_NAME
    assert name.isascii()


def test_long_ids_that_differ_at_the_end_differ() -> None:
    assert group_name("t" * 200, "p" * 199 + "1") != group_name("t" * 200, "p" * 199 + "2")
