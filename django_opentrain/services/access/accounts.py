"""Accounts of the host's: whether one is a trainer's, with access now."""

from __future__ import annotations

from django.db.models import QuerySet

from django_opentrain.models import AccessGrant
from django_opentrain.models.access import AccessGrantQuerySet


def is_trainer(user: object) -> bool:
    """Whether this account is a trainer's who has access to any project now. One query. Raises no error of its own.

    :param user: the user, or your key of their account: what ``grant_access`` returns.
    """
    return _given(user).exists()


def grant_of(user: object, external_project_id: object) -> QuerySet[AccessGrant]:
    """The grant by which this account has had access to the project for longest; none if it has none."""
    given = _given(user).filter(opened_project_id=str(external_project_id), granted_at__isnull=False)
    return given.order_by("granted_at", "pk")[:1]


def _given(user: object) -> AccessGrantQuerySet:
    """The grants by which this account has access now; an anonymous user has no key."""
    key = getattr(user, "pk", user)
    granted = AccessGrant.objects.filter(state=AccessGrant.State.GRANTED).exclude(host_user_ref="")
    # No none(), which is no SQL: the ledger's INSERT is made of it.
    return granted.filter(host_user_ref="" if key is None else str(key))
