"""The pytest plugin, loaded by pytest in every project that has django_opentrain installed.

It is imported before Django is set up, and in projects that never use it: so this module imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from django_opentrain.testing.kit import OpenTrain

pytest.register_assert_rewrite("django_opentrain.testing.conformance")


@pytest.fixture
def opentrain(db: None) -> Iterator[OpenTrain]:
    """OpenTrain in this process, wired into the site under test; see ``docs/how-to/test-your-site.md``."""
    kit: type[OpenTrain] = import_string("django_opentrain.testing.kit.OpenTrain")
    with kit() as opentrain:
        yield opentrain
