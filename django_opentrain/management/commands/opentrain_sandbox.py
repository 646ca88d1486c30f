"""``manage.py opentrain_sandbox``: the server of ``python -m django_opentrain.sandbox``, for this site's app."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

from django_opentrain.conf import conf
from django_opentrain.sandbox import cli


class HelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Django's, with the lines of the epilog as they are."""


class Command(BaseCommand):
    """Also ``python -m django_opentrain.sandbox``. See docs/reference/sandbox.md, also for the readings."""

    help = "Run a local OpenTrain: its API, consent page, control page and webhooks."
    requires_system_checks: list[str] = []  # it needs nothing of the site

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(
            prog_name, subcommand, epilog=cli.EPILOG, formatter_class=HelpFormatter, **kwargs
        )

    def add_arguments(self, parser: CommandParser) -> None:
        cli.add_arguments(parser)
        with suppress(ImproperlyConfigured):  # it also serves who hasn't finished their settings
            parser.set_defaults(app_slug=conf.app_slug, redirect_uri=[conf.public_url])

    def handle(self, *args: Any, **options: Any) -> None:
        status = cli.run(argparse.Namespace(**options))
        if status:
            sys.exit(status)
