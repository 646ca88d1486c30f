"""The actions behind a contract's days, and what trainers object to them: read only."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from django_opentrain.api.pagination import offset_page
from django_opentrain.api.serializers.work import ObjectionQuery, ObjectionSerializer, WorkPage, WorkQuery
from django_opentrain.api.viewsets import TenantViewSet
from django_opentrain.models import Contract, UsageObjection
from django_opentrain.models.contracts import ContractQuerySet
from django_opentrain.services import usage, work

#: No work was done before that.
FIRST_DAY: Final = date(2000, 1, 1)


class WorkViewSet(TenantViewSet):
    """The work ledger, as far as a contract pays for it."""

    def list(self, request: Request, pk: int) -> Response:
        """The actions of one day, in the order of their time, with what of each counts."""
        contract = self.own(_contracts(self.tenant), pk)
        query = self.query(WorkQuery).validated_data
        day = query.get("work_date", usage.today())
        if not FIRST_DAY <= day <= usage.today() + timedelta(days=1):
            raise ValidationError({"workDate": [_("There is no work on this day.")]})
        worker = query.get("worker_opentrain_user_id", "")
        entries = work.entries(contract, day, day, worker_id=worker)
        part = offset_page(entries, cursor=query["cursor"], limit=query["limit"])
        shown = {
            "contract_id": contract.opentrain_id,
            "entries": part.rows,
            "next_cursor": part.next_cursor,
        }
        return Response(WorkPage(shown).data)


class ObjectionViewSet(TenantViewSet):
    """What trainers object to days of a contract."""

    def list(self, request: Request, pk: int) -> Response:
        """The objections, the newest first."""
        contract = self.own(_contracts(self.tenant), pk)
        query = self.query(ObjectionQuery)
        part = self.page(UsageObjection.objects.filter(contract=contract), query)
        return self.listing(part, ObjectionSerializer)


def _contracts(tenant: str) -> ContractQuerySet:
    return Contract.objects.filter(install__tenant=tenant).select_related("trainer")
