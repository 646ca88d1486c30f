"""``manage.py opentrain_erase``: erase one trainer's personal data, at their request."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_opentrain.errors import StillNeededError
from django_opentrain.services.purge import erasure


class Command(BaseCommand):
    """For requests under the GDPR and similar laws. See docs/explanation/privacy.md."""

    help = (
        "Erase a trainer's name, country, profile, Work Email, and the bodies of the events that name them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--trainer", required=True, metavar="ID", help="OpenTrain's user id")
        parser.add_argument(
            "--force",
            action="store_true",
            help="even if their data is still needed: access may then wait until OpenTrain sends it again",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises ``CommandError`` if their data is still needed, or the id is no trainer's."""
        trainer = options["trainer"].strip()
        try:
            done = erasure.erase(trainer, force=options["force"]) if trainer else erasure.Erased()
        except StillNeededError as error:
            raise CommandError(f"Their data is still needed ({error}). Nothing was changed.") from error
        self.stdout.write(f"Erased: participants {done.participants}, event bodies {done.event_bodies}.")
        if done.unreadable_bodies:
            text = (
                f"Event bodies that can't be decrypted: {done.unreadable_bodies}. They may name this trainer."
            )
            self.stdout.write(self.style.WARNING(text))
        if done.accounts:
            self.stdout.write(f"Their accounts on this site, which stay: {', '.join(done.accounts)}.")
        if not (done.participants or done.event_bodies or done.accounts):
            raise CommandError(
                "No trainer here has this id. Use the OpenTrain user id that the admin shows for a participant."
            )
        self.stdout.write(
            "A delivery that is still on its way may name them: run this command again tomorrow."
        )
