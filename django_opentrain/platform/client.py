"""The typed client of OpenTrain's Platform API: its 15 operations, and its spec.

Source: OpenTrain's developer documentation, "API reference".
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import requests

from django_opentrain.platform import catalog, envelopes, limits, operations
from django_opentrain.platform.connections import build_session
from django_opentrain.platform.credentials import BearerToken
from django_opentrain.platform.errors import MissingScope, OpenTrainError, UnusableResponse
from django_opentrain.platform.operations import Operation
from django_opentrain.platform.resources import (
    BudgetInfo,
    ContractInfo,
    CreatedWebhookEndpoint,
    InstallInfo,
    MalformedResource,
    ParticipantInfo,
    ProjectLinkInfo,
    Redelivery,
    UsageEntry,
    UsageResult,
    WebhookEndpointInfo,
)
from django_opentrain.platform.responses import Success
from django_opentrain.platform.tracebacks import without_locals
from django_opentrain.platform.transport import Call, OnRequest, Transport
from django_opentrain.platform.values import Fields

__all__ = ["Observer", "PlatformClient", "build_session"]

Result = TypeVar("Result")


class Observer(Protocol):
    """Is notified of each operation that needs a token, so that a dead or limited one isn't used."""

    def before_call(self) -> None:
        """May raise an ``OpenTrainError``: then no request is made."""

    def after_call(self, error: OpenTrainError | None) -> None:
        """Called once per operation that was allowed to start, with its final outcome."""


