"""The adapters for platforms do no harm where their platform isn't; inside of it ``tests/hosts`` tries them."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_opentrain.adapters import DjangoUsersAdapter, get_adapter, observers
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


class Observing(DjangoUsersAdapter):
    """One whose observer is a method, where its dotted path is asked for."""

    def observer(self) -> None:  # type: ignore[override]
        raise AssertionError


def test_an_observer_that_is_no_dotted_path_is_named_when_the_site_starts(settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Observing"}
    with pytest.raises(ImproperlyConfigured, match=r"Observing\.observer has to be the dotted path"):
        observers.connect()
