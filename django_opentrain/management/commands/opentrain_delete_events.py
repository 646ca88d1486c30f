"""``manage.py opentrain_delete_events``: delete the rows of old events, month by month."""

from __future__ import annotations

from datetime import datetime, time
from datetime import timezone as tz
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from django_opentrain.conflicts import statements_retried
from django_opentrain.platform.values import as_date
from django_opentrain.services.purge import old_events


class Command(BaseCommand):
    """For sites with more events than they want to keep. It may be stopped, and goes on where it ended.

    See docs/how-to/production.md#what-to-know.
    """

    help = "Delete the rows of events that were processed long ago, and whose bodies are gone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--before",
            required=True,
            metavar="YYYY-MM-DD",
            help=f"those received before this day in UTC, {old_events.KEPT.days} days ago or longer",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises ``CommandError`` if it is no day, or not long enough ago."""
        day = as_date(options["before"])
        if day is None:
            raise CommandError(f"--before takes a day, such as 2026-01-31, not {options['before']}.")
        before = datetime.combine(day, time.min, tz.utc)
        if before > timezone.now() - old_events.KEPT:
            raise CommandError(f"Events of the last {old_events.KEPT.days} days are kept.")
        total = 0
        with statements_retried():
            for month, count in old_events.delete_events(before):
                self.stdout.write(f"{month}: {count} deleted")
                total += count
        if not total:
            raise CommandError("There are no such events.")
