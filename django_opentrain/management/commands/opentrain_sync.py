"""``manage.py opentrain_sync``: compare with OpenTrain now, and restore what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from django_opentrain.errors import EXPECTED
from django_opentrain.explanations import explain
from django_opentrain.models import AccessGrant, Install
from django_opentrain.models.access import AccessGrantQuerySet
from django_opentrain.models.installs import InstallQuerySet
from django_opentrain.services import access, connect, reconcile
from django_opentrain.services.access import grants
from django_opentrain.services.conditions import CONDITIONS
from django_opentrain.services.connect import reconnect
from django_opentrain.services.reconcile import Outcome
from django_opentrain.services.reconcile.diff import Change

#: A longer number is no row's key, and too long for some databases.
MAX_DIGITS: Final = 18
#: Differences of one customer that are printed beside all removals.
SHOWN: Final = 20


class Command(BaseCommand):
    """Retries what failed in the adapter, too.

    If something was not done (an install that failed, held removals, grants that keep failing), the last line says
    what, and the exit status is 1.
    """

    help = "Reconcile with OpenTrain now: finds everything that a missed webhook would have said."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--install", metavar="ID", help="only this one: its id here, or OpenTrain's")
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--dry-run",
            action="store_true",
            help="only show what differs: a count for each customer, who would lose access, the rest",
        )
        how.add_argument(
            "--confirm-removals",
            action="store_true",
            help="also make the removals that were held because they are unusually many",
        )
        parser.add_argument("--json", action="store_true", help="for machines, and with all differences")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises ``CommandError`` unless everything was done."""
        self._quiet = options["json"]
        rows = list(self._chosen(options["install"], ended=options["confirm_removals"]))
        if not rows:
            self._say("No customer is connected.")
        elif options["confirm_removals"] and not any(row.removals_held for row in rows):
            self._say("No removals were held that could be confirmed.")
        outcomes = {}
        reports = []
        for number, row in enumerate(rows, 1):
            self._say(f"[{number}/{len(rows)}] {row} … ", ending="")
            try:
                outcome = outcomes[row] = self._reconcile(row, **options)
            except EXPECTED as error:
                text = f"{explain(error).title}: {error}"
                self._say(self.style.ERROR(text))
                reports.append(_report(row, error=text))
            else:
                unsettled = list(_unsettled(row)) if options["dry_run"] else []
                self._show(outcome, unsettled)
                reports.append(_report(row, outcome, unsettled))
        if not options["dry_run"]:
            self._converge(rows)
        if self._quiet:
            self.stdout.write(json.dumps(reports, indent=2))
        if undone := list(_undone(rows, outcomes, dry_run=options["dry_run"])):
            raise CommandError(f"Not done. {' '.join(undone)}")

    def _chosen(self, wanted: str | None, *, ended: bool) -> InstallQuerySet:
        """Those to sync; with ``ended`` also those whose end waits for a confirmation."""
        rows = Install.objects.live().order_by("pk")
        if ended:
            rows |= Install.objects.filter(pk__in=CONDITIONS["removals-held"].rows().values("pk"))
        if wanted is None:
            return rows
        wanted_rows = Q(opentrain_id=wanted)
        if wanted.isascii() and wanted.isdigit() and len(wanted) <= MAX_DIGITS:
            wanted_rows |= Q(pk=int(wanted))
        rows = rows.filter(wanted_rows)
        if not rows:
            raise CommandError("No connected install has this id.")
        return rows

    def _reconcile(self, row: Install, *, dry_run: bool, confirm_removals: bool, **_others: Any) -> Outcome:
        if dry_run:
            if row.status == Install.Status.UNAUTHORIZED:
                connect.verify(row)
            return reconcile.install(row, dry_run=True)
        if confirm_removals and row.removals_held:
            reconcile.confirm_removals(row)
        row.refresh_from_db()
        if not row.is_live:
            reconnect.end_abandoned()
            return Outcome()
        return reconcile.reconcile_or_finish(row, scheduled=False)

    def _show(self, outcome: Outcome, unsettled: list[str]) -> None:
        """Counts first, then all removals with names, then the rest."""
        self._say(_summary(outcome, unsettled))
        for change in outcome.held:
            self._say(self.style.ERROR(f"  {_with_losses(change)} (held: --confirm-removals makes it)"))
        for change in outcome.changes:
            if change.loses:
                self._say(self.style.ERROR(f"  {_with_losses(change)}"))
        others = [str(change) for change in outcome.changes if not change.loses]
        others += [f"~ {line}" for line in unsettled]
        for line in others[:SHOWN]:
            self._say((self.style.SUCCESS if line[0] == "+" else self.style.WARNING)(f"  {line}"))
        if len(others) > SHOWN:
            self._say(f"  and {len(others) - SHOWN} more: see --json")
        for problem in outcome.problems:
            self._say(self.style.WARNING(f"  ! {problem}"))

    def _converge(self, rows: list[Install]) -> None:
        """Grant and revoke now what the comparison showed, and what failed before."""
        grants.retry_now(_grants(rows))
        tried = access.converge_due()
        if tried:
            self._say(f"Access grants converged or tried: {tried}.")

    def _say(self, text: str, ending: str = "\n") -> None:
        if not self._quiet:
            self.stdout.write(text, ending=ending)
            self.stdout.flush()


