"""Webhook endpoints and events."""

from __future__ import annotations

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from django_opentrain.api.serializers.webhooks import (
    EndpointQuery,
    EndpointSerializer,
    EventQuery,
    EventSerializer,
    Redelivered,
    RedeliverRequest,
    RotateRequest,
)
from django_opentrain.api.viewsets import TenantViewSet
from django_opentrain.errors import OperationRefused
from django_opentrain.models import WebhookEndpoint, WebhookEvent
from django_opentrain.services import endpoints, inbox


class WebhookEndpointViewSet(TenantViewSet):
    """Where OpenTrain sends the tenant's events."""

    def list(self, request: Request) -> Response:
        """Endpoints that exist or are being created."""
        return self.listing(self.page(self._rows(), self.query(EndpointQuery)), EndpointSerializer)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One endpoint and its health."""
        return self._shown(self.own(self._rows(), pk))

    def recover(self, request: Request, pk: int) -> Response:
        """Re-enable it, have failed deliveries sent again, and find what was missed."""
        self.no_body()
        return self._shown(endpoints.recover(self.own(self._rows(), pk)))

    def pause(self, request: Request, pk: int) -> Response:
        """Disable it until it is re-enabled."""
        self.no_body()
        return self._shown(endpoints.pause(self.own(self._rows(), pk)))

    def rotate(self, request: Request, pk: int) -> Response:
        """Replace it by one with a new secret, which is returned. Both work until the old one's retries are over.

        With ``compromised``, the old one is refused at once, and a sync finds what is lost with it.
        """
        compromised = self.body(RotateRequest)["compromised"]
        endpoint = self.own(self._rows(), pk)
        return self._shown(endpoints.rotate_secret(endpoint, compromised=compromised), status=201)

    def redeliver(self, request: Request, pk: int) -> Response:
        """Have failed deliveries sent again. OpenTrain does so only for an active endpoint."""
        given = self.body(RedeliverRequest)
        done = endpoints.redeliver(self.own(self._rows(), pk), given.get("delivery_id"))
        return Response(Redelivered(done).data, status=202)

    def _rows(self) -> QuerySet[WebhookEndpoint]:
        return WebhookEndpoint.objects.live().filter(install__tenant=self.tenant).select_related("install")

    def _shown(self, endpoint: WebhookEndpoint, status: int = 200) -> Response:
        return Response(EndpointSerializer(endpoint).data, status=status)


class EventViewSet(TenantViewSet):
    """The received events."""

    def list(self, request: Request) -> Response:
        """Events, the newest first."""
        return self.listing(self.page(self._rows(), self.query(EventQuery)), EventSerializer)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One event and its status."""
        return Response(EventSerializer(self.own(self._rows(), pk)).data)

    def replay(self, request: Request, pk: int) -> Response:
        """Process it again."""
        self.no_body()
        event = self.own(self._rows(), pk)
        if not inbox.replay(WebhookEvent.objects.filter(pk=event.pk)):
            raise OperationRefused(
                _("The body of this event has been deleted: its retention period is over.")
            )
        return Response(EventSerializer(self.own(self._rows(), pk)).data, status=202)

    def _rows(self) -> QuerySet[WebhookEvent]:
        mine = WebhookEvent.objects.filter(endpoint__install__tenant=self.tenant)
        # A body can have 256 kB, and is not shown.
        there = ExpressionWrapper(Q(body__isnull=False), output_field=BooleanField())
        return mine.defer("body").annotate(replayable=there)
