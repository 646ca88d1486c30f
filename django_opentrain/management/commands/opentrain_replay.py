"""``manage.py opentrain_replay``: process stored events again."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from django_opentrain.models import WebhookEvent
from django_opentrain.models.webhooks import WebhookEventQuerySet
from django_opentrain.platform import catalog
from django_opentrain.services import inbox

#: Rows that are read at once. SQLite takes no more than 999 parameters.
PAGE = 500
#: Each option that selects rows, with its lookup.
LOOKUPS = {
    "event": "event_id__in",
    "resource": "resource_id__in",
    "type": "type__in",
    "status": "status__in",
    "install": "endpoint__install__opentrain_id__in",
}


class Command(BaseCommand):
    """Selects events and makes them due; the workers, or ``opentrain_work``, process them.

    Values of one option are alternatives; different options must all match.
    """

    help = "Process stored webhook events again. Without --status or --event: those that failed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--event", action="append", metavar="ID", help="OpenTrain's event id")
        parser.add_argument("--resource", action="append", metavar="ID", help="contract, link, install … id")
        parser.add_argument("--type", action="append", choices=catalog.EVENT_TYPES, help="what happened")
        parser.add_argument(
            "--status", action="append", choices=WebhookEvent.Status.values, help="how far it got"
        )
        parser.add_argument("--install", action="append", metavar="ID", help="OpenTrain's install id")
        parser.add_argument("--since", metavar="TIME", help="received at or after, e.g. 2026-11-23T08:00")
        parser.add_argument("--until", metavar="TIME", help="received before")
        parser.add_argument(
            "--now", action="store_true", help="process them here, not in the workers, and print the result"
        )
        parser.add_argument("--dry-run", action="store_true", help="only list them")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises ``CommandError`` if nothing matches, an event fails again, or a time can't be parsed."""
        rows = self._selected(options)
        keys = list(rows.order_by("received_at", "pk").values_list("pk", flat=True))
        if not keys and any(options[name] for name in (*LOOKUPS, "since", "until")):
            raise CommandError(_advice(options))
        if options["dry_run"]:
            self._list(keys)
            self.stdout.write(f"Events that would be replayed: {len(keys)}.")
            return
        self.stdout.write(f"Events that are due again: {inbox.replay(rows)}.")
        if options["now"]:
            self._process(keys)

    def _list(self, keys: list[int]) -> None:
        # In pages: behind PgBouncer in transaction mode the cursor of .iterator() doesn't live on.
        rows = WebhookEvent.objects.select_related("endpoint__install").defer("body")
        for start in range(0, len(keys), PAGE):
            page = rows.in_bulk(keys[start : start + PAGE])
            for key in keys[start : start + PAGE]:
                if key in page:  # not deleted in the meantime
                    self._show(page[key])

    def _process(self, keys: list[int]) -> None:
        outcome: Counter[str] = Counter()
        for key in keys:
            row = inbox.process(WebhookEvent.objects.select_related("endpoint__install").get(pk=key))
            outcome[row.status] += 1
            if row.status != WebhookEvent.Status.PROCESSED:
                self._show(row)
        again = outcome[WebhookEvent.Status.PENDING]
        text = (
            f"{outcome[WebhookEvent.Status.PROCESSED]} processed, {outcome[WebhookEvent.Status.IGNORED]} ignored,"
            f" {again} failed again and will be retried."
        )
        if again:
            raise CommandError(text)
        self.stdout.write(text)

    def _show(self, row: WebhookEvent) -> None:
        moment = timezone.localtime(row.received_at)
        about = f"{row}, {row.resource_id or '-'}, {row.endpoint.install.tenant}"
        reason = " ".join(row.error.split())
        self.stdout.write(f"{moment:%Y-%m-%d %H:%M%z} {row.status} {about}{f': {reason}' if reason else ''}")

    def _selected(self, options: dict[str, Any]) -> WebhookEventQuerySet:
        chosen = {LOOKUPS[name]: options[name] for name in LOOKUPS if options[name]}
        if not options["status"] and not options["event"]:
            chosen["status__in"] = [WebhookEvent.Status.FAILED]
        if since := _moment(options["since"]):
            chosen["received_at__gte"] = since
        if until := _moment(options["until"]):
            chosen["received_at__lt"] = until
        return WebhookEvent.objects.filter(body__isnull=False, **chosen)


def _advice(options: dict[str, Any]) -> str:
    if not options["status"] and not options["event"]:
        return "No failed event matches. Without --status or --event only failed events are selected."
    return "No event whose body is still stored matches."


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"Not a time: {text!r}. Write it as 2026-11-23T08:00 (or with an offset).")
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
