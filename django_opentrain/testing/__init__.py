"""Tools with which a host project tests its adapter and pages against a local OpenTrain.

Each is loaded when it is asked for: pytest imports the plugin before Django is set up, and the conformance tests need
pytest, which sites that test with ``unittest`` may not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from django_opentrain.testing.cases import OpenTrainMixin, OpenTrainTestCase
    from django_opentrain.testing.conformance import (
        AccessConformance,
        AdapterConformance,
        IdentityConformance,
        ProjectsConformance,
        UsageConformance,
    )
    from django_opentrain.testing.first_login import FirstLoginFailed
    from django_opentrain.testing.hires import Hire
    from django_opentrain.testing.kit import OpenTrain
    from django_opentrain.testing.receiver import DeliveryFailed

__all__ = [
    "AccessConformance",
    "AdapterConformance",
    "DeliveryFailed",
    "FirstLoginFailed",
    "Hire",
    "IdentityConformance",
    "OpenTrain",
    "OpenTrainMixin",
    "OpenTrainTestCase",
    "ProjectsConformance",
    "UsageConformance",
]

_HOMES: Final = {
    "DeliveryFailed": "receiver",
    "FirstLoginFailed": "first_login",
    "Hire": "hires",
    "OpenTrain": "kit",
    "OpenTrainMixin": "cases",
    "OpenTrainTestCase": "cases",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_string(f"{__name__}.{_HOMES.get(name, 'conformance')}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
