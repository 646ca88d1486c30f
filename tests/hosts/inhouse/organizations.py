"""For which of a person's organizations a page acts: the one that was chosen in this session."""

from __future__ import annotations

from typing import Final

from django.db.models import QuerySet
from django.http import HttpRequest

from tests.hosts.inhouse.models import Organization

SESSION_KEY: Final = "organization"


def of(request: HttpRequest) -> QuerySet[Organization]:
    """All that the user belongs to."""
    if not request.user.is_authenticated:
        return Organization.objects.none()
    return Organization.objects.filter(memberships__user=request.user.pk).order_by("pk")


def current(request: HttpRequest) -> Organization | None:
    """The chosen one, or the first."""
    mine = of(request)
    chosen = request.session.get(SESSION_KEY, 0)
    return mine.filter(pk=chosen).first() or mine.first()
