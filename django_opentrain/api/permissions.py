"""Permissions: users who manage their tenant may call."""

from __future__ import annotations

from typing import Protocol, cast

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from django_opentrain.adapters import get_adapter
from django_opentrain.api.authentication import django_request


class _OfTenant(Protocol):
    @property
    def tenant(self) -> str: ...


class CanManageTenant(IsAuthenticated):
    """The user is logged in, and the adapter says that they manage their tenant.

    A host that replaces this class decides who may call; the adapter's ``get_tenant`` still decides on which tenant's
    rows a call acts.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not super().has_permission(request, view):
            return False
        return get_adapter().can_manage(django_request(request), cast("_OfTenant", view).tenant)
