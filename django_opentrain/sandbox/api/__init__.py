"""OpenTrain's Partner API: 15 operations and the open spec.

Order of the checks, as far as it is documented: does the path exist, is the token live (401), are
install, app, feature and scope in order (403), is the request well-formed (400), do the things it
names exist (404), do they allow it (409).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote

from django_opentrain.platform.catalog import (
    CONTRACTS_READ,
    INSTALL_ACTIVE,
    PARTICIPANTS_READ,
    PROJECT_LINKS_READ,
    PROJECT_LINKS_WRITE,
    USAGE_WRITE,
    WEBHOOKS_MANAGE,
    has_scope,
)
from django_opentrain.sandbox.api import contracts, endpoints, links
from django_opentrain.sandbox.api.routing import Call, Operation
from django_opentrain.sandbox.consent import token_digest
from django_opentrain.sandbox.errors import ApiError, forbidden, not_found, unauthorized
from django_opentrain.sandbox.lookup import find
from django_opentrain.sandbox.models import App, Install, Organization, Token
from django_opentrain.sandbox.payloads import Json
from django_opentrain.sandbox.store import Store
from django_opentrain.sandbox.validation import Fields, read_json, read_query


def _operation(
    method: str, path: str, scope: str | None, run: Callable[[Call], Json], status: int = 200
) -> Operation:
    return Operation(method=method, path=path, scope=scope, run=run, status=status)


OPERATIONS = (
    _operation("GET", "/installs/current", None, links.get_install),
    _operation("GET", "/project-links", PROJECT_LINKS_READ, links.list_project_links),
    _operation("POST", "/project-links", PROJECT_LINKS_WRITE, links.create_project_link, 201),
    _operation("GET", "/project-links/{linkId}", PROJECT_LINKS_READ, links.get_project_link),
    _operation("DELETE", "/project-links/{linkId}", PROJECT_LINKS_WRITE, links.delete_project_link),
    _operation("GET", "/contracts", CONTRACTS_READ, contracts.list_contracts),
    _operation("GET", "/contracts/{contractId}/participants", PARTICIPANTS_READ, contracts.list_participants),
    _operation("GET", "/contracts/{contractId}/budget", CONTRACTS_READ, contracts.get_budget),
    _operation("POST", "/contracts/{contractId}/usage", USAGE_WRITE, contracts.report_usage),
    _operation("GET", "/webhook-endpoints", WEBHOOKS_MANAGE, endpoints.list_webhook_endpoints),
    _operation("POST", "/webhook-endpoints", WEBHOOKS_MANAGE, endpoints.create_webhook_endpoint, 201),
    _operation("GET", "/webhook-endpoints/{endpointId}", WEBHOOKS_MANAGE, endpoints.get_webhook_endpoint),
    _operation(
        "PATCH",
        "/webhook-endpoints/{endpointId}",
        WEBHOOKS_MANAGE,
        endpoints.update_webhook_endpoint,
    ),
    _operation(
        "DELETE",
        "/webhook-endpoints/{endpointId}",
        WEBHOOKS_MANAGE,
        endpoints.delete_webhook_endpoint,
    ),
    _operation("POST", "/webhook-endpoints/{endpointId}/redeliver", WEBHOOKS_MANAGE, endpoints.redeliver),
)
_PATTERNS = tuple((operation, operation.pattern) for operation in OPERATIONS)


def handle(
    store: Store, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, Json]:
    """Status and JSON of one call; ``path`` is what follows the API's base.

    :param headers: with lower-case names.
    :raises ApiError: for every refusal.
    """
    operation, ids = _match(method, path)
    with store.transaction():
        token, install, app = authenticate(store, headers.get("authorization", ""))
        _authorize(install, token, operation.scope)
        call = Call(
            store=store,
            app=app,
            install=install,
            token=token,
            ids=ids,
            query=read_query(query),
            body=read_json(headers, body) if method in {"POST", "PATCH"} else Fields({}),
        )
        return operation.status, operation.run(call)


def _match(method: str, path: str) -> tuple[Operation, tuple[str, ...]]:
    allowed = []
    for operation, pattern in _PATTERNS:
        found = pattern.fullmatch(path)
        if found is not None and operation.method == method:
            return operation, tuple(unquote(each) for each in found.groups())
        if found is not None:
            allowed.append(operation.method)
    if not allowed:
        raise not_found("There is no such resource")
    allow = {"Allow": ", ".join(allowed)}
    raise ApiError("BAD_REQUEST", f"Use {' or '.join(allowed)}", status=405, headers=allow)


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
