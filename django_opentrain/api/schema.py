"""The API's OpenAPI description, for hosts with drf-spectacular: with `components` the only module that imports it.

It annotates the views from outside, when a schema is generated, so that for a host with another generator, or none,
they are plain REST framework views.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiViewExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    Direction,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.views import APIView

from django_opentrain.api.components import describe_defaults, name_enums
from django_opentrain.api.exceptions import CODES
from django_opentrain.api.serializers.base import CamelSerializer, PageQuery
from django_opentrain.api.serializers.contracts import (
    BudgetSerializer,
    ContractQuery,
    ContractSerializer,
    GrantSerializer,
    ParticipantList,
)
from django_opentrain.api.serializers.installs import (
    ConnectRequest,
    ConsentUrl,
    InstallQuery,
    InstallSerializer,
    TokenRequest,
)
from django_opentrain.api.serializers.links import LinkChanges, LinkQuery, LinkRequest, LinkSerializer
from django_opentrain.api.serializers.usage import UsageAccepted, UsagePage, UsageQuery, UsageRequest
from django_opentrain.api.serializers.webhooks import (
    EndpointQuery,
    EndpointSerializer,
    EventQuery,
    EventSerializer,
    Redelivered,
    RedeliverRequest,
    RotateRequest,
)
from django_opentrain.api.serializers.work import ObjectionQuery, ObjectionSerializer, WorkPage, WorkQuery
from django_opentrain.api.views.contracts import ContractViewSet, GrantViewSet
from django_opentrain.api.views.installs import InstallViewSet
from django_opentrain.api.views.links import ProjectLinkViewSet
from django_opentrain.api.views.usage import UsageViewSet
from django_opentrain.api.views.webhooks import EventViewSet, WebhookEndpointViewSet
from django_opentrain.api.views.work import ObjectionViewSet, WorkViewSet
from django_opentrain.api.viewsets import CUSTOMER_HEADER, TenantViewSet

TAG: Final = "OpenTrain"
PREFIX: Final = "OpenTrain"


class ErrorSerializer(CamelSerializer):
    """What went wrong, in OpenTrain's own envelope."""

    error = serializers.CharField(help_text="A sentence for people.")
    code = serializers.ChoiceField(sorted(CODES))
    request_id = serializers.CharField(help_text="OpenTrain's, if OpenTrain refused.")
    details = serializers.DictField(
        help_text="For an invalid request: by the path of each invalid field, sentences for people."
    )


#: What every call can answer.
ALWAYS: Final = {401: "Not logged in.", 403: "Not allowed: `FORBIDDEN`, `CSRF_FAILED`."}
NOT_FOUND: Final = {404: "There is no such row of the tenant's."}
INVALID: Final = {400: "Not valid: see `details`."}
BODY: Final = {
    **INVALID,
    413: "The body is too long.",
    415: "The body is not `application/json`.",
}
OPENTRAIN: Final = {
    403: "Not allowed: `FORBIDDEN`, `CSRF_FAILED`, or by OpenTrain: `MISSING_SCOPE`, `OPENTRAIN_FORBIDDEN`.",
    404: "There is no such row of the tenant's; or not on OpenTrain: `OPENTRAIN_NOT_FOUND`.",
    409: "`CONFLICT`, `RECONNECT_REQUIRED`, `SECRET_UNREADABLE`, or `BUSY` (then with Retry-After).",
    429: "Rate limited by OpenTrain.",
    503: "OpenTrain can't be reached.",
}
ENDED: Final = {409: "`RECONNECT_REQUIRED`: the connection has ended."}
CUSTOMER: Final = OpenApiParameter(
    CUSTOMER_HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="For which customer, percent-encoded, where the caller acts for several.",
)
RETRY_AFTER: Final = OpenApiParameter(
    "Retry-After",
    OpenApiTypes.INT,
    OpenApiParameter.HEADER,
    description="Seconds.",
    response=[429, 503],
)


