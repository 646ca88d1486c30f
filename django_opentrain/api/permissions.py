"""Permissions: users who manage their tenant may call; those who may view it, what only shows."""

from __future__ import annotations

from typing import Protocol, cast

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from django_opentrain.adapters import get_adapter
from django_opentrain.adapters.tenants import may_view
from django_opentrain.api.authentication import django_request


class RefusedByPolicy(PermissionDenied):
    """The adapter's ``check_request`` refuses the request; its sentence is for the caller."""


class _OfTenant(Protocol):
    @property
    def tenant(self) -> str: ...


class CanManageTenant(IsAuthenticated):
    """The user is logged in, and the adapter says that they manage their tenant, or for GET that they may view it.

    A host that replaces this class decides who may call; the adapter's ``get_tenant`` still decides on which tenant's
    rows a call acts.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not super().has_permission(request, view):
            return False
        allows = may_view if request.method in SAFE_METHODS else get_adapter().can_manage
        return allows(django_request(request), cast("_OfTenant", view).tenant)
