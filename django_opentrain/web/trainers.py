"""Which trainer a request's user is, and what is theirs."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest

from django_opentrain.adapters import get_adapter
from django_opentrain.models import AccessGrant, Contract, TrainerAccount
from django_opentrain.models.contracts import ContractQuerySet


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """A trainer who is logged in.

    :param tenant: the customer by whose word this account is theirs, and whose contracts alone they see; "": all.
    """

    opentrain_user_id: str
    tenant: str = ""

    def contracts(self) -> ContractQuerySet:
        """The contracts under which they were hired, or had access."""
        given = AccessGrant.objects.filter(
            contract=OuterRef("pk"), participant__opentrain_user_id=self.opentrain_user_id
        )
        rows = Contract.objects.filter(
            Q(trainer__opentrain_user_id=self.opentrain_user_id) | Q(Exists(given))
        )
        return rows.filter(install__tenant=self.tenant) if self.tenant else rows


def trainer_of(request: HttpRequest) -> Trainer | None:
    """The trainer whose account this request's user has; None if it is no trainer's."""
    if isinstance(request.user, get_user_model()):
        account = TrainerAccount.objects.filter(user=request.user.pk).first()
        if account is not None:
            return Trainer(opentrain_user_id=account.opentrain_user_id, tenant=account.bound_for)
    return _with_access(get_adapter().account_key(request))


def _with_access(account_key: str | None) -> Trainer | None:
    """By the grants that are open now, or paused: where keys of deleted accounts are used again, an old one may be
    another's.
    """
    if not account_key:
        return None
    current = (AccessGrant.State.GRANTED, AccessGrant.State.PAUSED)
    granted = AccessGrant.objects.filter(host_user_ref=str(account_key), state__in=current)
    found = granted.order_by().values_list("participant__opentrain_user_id", flat=True).distinct()[:2]
    keys = list(found)
    return Trainer(opentrain_user_id=keys[0]) if len(keys) == 1 else None