def operation(
    name: str,
    answers: Mapping[int, type[serializers.Serializer[Any]]],
    *errors: Mapping[int, str],
    request: type[serializers.Serializer[Any]] | None = None,
    query: type[serializers.Serializer[Any]] | None = None,
) -> Any:
    """One operation: its id, its responses, and its errors."""
    failures = {status: text for group in (ALWAYS, *errors) for status, text in group.items()}
    responses: dict[int, Any] = dict(answers)
    for status, text in sorted(failures.items()):
        responses[status] = OpenApiResponse(ErrorSerializer, description=text)
    parameters: list[Any] = [CUSTOMER, RETRY_AFTER] if 429 in failures else [CUSTOMER]
    return extend_schema(
        operation_id=f"opentrain_{name}",
        tags=[TAG],
        request=request,
        parameters=[*parameters, query] if query else parameters,
        responses=responses,
    )


def listed(serializer: type[CamelSerializer]) -> type[serializers.Serializer[Any]]:
    """A page of these."""
    members = {
        "results": serializer(many=True),
        "next_cursor": serializers.CharField(
            allow_null=True, help_text="`cursor` of the next page; null on the last one."
        ),
    }
    name = serializer.__name__.removesuffix("Serializer")
    page: type[CamelSerializer] = type(f"{name}Page", (CamelSerializer,), members)
    return extend_schema_serializer(many=False)(page)


