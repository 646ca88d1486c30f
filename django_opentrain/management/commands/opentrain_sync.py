"""``manage.py opentrain_sync``: compare with OpenTrain now, and restore what differs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from django_opentrain.errors import EXPECTED
from django_opentrain.explanations import explain
from django_opentrain.models import AccessGrant, Install
from django_opentrain.models.installs import InstallQuerySet
from django_opentrain.services import access, connect, reconcile
from django_opentrain.services.access import grants
from django_opentrain.services.reconcile import Outcome
from django_opentrain.services.reconcile.diff import Change

#: A longer number is no row's key, and too long for some databases.
MAX_DIGITS: Final = 18


class Command(BaseCommand):
    help = "Reconcile with OpenTrain now: finds everything that a missed webhook would have said."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--install", metavar="ID", help="only this one: its id here, or OpenTrain's")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--dry-run", action="store_true", help="only show what differs")
        how.add_argument(
            "--confirm-removals",
            action="store_true",
            help="also make the removals that were held because they are unusually many",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        rows = list(self._chosen(options["install"]))
        if not rows:
            self.stdout.write("No customer is connected.")
        failed = 0
        for number, row in enumerate(rows, 1):
            self.stdout.write(f"[{number}/{len(rows)}] {row} … ", ending="")
            self.stdout.flush()
            try:
                outcome = self._reconcile(row, **options)
            except EXPECTED as error:
                failed += 1
                self.stdout.write(self.style.ERROR(f"{explain(error).title}: {error}"))
            else:
                self._show(row, outcome, dry_run=options["dry_run"])
        if not options["dry_run"]:
            self._converge(rows)
        if failed:
            raise CommandError(f"Installs that could not be reconciled: {failed} of {len(rows)}.")

    def _chosen(self, wanted: str | None) -> InstallQuerySet:
        rows = Install.objects.live().order_by("pk")
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
        return reconcile.reconcile_or_finish(row)

    def _show(self, row: Install, outcome: Outcome, *, dry_run: bool) -> None:
        unsettled = list(self._unsettled(row)) if dry_run else []
        count = len(outcome.changes) + len(outcome.held) + len(unsettled)
        self.stdout.write("nothing differs" if not count else f"{count} difference{'s' * (count > 1)}")
        for change in outcome.changes:
            style = {"+": self.style.SUCCESS, "-": self.style.ERROR}.get(change.sign, self.style.WARNING)
            self.stdout.write(style(f"  {_with_losses(change)}"))
        for change in outcome.held:
            self.stdout.write(
                self.style.ERROR(f"  {_with_losses(change)} (held: --confirm-removals makes it)")
            )
        for line in unsettled:
            self.stdout.write(self.style.WARNING(f"  ~ {line}"))
        for problem in outcome.problems:
            self.stdout.write(self.style.WARNING(f"  ! {problem}"))

    def _unsettled(self, row: Install) -> Iterator[str]:
        """Grants that are not in their desired state, which the workers or this command still have to converge."""
        grants_of_row = AccessGrant.objects.unsettled().filter(contract__install=row)
        for each in grants_of_row.select_related("participant", "link").order_by("pk"):
            who = f"trainer {each.participant.opentrain_user_id} on project {each.external_project_id}"
            error = " ".join(each.last_error.split())
            yield f"{who} is {each.state}, and should be {each.desired}{f': {error}' if error else ''}"

    def _converge(self, rows: list[Install]) -> None:
        """Grant and revoke now what the comparison showed, and what failed before."""
        grants.retry_now(AccessGrant.objects.filter(contract__install__in=rows))
        tried = access.converge_due()
        if tried:
            self.stdout.write(f"Access grants converged or tried: {tried}.")
        if failed := AccessGrant.objects.unsettled().filter(state=AccessGrant.State.FAILED).count():
            self.stdout.write(
                self.style.ERROR(
                    f"Access grants that keep failing: {failed}. Run: manage.py opentrain_doctor"
                )
            )


def _with_losses(change: Change) -> str:
    if not change.removes:
        return str(change)
    return f"{change} ({change.removes} {'loses' if change.removes == 1 else 'lose'} access)"
