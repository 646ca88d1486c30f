"""The kit's tests use a host with projects."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _host(settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.testing.hosts.GroupAdapter"}