def _copy(method: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of the method, for annotations that the view itself must not have."""

    @wraps(method)
    def copy(self: TenantViewSet, *args: Any, **kwargs: Any) -> Any:
        return method(self, *args, **kwargs)

    return copy


def annotate(viewset: type[TenantViewSet], **operations: Any) -> None:
    """Describe a view and the policies' subclasses of it."""

    def view_replacement(extension: OpenApiViewExtension) -> type[APIView]:
        view: type[TenantViewSet] = extension.target
        described = {name: describe(_copy(getattr(view, name))) for name, describe in operations.items()}
        own: type[APIView] = type(view.__name__, (view,), {"__doc__": view.__doc__, **described})
        return own

    # Registers itself.
    type(
        f"{viewset.__name__}Description",
        (OpenApiViewExtension,),
        {"target_class": viewset, "match_subclasses": True, "view_replacement": view_replacement},
    )


class SessionDescription(SessionScheme):  # type: ignore[no-untyped-call] # drf-spectacular's registry is untyped
    """Our subclass is described as a session, too."""

    target_class = "django_opentrain.api.authentication.SessionAuthentication"
    # Not drf-spectacular's: a host's own session authentication has it, and one name is one class's.
    name = "opentrainSession"


class ComponentNames(OpenApiSerializerExtension):  # type: ignore[no-untyped-call] # as above
    """Names that don't collide with a host's own."""

    target_class = CamelSerializer
    match_subclasses = True

    def get_name(self, auto_schema: AutoSchema, direction: Direction) -> str:
        name = getattr(self.target, "__name__", type(self.target).__name__)
        return PREFIX + name.removesuffix("Serializer")

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        # The base class's would describe CamelSerializer, not its subclass.
        mapped: dict[str, Any] = auto_schema._map_serializer(  # type: ignore[no-untyped-call] # noqa: SLF001 - as there
            self.target, direction, bypass_extensions=True
        )
        properties = mapped.get("properties", {})
        describe_defaults(properties)
        # A query becomes parameters, which are no component.
        if not isinstance(self.target, PageQuery):
            # One name for what is read and what is sent.
            prefix = self.get_name(auto_schema, direction).removesuffix("Request")
            name_enums(properties, prefix, auto_schema.registry)
        return mapped


annotate(
    InstallViewSet,
    list=operation("installs", {200: listed(InstallSerializer)}, INVALID, query=InstallQuery),
    retrieve=operation("install", {200: InstallSerializer}, NOT_FOUND),
    connect=operation("connect", {200: ConsentUrl}, BODY, request=ConnectRequest),
    token=operation("give_token", {200: InstallSerializer}, BODY, OPENTRAIN, request=TokenRequest),
    verify=operation("verify", {200: InstallSerializer}, BODY, OPENTRAIN),
    disconnect=operation("disconnect", {200: InstallSerializer}, BODY, NOT_FOUND),
    reconcile=operation("reconcile", {202: InstallSerializer}, BODY, NOT_FOUND, ENDED),
    confirm_removals=operation("confirm_removals", {202: InstallSerializer}, BODY, NOT_FOUND, ENDED),
)
annotate(
    ProjectLinkViewSet,
    list=operation("project_links", {200: listed(LinkSerializer)}, INVALID, query=LinkQuery),
    retrieve=operation("project_link", {200: LinkSerializer}, NOT_FOUND),
    create=operation(
        "link_project", {201: LinkSerializer, 202: LinkSerializer}, BODY, OPENTRAIN, request=LinkRequest
    ),
    partial_update=operation(
        "change_link",
        {200: LinkSerializer},
        BODY,
        NOT_FOUND,
        {409: "`CONFLICT`: it was unlinked. `BUSY` (then with Retry-After)."},
        request=LinkChanges,
    ),
    destroy=operation("unlink_project", {200: LinkSerializer, 202: LinkSerializer}, NOT_FOUND, ENDED),
)
annotate(
    ContractViewSet,
    list=operation("contracts", {200: listed(ContractSerializer)}, INVALID, query=ContractQuery),
    retrieve=operation("contract", {200: ContractSerializer}, NOT_FOUND),
    participants=operation("participants", {200: ParticipantList}, NOT_FOUND),
    budget=operation("budget", {200: BudgetSerializer}, NOT_FOUND),
)
annotate(
    UsageViewSet,
    list=operation(
        "usage",
        {200: extend_schema_serializer(many=False)(UsagePage)},
        INVALID,
        NOT_FOUND,
        query=UsageQuery,
    ),
    create=operation("report_usage", {202: UsageAccepted}, BODY, NOT_FOUND, request=UsageRequest),
)
annotate(
    WorkViewSet,
    list=operation(
        "work",
        {200: extend_schema_serializer(many=False)(WorkPage)},
        INVALID,
        NOT_FOUND,
        query=WorkQuery,
    ),
)
annotate(
    ObjectionViewSet,
    list=operation(
        "objections", {200: listed(ObjectionSerializer)}, INVALID, NOT_FOUND, query=ObjectionQuery
    ),
)
annotate(
    GrantViewSet,
    retry=operation("retry_grant", {202: GrantSerializer}, BODY, NOT_FOUND),
    give_again=operation("give_access_again", {202: GrantSerializer}, BODY, NOT_FOUND),
    use_account=operation(
        "use_account",
        {202: GrantSerializer},
        BODY,
        NOT_FOUND,
        {409: "`CONFLICT`: no account waits for consent, or the customer may not give it."},
    ),
    invite=operation(
        "invite_trainer",
        {200: GrantSerializer},
        BODY,
        NOT_FOUND,
        {409: "`CONFLICT`: there is no such link to send, or the mail could not be sent."},
    ),
)
annotate(
    WebhookEndpointViewSet,
    list=operation("webhook_endpoints", {200: listed(EndpointSerializer)}, INVALID, query=EndpointQuery),
    retrieve=operation("webhook_endpoint", {200: EndpointSerializer}, NOT_FOUND),
    recover=operation("recover_endpoint", {200: EndpointSerializer}, BODY, OPENTRAIN),
    pause=operation("pause_endpoint", {200: EndpointSerializer}, BODY, OPENTRAIN),
    rotate=operation("rotate_secret", {201: EndpointSerializer}, BODY, OPENTRAIN, request=RotateRequest),
    redeliver=operation("redeliver", {202: Redelivered}, BODY, OPENTRAIN, request=RedeliverRequest),
)
annotate(
    EventViewSet,
    list=operation("events", {200: listed(EventSerializer)}, INVALID, query=EventQuery),
    retrieve=operation("event", {200: EventSerializer}, NOT_FOUND),
    replay=operation(
        "replay_event", {202: EventSerializer}, BODY, NOT_FOUND, {409: "`CONFLICT`: its body was deleted."}
    ),
)
