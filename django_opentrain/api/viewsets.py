"""The base class of the API's views: it sets everything that a host's ``REST_FRAMEWORK`` defaults would decide.

To change who may call, or how often, a host mixes a class of its own into all views: ``urls.api_urls``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from django.db.models import Expression, F, Model, QuerySet
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.decorators import classonlymethod
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from django_opentrain.adapters.tenants import refusal_of, tenants_of
from django_opentrain.api import exceptions
from django_opentrain.api.authentication import SessionAuthentication, django_request
from django_opentrain.api.negotiation import AlwaysJSON
from django_opentrain.api.pagination import BY_ID, LARGEST_ID, Page, page
from django_opentrain.api.parsers import ApiParser
from django_opentrain.api.permissions import CanManageTenant, RefusedByPolicy
from django_opentrain.api.renderers import ApiRenderer
from django_opentrain.api.serializers.base import (
    CamelSerializer,
    EmptySerializer,
    PageQuery,
    StrictSerializer,
)
from django_opentrain.errors import ReconnectRequired
from django_opentrain.models import Install
from django_opentrain.view_decorators import keep_csrf_checks, never_atomic, open_to_anonymous

#: Names the customer, where the caller acts for several.
CUSTOMER_HEADER: Final = "OpenTrain-Customer"

M = TypeVar("M", bound=Model)
Q = TypeVar("Q", bound=PageQuery)


class TenantViewSet(ViewSetMixin, APIView):
    """A resource of the caller's tenant. Another tenant's rows are not found."""

    authentication_classes = [SessionAuthentication]
    permission_classes: list[type[BasePermission]] = [CanManageTenant]
    throttle_classes: list[type[BaseThrottle]] = []
    renderer_classes = [ApiRenderer]
    parser_classes = [ApiParser]
    content_negotiation_class = AlwaysJSON
    metadata_class = None
    versioning_class = None

    @classonlymethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:  # noqa: N805 - a class method
        return keep_csrf_checks(never_atomic(open_to_anonymous(super().as_view(actions, **initkwargs))))

    def get_exception_handler(self) -> Callable[[Exception, Mapping[str, Any]], Response | None]:
        """Ours: a host's may send clients ``str(exc)``, or call the view again."""
        return exceptions.handle

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Any:
        """Responses are private to the caller, and 304 for a front end that polls while nothing changes."""
        final = super().finalize_response(request, response, *args, **kwargs)
        final["X-Content-Type-Options"] = "nosniff"
        if request.method not in ("GET", "HEAD") or final.status_code != 200:
            patch_cache_control(final, no_store=True)
            return final
        patch_cache_control(final, private=True, no_cache=True)
        return _conditional(request, final)

    def check_permissions(self, request: Request) -> None:
        """Raises ``RefusedByPolicy`` where the adapter's ``check_request`` refuses, and as REST framework does.

        Whatever permission classes a host sets: pages and API have one policy.
        """
        # A host's UNAUTHENTICATED_USER can be None.
        if getattr(request.user, "is_authenticated", False):
            refusal = refusal_of(django_request(request))
            if refusal:
                raise RefusedByPolicy(refusal)
        super().check_permissions(request)

    # What views need ----------------------------------------------------------------------------

    @cached_property
    def tenant(self) -> str:
        """The customer for whom the caller acts: the one that a header names, or the current one.

        Raises ``NotAuthenticated`` or ``PermissionDenied`` without one, or for one that isn't the caller's.
        """
        # A host's UNAUTHENTICATED_USER can be None, which no adapter expects.
        has_user = self.request.user is not None
        tenants = tenants_of(django_request(self.request)) if has_user else ()
        tenant = self.named_tenant or next(iter(tenants), None)
        if tenant is None or tenant not in tenants:
            self.permission_denied(self.request)
        return tenant

    @property
    def named_tenant(self) -> str:
        """The customer that the header names, percent-encoded as headers are ASCII; "" without it."""
        return unquote(self.request.headers.get(CUSTOMER_HEADER, ""))

    def own(self, rows: QuerySet[M], pk: int) -> M:
        """The row with this key among ``rows``, which are the tenant's. Raises ``NotFound``."""
        row = rows.filter(pk=pk).first() if pk <= LARGEST_ID else None
        if row is None:
            raise NotFound
        return row

    def body(self, serializer: type[StrictSerializer], **context: Any) -> dict[str, Any]:
        """The validated body, in Python's names. Raises ``ValidationError``."""
        fields: dict[str, Any] = _validated(
            serializer(data=self.request.data, context=context)
        ).validated_data
        return fields

    def no_body(self) -> None:
        """This action takes nothing. Raises ``ValidationError`` when something is sent."""
        self.body(EmptySerializer)

    def query(self, serializer: type[Q]) -> Q:
        """The validated query string. Raises ``ValidationError``."""
        return _validated(serializer(data=self.request.query_params.dict()))

    def page(
        self, rows: QuerySet[M], query: PageQuery, keys: Mapping[str, Expression | F] = BY_ID
    ) -> Page[M]:
        """The page of ``rows`` that the query asks for. Raises ``ValidationError`` for an invalid cursor."""
        parameters = query.validated_data
        return page(
            rows.filter(**query.filters()),
            keys,
            ordering=parameters["ordering"],
            cursor=parameters["cursor"],
            limit=parameters["limit"],
        )

    def listing(self, part: Page[Any], serializer: type[CamelSerializer]) -> Response:
        """One page of a list."""
        return Response({"results": serializer(part.rows, many=True).data, "nextCursor": part.next_cursor})

    def live_install(self, pk: int | None) -> Install:
        """The tenant's live install with this key, or the only one they have. Raises ``ValidationError``."""
        live = Install.objects.live().filter(tenant=self.tenant).order_by("-pk")
        candidates = list((live if pk is None else live.filter(pk=pk))[:2])
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise ValidationError({"installId": [_("You have several active connections: specify one.")]})
        if pk is not None:
            raise ValidationError({"installId": [_("Unknown connection.")]})
        raise ReconnectRequired(_("Connect to OpenTrain first."))


class NothingHere(TenantViewSet):
    """A URL that doesn't exist."""

    schema = None
    permission_classes = []

    def answer(self, request: Request, **kwargs: object) -> Response:
        """Raises ``NotFound``."""
        raise NotFound


S = TypeVar("S", bound=StrictSerializer)


def _validated(serializer: S) -> S:
    serializer.is_valid(raise_exception=True)
    return serializer


def _conditional(request: Request, response: HttpResponseBase) -> HttpResponseBase:
    """304 if the client already has this response.

    The ETag is a hash of the content, not a table's newest ``updated_at``: queryset updates don't change that, and a
    response has rows of several tables.
    """
    if not isinstance(response, Response):
        return response
    content = response.render().content
    etag = f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
    response["ETag"] = etag
    return get_conditional_response(django_request(request), etag=etag, response=response) or response
