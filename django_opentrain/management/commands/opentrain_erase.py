"""``manage.py opentrain_erase``: forget one trainer, because they asked for it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_opentrain.errors import StillNeededError
from django_opentrain.services.purge import erasure


class Command(BaseCommand):
    """For requests under the GDPR and its like. See docs/operations.md, Personal data."""

    help = "Forget a trainer's name, country, profile, Work Email, and the events that name them, everywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--trainer", required=True, metavar="ID", help="OpenTrain's user id")
        parser.add_argument(
            "--force",
            action="store_true",
            help="also while their data is still needed: access may then wait until OpenTrain tells it again",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises ``CommandError`` while their data is still needed."""
        try:
            done = erasure.erase(options["trainer"], force=options["force"])
        except StillNeededError as error:
            raise CommandError(f"Their data is still needed ({error}). Nothing was changed.") from error
        self.stdout.write(f"Forgotten: people {done.people}, event bodies {done.event_bodies}.")
        if done.unreadable_bodies:
            text = f"Event bodies that can't be decrypted: {done.unreadable_bodies}. Whom they name can't be seen."
            self.stdout.write(self.style.WARNING(text))
        if done.people or done.event_bodies:
            self.stdout.write(
                "The body of a delivery that is still on its way may name them: run this once more tomorrow."
            )
        else:
            text = "Nobody here has this id. It is the OpenTrain user id that a participant has in the admin."
            self.stdout.write(self.style.WARNING(text))
        if done.accounts:
            self.stdout.write(f"Accounts of this site that are theirs, and stay: {', '.join(done.accounts)}.")
