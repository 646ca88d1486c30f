"""``manage.py opentrain_check_spec``: is OpenTrain's API still what this package expects?"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_opentrain.clients import build_client
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.platform.spec import Kind, NotASpecError, compare

#: The exit status if there was no document to compare.
NOT_COMPARED = 3


class Command(BaseCommand):
    """Needs neither a database nor a token.

    Something also breaks if a value that this package acts on is no longer listed.
    """

    help = (
        "Compare OpenTrain's published OpenAPI document with what this package sends and reads. Exit status: 0 no"
        " relevant difference, 1 something is new, 2 something breaks, 3 could not compare."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", metavar="F", help="a document on disk, instead of the published one")
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises ``SystemExit`` if something differs, and ``CommandError`` if it can't compare."""
        try:
            differences = compare(self._document(options["file"]))
        except NotASpecError as error:
            raise CommandError(str(error), returncode=NOT_COMPARED) from error
        if options["json"]:
            rows = [
                {"kind": each.kind.name.lower(), "where": each.where, "text": each.text}
                for each in differences
            ]
            self.stdout.write(json.dumps(rows, indent=2))
        else:
            style = {Kind.BREAKING: self.style.ERROR, Kind.NEW: self.style.WARNING}
            for each in differences:
                paint = style.get(each.kind, self.style.NOTICE)
                self.stdout.write(f"{paint(each.kind.name.lower()):<8} {each}")
            counts = Counter(each.kind for each in differences)
            totals = ", ".join(f"{kind.name.lower()} {counts[kind]}" for kind in reversed(Kind))
            self.stdout.write(f"{totals}." if differences else "Nothing differs.")
        worst = max((each.kind for each in differences), default=Kind.HARMLESS)
        if worst:
            raise SystemExit(int(worst))

    def _document(self, name: str | None) -> Any:
        try:
            if name is not None:
                return json.loads(Path(name).read_text(encoding="utf-8"))
            return build_client("").get_openapi()
        except (OSError, ValueError, RecursionError, OpenTrainError) as error:
            raise CommandError(
                f"There is no document to compare with: {error}", returncode=NOT_COMPARED
            ) from error
