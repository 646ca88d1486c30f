"""Contracts: their participants, access grants and budgets."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Final

from django.db.models import DateField, Exists, Expression, F, OuterRef, Prefetch, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from rest_framework.request import Request
from rest_framework.response import Response

from django_opentrain.api.aggregates import count
from django_opentrain.api.serializers.contracts import (
    BudgetSerializer,
    ContractQuery,
    ContractSerializer,
    GrantSerializer,
    ParticipantList,
)
from django_opentrain.api.viewsets import TenantViewSet
from django_opentrain.models import AccessGrant, Contract, DailyUsage, Participant, ProjectLink
from django_opentrain.services.access import bindings, grants, invitations

#: The sort key of contracts without a start date: MySQL's earliest date.
NO_DATE: Final = datetime.date(1000, 1, 1)
KEYS: Final[Mapping[str, Expression | F]] = {
    "id": F("pk"),
    "startDate": Coalesce("start_date", Value(NO_DATE), output_field=DateField()),
}


class ContractViewSet(TenantViewSet):
    """The hires under the tenant's connections."""

    def list(self, request: Request) -> Response:
        """Contracts, including ended ones."""
        query = self.query(ContractQuery)
        return self.listing(self.page(_under(self._rows(), query), query, KEYS), ContractSerializer)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One contract with its budget and its trainers' access."""
        return Response(ContractSerializer(self.own(self._rows(), pk)).data)

    def participants(self, request: Request, pk: int) -> Response:
        """The contract's participants."""
        contract = self.own(self.contracts(), pk)
        participants = participants_of(contract).order_by("pk")
        shown = {"contract_id": contract.opentrain_id, "participants": participants}
        return Response(ParticipantList(shown).data)

    def budget(self, request: Request, pk: int) -> Response:
        """What is funded and what is used, as OpenTrain last reported it."""
        return Response(BudgetSerializer(self.own(self.contracts(), pk)).data)

    def contracts(self) -> QuerySet[Contract]:
        """The tenant's contracts."""
        return Contract.objects.filter(install__tenant=self.tenant)

    def _rows(self) -> QuerySet[Contract]:
        access = AccessGrant.objects.with_invitation().select_related("participant", "link").order_by("pk")
        rows = self.contracts().select_related("trainer")
        usage = DailyUsage.objects.all()
        return rows.prefetch_related("links", Prefetch("grants", access)).annotate(
            usage_due=count(usage.filter(status=DailyUsage.Status.DUE), "contract"),
            usage_refused=count(usage.filter(status=DailyUsage.Status.REFUSED), "contract"),
        )


def _under(rows: QuerySet[Contract], query: ContractQuery) -> QuerySet[Contract]:
    """Those under the link or project that the query names."""
    names = {"project_link_id": "pk", "external_project_id": "external_project_id"}
    values = query.validated_data
    lookups = {lookup: values[name] for name, lookup in names.items() if name in values}
    if not lookups:
        return rows
    return rows.filter(Exists(ProjectLink.objects.filter(contracts=OuterRef("pk"), **lookups)))


def participants_of(contract: Contract) -> QuerySet[Participant]:
    """The hired trainer, and each participant who has or had access under the contract."""
    return Participant.objects.filter(
        Q(pk=contract.trainer_id)
        | Exists(AccessGrant.objects.filter(contract=contract, participant=OuterRef("pk")))
    )


class GrantViewSet(TenantViewSet):
    """Access grants."""

    def retry(self, request: Request, pk: int) -> Response:
        """Retry the access grant now."""
        self.no_body()
        grant = self._grant(pk)
        grants.retry_now(AccessGrant.objects.filter(pk=grant.pk))
        return Response(GrantSerializer(self._grant(pk)).data, status=202)

    def give_again(self, request: Request, pk: int) -> Response:
        """Give access again to a trainer whom a person has removed on this site by hand."""
        self.no_body()
        grant = self._grant(pk)
        grants.give_again(AccessGrant.objects.filter(pk=grant.pk))
        return Response(GrantSerializer(self._grant(pk)).data, status=202)

    def use_account(self, request: Request, pk: int) -> Response:
        """Let a trainer use the account of the customer's that has their Work Email, on the customer's projects."""
        self.no_body()
        grant = self._grant(pk)
        bindings.bind_for_customer(grant, request.user.pk)
        return Response(GrantSerializer(self._grant(pk)).data, status=202)

    def invite(self, request: Request, pk: int) -> Response:
        """Send the trainer the link for their first login again."""
        self.no_body()
        grant = self._grant(pk)
        invitations.resend(grant)
        return Response(GrantSerializer(self._grant(pk)).data)

    def _grant(self, pk: int) -> AccessGrant:
        rows = AccessGrant.objects.with_invitation().filter(contract__install__tenant=self.tenant)
        return self.own(rows.select_related("participant", "link__install"), pk)
