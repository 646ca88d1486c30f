"""Daily usage: read, and written by hosts whose front end measures it."""

from __future__ import annotations

import datetime
from functools import partial

from django.db.models import F
from rest_framework.request import Request
from rest_framework.response import Response

from django_opentrain.api.serializers.usage import UsageAccepted, UsagePage, UsageQuery, UsageRequest
from django_opentrain.api.views.contracts import participants_of
from django_opentrain.api.viewsets import TenantViewSet
from django_opentrain.models import Contract, DailyUsage
from django_opentrain.platform.resources import UsageEntry
from django_opentrain.services import usage
from django_opentrain.transactions import atomic


class UsageViewSet(TenantViewSet):
    """A contract's daily totals."""

    def list(self, request: Request, pk: int) -> Response:
        """The days, the newest first."""
        contract = self._contract(pk)
        query = self.query(UsageQuery)
        part = self.page(DailyUsage.objects.filter(contract=contract), query, {"workDate": F("work_date")})
        shown = {
            "contract_id": contract.opentrain_id,
            "entries": part.rows,
            "next_cursor": part.next_cursor,
        }
        return Response(UsagePage(shown).data)

    def create(self, request: Request, pk: int) -> Response:
        """Set days' totals; the workers report them to OpenTrain. All entries or none are recorded."""
        contract = self._contract(pk)
        workers = set(participants_of(contract).values_list("opentrain_user_id", flat=True))
        entries = self.body(UsageRequest, workers=workers)["entries"]
        with atomic():
            # In the same order in every request: two that write the same days then don't wait for each other.
            for entry in sorted(entries, key=partial(_row, contract)):
                usage.write(contract, entry)
        shown = {
            "contract_id": contract.opentrain_id,
            "accepted": len(entries),
            "due": DailyUsage.objects.filter(contract=contract).due(usage.today()).count(),
        }
        return Response(UsageAccepted(shown).data, status=202)

    def _contract(self, pk: int) -> Contract:
        return self.own(Contract.objects.filter(install__tenant=self.tenant).select_related("trainer"), pk)


def _row(contract: Contract, entry: UsageEntry) -> tuple[datetime.date, str]:
    """The key of the row that an entry is written to; of two for the same row the later one counts."""
    return entry.work_date, usage.normal_worker(contract, entry.worker_opentrain_user_id)
