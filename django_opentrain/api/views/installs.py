"""Installs: connecting, and a connection's status."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from django_opentrain.api.aggregates import count
from django_opentrain.api.authentication import django_request
from django_opentrain.api.serializers.installs import (
    ConnectRequest,
    InstallQuery,
    InstallSerializer,
    TokenRequest,
)
from django_opentrain.api.viewsets import TenantViewSet
from django_opentrain.errors import ReconnectRequired
from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install, ProjectLink
from django_opentrain.services import connect, reconcile
from django_opentrain.services.workers import retries


class InstallViewSet(TenantViewSet):
    """The tenant's connections to OpenTrain."""

    def list(self, request: Request) -> Response:
        """All connections, including ended ones."""
        query = self.query(InstallQuery)
        return self.listing(self.page(self._rows(), query), InstallSerializer)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One connection: its status, and the result of the last reconciliation."""
        return self._shown(pk)

    def connect(self, request: Request) -> Response:
        """The URL to which to send the customer's browser, to approve the connection on OpenTrain."""
        given = self.body(ConnectRequest)
        url = connect.begin(
            django_request(request),
            given.get("external_project_id"),
            given.get("next_url"),
            tenant=self.named_tenant or None,
        )
        return Response({"consentUrl": url})

    def token(self, request: Request) -> Response:
        """Submit the token that OpenTrain showed the customer. Returns the connected install."""
        given = self.body(TokenRequest)
        waiting = self._waiting(given.get("install_id"))
        return self._shown(connect.capture_token(waiting, given["token"]).pk)

    def verify(self, request: Request, pk: int) -> Response:
        """Ask OpenTrain whether the connection works; if so, one that was refused becomes active again."""
        self.no_body()
        connect.verify(self._mine(pk))
        return self._shown(pk)

    def disconnect(self, request: Request, pk: int) -> Response:
        """End the connection here: access ends now, the last usage is still reported."""
        self.no_body()
        connect.disconnect(self._mine(pk))
        return self._shown(pk)

    def reconcile(self, request: Request, pk: int) -> Response:
        """Sync with OpenTrain soon: `reconcileDueAt` is set until it is done, then `reconciledAt`."""
        self.no_body()
        install = self._mine(pk)
        if not install.is_live:
            raise ReconnectRequired
        retries.request_reconcile(install)
        return self._shown(pk, status=202)

    def confirm_removals(self, request: Request, pk: int) -> Response:
        """Confirm the removals that were held because they are unusually many."""
        self.no_body()
        reconcile.confirm_removals(self._mine(pk))
        return self._shown(pk, status=202)

    def _mine(self, pk: int) -> Install:
        return self.own(Install.objects.filter(tenant=self.tenant), pk)

    def _waiting(self, pk: int | None) -> Install:
        """The install that the token is for."""
        if pk is None:
            # The permission class requires a login.
            return connect.unsaved_install(cast("AbstractBaseUser", self.request.user), self.tenant)
        pending = Install.objects.filter(tenant=self.tenant, status=Install.Status.PENDING, pk=pk).first()
        if pending is None:
            raise ValidationError({"installId": [_("This connection isn't waiting for a token.")]})
        return pending

    def _rows(self) -> QuerySet[Install]:
        return with_counts(Install.objects.filter(tenant=self.tenant))

    def _shown(self, pk: int, status: int = 200) -> Response:
        return Response(InstallSerializer(self.own(self._rows(), pk)).data, status=status)


def with_counts(installs: QuerySet[Install]) -> QuerySet[Install]:
    """With the counts that ``InstallCounts`` shows, in the same query."""
    usage = DailyUsage.objects.all()
    return installs.annotate(
        link_count=count(ProjectLink.objects.live(), "install"),
        contract_count=count(Contract.objects.active(), "install"),
        unsettled_grants=count(AccessGrant.objects.unsettled(), "contract__install"),
        usage_due=count(usage.filter(status=DailyUsage.Status.DUE), "contract__install"),
        usage_refused=count(usage.filter(status=DailyUsage.Status.REFUSED), "contract__install"),
    )
