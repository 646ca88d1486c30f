"""The site that is measured: a database of its own, gone afterwards. Imported first: it sets Django up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

import django

django.setup()

from django.test.utils import setup_databases, teardown_databases  # noqa: E402


@contextmanager
def database() -> Iterator[None]:
    """A new database with the package's tables."""
    old = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        teardown_databases(old, verbosity=0)
