"""How many statements the database gets, whatever else there is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from django_opentrain.services.workers.locks import install_lock
from tests.factories import make_install

pytestmark = pytest.mark.django_db


def test_a_lock_inside_the_same_lock_costs_nothing(django_assert_num_queries: Any) -> None:
    install, other = make_install(), make_install()
    with install_lock(install):
        with django_assert_num_queries(0), install_lock(install):
            pass
        with install_lock(other), django_assert_num_queries(0), install_lock(install):
            pass
        # Without row locks the row is written, and read.
        first = 3 if connection.features.has_select_for_update else 4
        with django_assert_num_queries(first), install_lock(other):
            pass
    with django_assert_num_queries(first), install_lock(install):
        pass
