"""Settings for mypy's Django plugin, which knows the models of installed apps only."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 - the same settings, with more apps
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "example_project.labelling",
    "tests.hosts.inhouse",
    "tests.hosts.subdomains.projects",
]
