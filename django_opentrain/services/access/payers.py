"""Which contract pays for a trainer's work: at any time (``hours_of``), and now (``contract_for``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from django_opentrain.models import AccessGrant, Contract
from django_opentrain.models.access import AccessGrantQuerySet
from django_opentrain.services.access.accounts import grant_of
from django_opentrain.services.access.hours import END, Hours, Span, paid, payer


class Place(NamedTuple):
    """Where one trainer works for one customer."""

    opentrain_user_id: str
    tenant: str
    external_project_id: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Place:
        """The place that a grant opens."""
        return cls(row["trainer"], row["tenant"], row["opened_project_id"] or row["linked_project_id"])


def contract_for(user: object, project_id: object) -> Contract | None:
    """The contract that pays for what this account does in this project now, by the rule by which work is reported.

    None for people who are not trainers with access to it: that takes one query, all else three. Raises no error of
    its own.

    :param user: the user, or your key of their account: what ``grant_access`` returns.
    """
    grant = grant_of(user, project_id).select_related("participant", "link__install").first()
    if grant is None:
        return None
    same = AccessGrant.objects.of_project(grant.tenant, grant.external_project_id)
    trainer = grant.participant.opentrain_user_id
    spans = [span for _row, span in _spans(same.filter(participant__opentrain_user_id=trainer)) if span]
    if not spans:
        return None
    paying = Contract.objects.filter(pk=payer(spans, timezone.now()))
    return paying.select_related("install").first()


def hours_of(contract: Contract) -> dict[Place, list[Hours]]:
    """By place of work: the times during which this contract pays for it."""
    trainers = AccessGrant.objects.filter(contract=contract).values("participant__opentrain_user_id")
    places: set[Place] = set()
    spans: defaultdict[Place, set[Span]] = defaultdict(set)
    for row, span in _spans(AccessGrant.objects.filter(participant__opentrain_user_id__in=trainers)):
        place = Place.of(row)
        if row["contract_id"] == contract.pk:
            places.add(place)
        if span is not None:
            spans[place].add(span)
    return {
        place: [hours for hours in paid(list(spans[place])) if hours.contract == contract.pk]
        for place in places
        if place in spans
    }


def _spans(grants: AccessGrantQuerySet) -> Iterator[tuple[Mapping[str, Any], Span | None]]:
    """Where these give, gave or are to give access, and when those contracts were active.

    A contract that two installs knew pays once, by the record of the newer one: the other has no time.
    """
    rows = grants.values(
        "contract_id",
        "opened_project_id",
        trainer=F("participant__opentrain_user_id"),
        tenant=F("link__install__tenant"),
        linked_project_id=F("link__external_project_id"),
        begin=Coalesce("contract__start_at", "contract__created_at"),
        end=F("contract__end_at"),
        ended=F("contract__ended_at"),
        revoked=F("contract__install__revoked_at"),
        newer=F("contract__install__superseded_by"),
    )
    for row in rows:
        yield row, _span(row) if row["newer"] is None else None


def _span(row: Mapping[str, Any]) -> Span:
    """When a contract was active: as OpenTrain says, or else as it was learned; at most until its connection ended.

    It doesn't end later than its end was learned, whatever day was planned.
    """
    ends = [row["ended"], row["revoked"], row["end"] if row["ended"] else None]
    end = min((each for each in ends if each is not None), default=END)
    return Span(contract=row["contract_id"], begin=row["begin"], end=max(row["begin"], end))
