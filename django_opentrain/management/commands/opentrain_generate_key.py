"""``manage.py opentrain_generate_key``: a new key for ``OPENTRAIN["ENCRYPTION_KEYS"]``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from django_opentrain import crypto


class Command(BaseCommand):
    help = "Print a new key for OPENTRAIN['ENCRYPTION_KEYS']. Keep it as secret as SECRET_KEY."
    requires_system_checks: list[str] = []  # there is no key yet, which they would complain about

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(crypto.generate_key())
