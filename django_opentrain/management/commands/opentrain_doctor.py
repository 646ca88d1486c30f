"""``manage.py opentrain_doctor``: does this site work, what is broken, what to do."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_opentrain.services import doctor


class Command(BaseCommand):
    """Exit status for monitors: 0 all is well, 1 something wants looking at, 2 something is broken."""

    help = (
        "Examine this site: settings, database, workers, OpenTrain, and everything that waits."
        " Exit status: 0 all is well, 1 warnings, 2 errors."
    )
    requires_system_checks: list[str] = []  # they are part of the examination

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for machines")
        parser.add_argument("--offline", action="store_true", help="don't ask OpenTrain")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Ends with ``SystemExit`` where something was found."""
        talkative = options["verbosity"] > 1 and not options["json"]
        found = doctor.examine(offline=options["offline"], progress=self._progress if talkative else _quiet)
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(each) for each in found], indent=2, default=str))
        else:
            self._show(found)
        worst = max((each.severity for each in found), default=0)
        if worst:
            raise SystemExit(int(worst))

    def _progress(self, part: str) -> None:
        self.stdout.write(f"… {part}")

    def _show(self, found: list[doctor.Finding]) -> None:
        if not found:
            self.stdout.write(self.style.SUCCESS("All is well."))
        for each in found:
            serious = each.severity == doctor.Severity.ERROR
            paint = self.style.ERROR if serious else self.style.WARNING
            self.stdout.write(f"{paint(each.severity.name.lower())} {each.title} [{each.id}]")
            details = {name: value for name, value in each.data.items() if name not in ("count", "tenant")}
            for name, value in details.items():
                self.stdout.write(
                    f"    {name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
                )
            self.stdout.write(f"    → {each.advice}")


def _quiet(_part: str) -> None:
    """Say nothing."""


def _as_json(each: doctor.Finding) -> dict[str, Any]:
    return {
        "id": each.id,
        "severity": each.severity.name.lower(),
        "title": each.title,
        "advice": each.advice,
        "data": dict(each.data),
    }
