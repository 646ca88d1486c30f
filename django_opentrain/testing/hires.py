"""A hire, as a test sees it: OpenTrain's contract and, once the site has received it, our rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django_opentrain.models import AccessGrant, Contract, Participant
from django_opentrain.models.access import AccessGrantQuerySet


@dataclass(frozen=True, kw_only=True)
class Hire:
    """One trainer under one contract. The rows are read afresh at each access."""

    #: OpenTrain's id of the contract.
    id: str
    opentrain_user_id: str
    #: What the Work Email is, or will be once it is released.
    work_email: str

    @property
    def contract(self) -> Contract:
        """Our row. Raises ``Contract.DoesNotExist`` before the site has received it: ``run()`` first."""
        return Contract.objects.select_related("install", "trainer").get(opentrain_id=self.id)

    @property
    def participant(self) -> Participant:
        """The trainer, as the customer of this contract knows them."""
        return Participant.objects.get(
            install=self.contract.install, opentrain_user_id=self.opentrain_user_id
        )

    @property
    def grants(self) -> AccessGrantQuerySet:
        """One for each project that is linked to the contract's job."""
        related = ("contract__install", "link__install", "participant")
        mine = AccessGrant.objects.filter(contract__opentrain_id=self.id).select_related(*related)
        return mine.filter(participant__opentrain_user_id=self.opentrain_user_id).order_by("pk")

    @property
    def grant(self) -> AccessGrant:
        """The one grant; with several linked projects use ``grants``."""
        return self.grants.get()

    @property
    def usage(self) -> dict[date, int | None]:
        """The trainer's seconds by day, as the site knows them."""
        rows = self.contract.usage.filter(worker_id="").order_by("work_date")
        return {row.work_date: row.total_seconds for row in rows}
