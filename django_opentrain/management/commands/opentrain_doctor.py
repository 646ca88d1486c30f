"""``manage.py opentrain_doctor``: whether this site works, what is broken, what to do."""

from __future__ import annotations

import json
from collections import Counter
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, no_translations

from django_opentrain.services import doctor

#: Findings of one kind that are printed.
SHOWN = 10


class Command(BaseCommand):
    """The exit status is for monitors. See docs/reference/doctor.md for what it finds."""

    help = (
        "Examine this site: settings, database, workers, OpenTrain, and queued work."
        " Exit status: 0 all is well, 1 warnings, 2 errors."
    )
    requires_system_checks: list[str] = []  # they are part of the examination

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for machines")
        parser.add_argument("--offline", action="store_true", help="don't ask OpenTrain")

    @no_translations  # most findings have no other words than English ones
    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises ``SystemExit`` if there are findings."""
        verbose = options["verbosity"] > 1 and not options["json"]
        findings = doctor.examine(offline=options["offline"], progress=self._progress if verbose else _quiet)
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(each) for each in findings], indent=2, default=str))
        else:
            self._show(findings)
        worst = max((each.severity for each in findings), default=0)
        if worst:
            raise SystemExit(int(worst))

    def _progress(self, part: str) -> None:
        self.stdout.write(f"… {part}")

    def _show(self, findings: list[doctor.Finding]) -> None:
        for _same, group in groupby(findings, key=lambda each: (each.severity, each.id, each.advice)):
            alike = list(group)
            for each in alike[:SHOWN]:
                self._show_one(each)
            if len(alike) > SHOWN:
                self.stdout.write(f"    and {len(alike) - SHOWN} more like these: see --json")
            self.stdout.write(f"    → {alike[0].advice}")
            self.stdout.write(f"    See {alike[0].page}")
        counts = Counter(each.severity for each in findings)
        totals = f"errors {counts[doctor.Severity.ERROR]}, warnings {counts[doctor.Severity.WARNING]}."
        self.stdout.write(totals if findings else self.style.SUCCESS("All is well."))

    def _show_one(self, finding: doctor.Finding) -> None:
        serious = finding.severity == doctor.Severity.ERROR
        paint = self.style.ERROR if serious else self.style.WARNING
        self.stdout.write(f"{paint(finding.severity.name.lower())} {finding.title} [{finding.id}]")
        for line in finding.details:
            self.stdout.write(f"    {line}")


def _quiet(_part: str) -> None:
    """Print nothing."""


def _as_json(each: doctor.Finding) -> dict[str, Any]:
    return {
        "id": each.id,
        "severity": each.severity.name.lower(),
        "title": each.title,
        "details": list(each.details),
        "advice": each.advice,
        "page": each.page,
        "data": dict(each.data),
    }
