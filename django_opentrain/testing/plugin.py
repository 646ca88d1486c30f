"""The pytest plugin, loaded by pytest in every project that has django_opentrain installed."""

from __future__ import annotations
