"""``manage.py opentrain_bind``: let a trainer use an account of this site that they had before."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_opentrain.errors import ServiceError
from django_opentrain.models import AccessGrant
from django_opentrain.services.access import bindings


class Command(BaseCommand):
    """An operator's consent, for every customer. See docs/how-to/existing-accounts.md.

    Ask the account's owner first: anyone who logs in with it works as this trainer.
    """

    help = "Let a trainer use the account of this site that has their Work Email, and give access with it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--grant", required=True, type=int, metavar="ID", help="the access grant, as the doctor names it"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Raises ``CommandError`` where no account may become the trainer's."""
        row = AccessGrant.objects.select_related("participant").filter(pk=options["grant"]).first()
        if row is None:
            raise CommandError("There is no access grant with this id.")
        try:
            bindings.bind(row, "operator, by opentrain_bind")
        except ServiceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("The account is the trainer's now. A worker gives access with it.")
