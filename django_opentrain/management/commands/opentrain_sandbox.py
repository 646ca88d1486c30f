"""``manage.py opentrain_sandbox``: the same server as ``python -m django_opentrain.sandbox``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_opentrain.sandbox import cli


class Command(BaseCommand):
    help = "Run a local OpenTrain: its API, consent page, control page and webhooks."
    requires_system_checks: list[str] = []  # it needs nothing of the site

    def add_arguments(self, parser: CommandParser) -> None:
        cli.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        status = cli.run(argparse.Namespace(**options))
        if status:
            sys.exit(status)
