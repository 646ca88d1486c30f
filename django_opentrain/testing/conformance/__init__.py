"""Does a host's adapter keep its promises? Subclass ``AdapterConformance``, and pytest checks it.

See ``docs/how-to/test-your-site.md``. Each group of checks is a class of its own, for hosts that leave a part
of the adapter out.
"""

from __future__ import annotations

from django_opentrain.testing.conformance.access import AccessConformance
from django_opentrain.testing.conformance.hooks import AdapterHooks
from django_opentrain.testing.conformance.identity import IdentityConformance
from django_opentrain.testing.conformance.projects import ProjectsConformance
from django_opentrain.testing.conformance.usage import UsageConformance


class AdapterConformance(ProjectsConformance, AccessConformance, IdentityConformance, UsageConformance):
    """All checks. Say which projects there are, and how to see whether a trainer gets in."""


__all__ = [
    "AccessConformance",
    "AdapterConformance",
    "AdapterHooks",
    "IdentityConformance",
    "ProjectsConformance",
    "UsageConformance",
]