class PlatformClient:
    """What one install's token may do.

    Every method raises an ``OpenTrainError``: ``InvalidRequest`` before anything is sent, ``MissingScope``
    likewise when the install's scopes are known, and whatever ``errors`` lists after that. GET, DELETE and
    usage reports are retried after lost connections, 429 and 5xx; the other writes are sent once: where their
    error has ``outcome_unknown``, look before sending them again.

    :param base_url: OpenTrain's origin, e.g. ``https://app.opentrain.ai``.
    :param token: the install's ``ot_ptk_…``; "" will do for ``get_openapi`` alone.
    :param connect_timeout: seconds, for each address that OpenTrain's name has.
    :param read_timeout: seconds for the whole response, from its request to its last byte.
    :param max_retries: retries of an idempotent operation, as far as ``deadlines.MAX_CALL_SECONDS`` allow.
    :param session: shared connections (``build_session``); an own pool when left out.
    :param scopes: what the customer granted; None when that isn't known.
    :param on_request: is passed each request's status and duration, retries included (``transport.OnRequest``).
    :param sleep: waits between retries.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        connect_timeout: float = 3.05,
        read_timeout: float = 20,
        max_retries: int = 3,
        session: requests.Session | None = None,
        scopes: Collection[str] | None = None,
        observer: Observer | None = None,
        on_request: OnRequest | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        credentials = BearerToken(token)
        del token  # so that no error page that prints local variables shows it
        self._transport = Transport(
            base_url,
            credentials,
            timeout=(connect_timeout, read_timeout),
            max_retries=max_retries,
            session=session or build_session(),
            sleep=sleep,
            on_request=on_request,
        )
        self._scopes = None if scopes is None else frozenset(scopes)
        self._observer = observer

    # The install and the spec ------------------------------------------------------------------

    def get_install(self) -> InstallInfo:
        """The install that the token belongs to."""
        return self._call(operations.GET_INSTALL, envelopes.member("install", InstallInfo.from_json))

    def get_openapi(self) -> dict[str, Any]:
        """OpenTrain's served spec. Sends no token; the observer isn't notified."""
        operation = operations.GET_OPENAPI
        return self._perform(Call(operation, operation.path), envelopes.whole(_spec))

    # Project links -----------------------------------------------------------------------------

    def list_project_links(self) -> list[ProjectLinkInfo]:
        """All links of the install, newest first."""
        return self._call(
            operations.LIST_PROJECT_LINKS, envelopes.items("projectLinks", ProjectLinkInfo.from_json)
        )

    def create_project_link(
        self,
        *,
        external_project_id: str,
        external_project_name: str | None = None,
        external_project_url: str | None = None,
        job_id: str | None = None,
        provisioning_mode: str = catalog.PARTNER_WEBHOOK,
    ) -> ProjectLinkInfo:
        """Link a project, and to a job where ``job_id`` names one.

        Raises ``Conflict`` when the project is linked already or the install has all the links it may have,
        ``NotFound`` when the job isn't the customer's.
        """
        limits.check_required("external_project_id", external_project_id)
        limits.check_length("external_project_id", external_project_id, catalog.MAX_EXTERNAL_PROJECT_ID)
        limits.check_length("external_project_name", external_project_name, catalog.MAX_EXTERNAL_PROJECT_NAME)
        limits.check_length("external_project_url", external_project_url, catalog.MAX_EXTERNAL_PROJECT_URL)
        limits.check_one_of("provisioning_mode", provisioning_mode, catalog.PROVISIONING_MODES)
        return self._call(
            operations.CREATE_PROJECT_LINK,
            envelopes.member("projectLink", ProjectLinkInfo.from_json),
            body={
                "externalProjectId": external_project_id,
                "externalProjectName": external_project_name,
                "externalProjectUrl": external_project_url,
                "jobId": job_id,
                "provisioningMode": provisioning_mode,
            },
        )

    def get_project_link(self, link_id: str) -> ProjectLinkInfo:
        """One link."""
        return self._call(
            operations.GET_PROJECT_LINK,
            envelopes.member("projectLink", ProjectLinkInfo.from_json),
            ids={"link_id": link_id},
        )

    def delete_project_link(self, link_id: str) -> ProjectLinkInfo | None:
        """Delete a link for good. Its last snapshot, or None where OpenTrain gave none."""
        return self._call(
            operations.DELETE_PROJECT_LINK,
            envelopes.deleted("projectLink", ProjectLinkInfo.from_json),
            ids={"link_id": link_id},
        )

    # Contracts ---------------------------------------------------------------------------------

    def list_contracts(
        self, *, project_link_id: str | None = None, status: str | None = None, limit: int | None = None
    ) -> list[ContractInfo]:
        """Contracts of the linked jobs, newest first: at most ``limit`` (1 to 200; OpenTrain's default: 50).

        There is no next page: as many as ``limit`` may mean that there are more. ``status``: active or ended.
        """
        limits.check_page_size(limit)
        limits.check_one_of("status", status, (catalog.CONTRACT_ACTIVE, catalog.CONTRACT_HAS_ENDED))
        return self._call(
            operations.LIST_CONTRACTS,
            envelopes.items("contracts", ContractInfo.from_json),
            query={"projectLinkId": project_link_id, "status": status, "limit": limit},
        )

    def list_participants(self, contract_id: str) -> list[ParticipantInfo]:
        """Who works under a contract, with Work Emails where scope and consent allow them."""
        return self._call(
            operations.LIST_PARTICIPANTS,
            envelopes.items("participants", ParticipantInfo.from_json),
            ids={"contract_id": contract_id},
        )

    def get_budget(self, contract_id: str) -> BudgetInfo:
        """How much of a contract's funded work is used up. Causes no event."""
        return self._call(
            operations.GET_BUDGET, envelopes.whole(BudgetInfo.from_json), ids={"contract_id": contract_id}
        )

    def report_usage(self, contract_id: str, entries: Sequence[UsageEntry]) -> UsageResult:
        """Replace the totals of up to 100 (worker, day) pairs. One refused entry refuses them all."""
        limits.check_entries(entries)
        return self._call(
            operations.REPORT_USAGE,
            _usage_result,
            ids={"contract_id": contract_id},
            body={"entries": [entry.as_json() for entry in entries]},
        )

    # Webhook endpoints -------------------------------------------------------------------------

    def list_webhook_endpoints(self) -> list[WebhookEndpointInfo]:
        """All endpoints of the install, newest first, without their secrets."""
        return self._call(
            operations.LIST_WEBHOOK_ENDPOINTS,
            envelopes.items("webhookEndpoints", WebhookEndpointInfo.from_json),
        )

    def create_webhook_endpoint(self, *, url: str, event_types: Sequence[str]) -> CreatedWebhookEndpoint:
        """Subscribe ``url``. The secret comes with this response and never again."""
        limits.check_required("url", url)
        limits.check_event_types(event_types)
        return self._call(
            operations.CREATE_WEBHOOK_ENDPOINT,
            envelopes.whole(CreatedWebhookEndpoint.from_json),
            body={"url": url, "eventTypes": list(event_types)},
        )

    def get_webhook_endpoint(self, endpoint_id: str) -> WebhookEndpointInfo:
        """One endpoint and its health."""
        return self._call(
            operations.GET_WEBHOOK_ENDPOINT,
            envelopes.member("webhookEndpoint", WebhookEndpointInfo.from_json),
            ids={"endpoint_id": endpoint_id},
        )

    def update_webhook_endpoint(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        event_types: Sequence[str] | None = None,
        status: str | None = None,
    ) -> WebhookEndpointInfo:
        """Change what is given. Status ACTIVE re-enables and forgets failures; the secret stays."""
        limits.check_some_change(url=url, event_types=event_types, status=status)
        limits.check_one_of("status", status, (catalog.ENDPOINT_ACTIVE, catalog.ENDPOINT_DISABLED))
        if event_types is not None:
            limits.check_event_types(event_types)
        return self._call(
            operations.UPDATE_WEBHOOK_ENDPOINT,
            envelopes.member("webhookEndpoint", WebhookEndpointInfo.from_json),
            ids={"endpoint_id": endpoint_id},
            body={
                "url": url,
                "eventTypes": None if event_types is None else list(event_types),
                "status": status,
            },
        )

    def delete_webhook_endpoint(self, endpoint_id: str) -> WebhookEndpointInfo | None:
        """Delete an endpoint and its pending deliveries. Its last snapshot, or None where there is none."""
        return self._call(
            operations.DELETE_WEBHOOK_ENDPOINT,
            envelopes.deleted("webhookEndpoint", WebhookEndpointInfo.from_json),
            ids={"endpoint_id": endpoint_id},
        )

    def redeliver(self, endpoint_id: str, delivery_id: str | None = None) -> Redelivery:
        """Send failed deliveries again: one, or all. They go out while the endpoint is ACTIVE only."""
        return self._call(
            operations.REDELIVER,
            envelopes.whole(Redelivery.from_json),
            ids={"endpoint_id": endpoint_id},
            body={"deliveryId": delivery_id},
        )

    # How a call is made ------------------------------------------------------------------------

    def _call(
        self,
        operation: Operation,
        parse: Callable[[Success], Result],
        *,
        ids: Mapping[str, str] = MappingProxyType({}),
        query: Mapping[str, str | int | None] = MappingProxyType({}),
        body: Mapping[str, Any] | None = None,
    ) -> Result:
        call = Call(
            operation,
            operation.path_for(**ids),
            query=_given(query),
            body=None if body is None else json.dumps(_given(body), allow_nan=False).encode("ascii"),
        )
        if self._observer is None:
            return self._checked(call, parse)
        self._observer.before_call()
        try:
            result = self._checked(call, parse)
        except OpenTrainError as error:
            self._observer.after_call(error)
            raise
        self._observer.after_call(None)
        return result

    def _checked(self, call: Call, parse: Callable[[Success], Result]) -> Result:
        scope = call.operation.scope
        if scope and self._scopes is not None and not catalog.has_scope(self._scopes, scope):
            raise MissingScope(
                f"The customer didn't grant the scope {scope}: they have to reconnect and grant it.",
                scope=scope,
                status=403,
                code="FORBIDDEN",
            )
        return self._perform(call, parse)

    @without_locals
    def _perform(self, call: Call, parse: Callable[[Success], Result]) -> Result:
        response = self._transport.send(call)
        try:
            return parse(response)
        except MalformedResource as exc:
            problem = str(exc)
        # Raised here, so that the response, with the trainers in it, isn't kept with the error.
        raise UnusableResponse(
            f"OpenTrain's response to {call.operation.name} can't be used: {problem}.",
            status=response.status,
            request_id=response.request_id,
        )


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    """Left out, not null: whether OpenTrain takes null for an optional field is not documented."""
    return {name: value for name, value in members.items() if value is not None and value != ""}


def _usage_result(response: Success) -> UsageResult:
    return replace(UsageResult.from_json(response.document), outcome_unknown=response.outcome_unknown)


def _spec(document: object) -> dict[str, Any]:
    return dict(Fields(document, "spec").raw)
