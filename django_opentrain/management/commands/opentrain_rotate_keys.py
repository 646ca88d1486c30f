"""``manage.py opentrain_rotate_keys``: re-encrypt every secret with the first key, bound to its row."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_opentrain.services.purge import key_rotation


class Command(BaseCommand):
    """Works in batches while the site runs, and binds each value to its row; may be stopped and run again."""

    help = (
        "Re-encrypt every token, webhook secret, Work Email and event body with the first of"
        " OPENTRAIN['ENCRYPTION_KEYS']. See docs/how-to/change-the-key.md."
    )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises ``CommandError`` when an old key must stay, or something can't be decrypted with any key."""
        watched = options["verbosity"] > 1 or self.stdout.isatty()
        result = key_rotation.rotate(self._progress) if watched else key_rotation.rotate()
        self.stdout.write(f"{result.rotated} re-encrypted, {result.current} were current.")
        if result.expendable:
            self.stdout.write(
                f"{result.expendable} can't be decrypted with any key and aren't needed: of processed events and"
                " removed endpoints."
            )
        if result.undecryptable:
            raise CommandError(
                f"{result.undecryptable} can't be decrypted with any key. Put the key that encrypted them back"
                " at the end of OPENTRAIN['ENCRYPTION_KEYS'] and run this again, or let those customers reconnect."
            )
        if result.returning:
            raise CommandError(
                "A process still encrypts with an old key. Restart all processes with the new key first in"
                " OPENTRAIN['ENCRYPTION_KEYS'], and run this again. Remove no key until then."
            )
        self.stdout.write(self.style.SUCCESS("Everything is encrypted with the first key."))
        self.stdout.write("Once every process has been restarted with it, the other keys may be removed.")

    def _progress(self, column: str, rows: int) -> None:
        self.stdout.write(f"{column}: {rows} rows".ljust(60), ending="\r" if self.stdout.isatty() else "\n")