def _grants(rows: list[Install]) -> AccessGrantQuerySet:
    return AccessGrant.objects.filter(contract__install__in=rows)


def _unsettled(row: Install) -> Iterator[str]:
    """Grants that are not in their desired state, which the workers or this command still have to converge."""
    for each in _grants([row]).unsettled().select_related("participant", "link").order_by("pk"):
        who = f"trainer {each.participant.opentrain_user_id} on project {each.external_project_id}"
        error = " ".join(each.last_error.split())
        yield f"{who} is {each.state}, and should be {each.desired}{f': {error}' if error else ''}"


def _with_losses(change: Change) -> str:
    if not change.loses:
        return str(change)
    return f"{change}. Loses access: {', '.join(change.loses)}"


def _summary(outcome: Outcome, unsettled: list[str]) -> str:
    removed = sum(change.removes for change in outcome.changes)
    held = sum(change.removes for change in outcome.held)
    counts = {
        "removals of access": removed,
        "held removals of access": held,
        "other differences": len([each for each in outcome.changes if not each.loses]) + len(unsettled),
    }
    return ", ".join(f"{what}: {count}" for what, count in counts.items() if count) or "nothing differs"


def _report(
    row: Install, outcome: Outcome | None = None, unsettled: list[str] | None = None, error: str = ""
) -> dict[str, Any]:
    outcome = outcome or Outcome()
    return {
        "install": row.opentrain_id,
        "customer": row.tenant,
        "error": error,
        "changes": [_as_json(each) for each in outcome.changes],
        "held": [_as_json(each) for each in outcome.held],
        "unsettled": unsettled or [],
        "problems": [str(each) for each in outcome.problems],
    }


def _as_json(change: Change) -> dict[str, Any]:
    return {"sign": change.sign, "text": str(change.text), "loses": list(change.loses)}


def _undone(rows: list[Install], outcomes: dict[Install, Outcome], *, dry_run: bool) -> Iterator[str]:
    """A sentence for each kind of thing that was not done."""
    if failed := len(rows) - len(outcomes):
        yield f"Installs that could not be reconciled: {failed} of {len(rows)}."
    if incomplete := sum(bool(outcome.problems) for outcome in outcomes.values()):
        yield f"Installs that were not compared completely: {incomplete} of {len(rows)}."
    if dry_run:
        return
    if held := sum(change.removes for outcome in outcomes.values() for change in outcome.held):
        yield f"Removals of access that are held: {held} (see --dry-run; --confirm-removals makes them)."
    if failing := _grants(rows).unsettled().filter(state=AccessGrant.State.FAILED).count():
        yield f"Access grants that keep failing: {failing} (see opentrain_doctor)."
