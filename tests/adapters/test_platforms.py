"""The adapters for platforms do no harm where their platform isn't; inside of it ``tests/hosts`` tries them."""

from __future__ import annotations

from typing import Any

import pytest

from django_opentrain.adapters import get_adapter, observers
from django_opentrain.checks.adapter import check_adapter


@pytest.mark.parametrize(
    "path",
    [
        "django_opentrain.adapters.doccano.DoccanoAdapter",
        "django_opentrain.adapters.label_studio.LabelStudioAdapter",
    ],
)
def test_they_can_be_named_without_their_platform(settings: Any, path: str) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": path}
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django_opentrain.middleware.acting_user"]
    assert check_adapter() == []
    observers.connect()
    assert type(get_adapter()).__name__ == path.rpartition(".")[2]
