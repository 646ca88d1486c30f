"""OpenTrain's Partner API: 15 operations and the open spec.

Order of the checks, as far as it is documented: does the path exist, is the token live (401), are
install, app, feature and scope in order (403), is the request well-formed (400), do the things it
names exist (404), do they allow it (409).
"""

from __future__ import annotations

from http import HTTPStatus

from django_opentrain.platform.catalog import INSTALL_ACTIVE, has_scope
from django_opentrain.sandbox.api import contracts, endpoints, links
from django_opentrain.sandbox.api.routing import Call, described, match
from django_opentrain.sandbox.consent import token_digest
from django_opentrain.sandbox.errors import forbidden, unauthorized
from django_opentrain.sandbox.http import Request
from django_opentrain.sandbox.lookup import find
from django_opentrain.sandbox.models import App, Install, Organization, Token
from django_opentrain.sandbox.payloads import Json, without_nulls
from django_opentrain.sandbox.store import Store

OPERATIONS = tuple(
    described(
        {
            "getCurrentInstall": links.get_install,
            "listProjectLinks": links.list_project_links,
            "createProjectLink": links.create_project_link,
            "getProjectLink": links.get_project_link,
            "deleteProjectLink": links.delete_project_link,
            "listContracts": contracts.list_contracts,
            "listParticipants": contracts.list_participants,
            "getBudget": contracts.get_budget,
            "reportUsage": contracts.report_usage,
            "listWebhookEndpoints": endpoints.list_webhook_endpoints,
            "createWebhookEndpoint": endpoints.create_webhook_endpoint,
            "getWebhookEndpoint": endpoints.get_webhook_endpoint,
            "updateWebhookEndpoint": endpoints.update_webhook_endpoint,
            "deleteWebhookEndpoint": endpoints.delete_webhook_endpoint,
            "redeliver": endpoints.redeliver,
        }
    )
)


def handle(store: Store, request: Request, path: str) -> tuple[int, Json]:
    """Status and JSON of one call; ``path`` is what follows the API's base.

    :raises ApiError: for every refusal.
    """
    operation, ids = match(OPERATIONS, request.method, path)
    with store.transaction():
        token, install, app = authenticate(store, request.headers.get("authorization", ""))
        _authorize(install, token, operation.scope)
        query, body = operation.read(request, store.readings)
        call = Call(store=store, app=app, install=install, token=token, ids=ids, query=query, body=body)
        answer = operation.run(call)
        if store.readings.empty_fields == "absent":
            answer = without_nulls(answer)
        status = int(store.readings.created) if operation.status == HTTPStatus.CREATED else operation.status
        return status, answer


def authenticate(store: Store, authorization: str) -> tuple[Token, Install, App]:
    """Whose token this is; 401 unless it is live, 403 unless all three conditions hold."""
    scheme, _, value = authorization.partition(" ")
    token = store.token_by_digest(token_digest(value.strip()))
    if scheme.lower() != "bearer" or token is None or token.revoked_at is not None:
        raise unauthorized("The token is missing, invalid or revoked")
    install = find(store, Install, token.install_id)
    app = find(store, App, install.app_slug)
    organization = find(store, Organization, install.organization_id)
    if install.status != INSTALL_ACTIVE:
        raise forbidden("The install is not active")
    if not app.active:
        raise forbidden("The platform app is not active")
    if not organization.feature_enabled:
        raise forbidden("The employer's account lacks the annotation-platform feature")
    return token, install, app


def _authorize(install: Install, token: Token, scope: str | None) -> None:
    if scope is None:
        return
    if not (has_scope(install.scopes, scope) and has_scope(token.scopes, scope)):
        raise forbidden(f"The token lacks the scope {scope}", requiredScope=scope)
