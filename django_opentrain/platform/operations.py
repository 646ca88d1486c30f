"""The operations of OpenTrain's Platform API as data: the client calls them, its served spec is checked against them.

Source: OpenTrain's developer documentation, "API reference" and "Scopes".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from django_opentrain.platform import catalog
from django_opentrain.platform.errors import InvalidRequest


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation. ``path`` is relative to ``catalog.API_PATH``, with ``{name}`` for each id.

    ``scope`` is "" where any valid token will do. ``idempotent``: twice has the effect of once, so it is retried
    when its response was lost.
    """

    name: str
    method: str
    path: str
    scope: str = ""
    idempotent: bool = False
    authenticated: bool = True

    def path_for(self, **ids: str) -> str:
        """The path with its ids percent-encoded. Raises ``InvalidRequest`` for what can't be an id."""
        return self.path.format(**{name: _segment(name, value) for name, value in ids.items()})


def _segment(name: str, value: str) -> str:
    # Dots are unreserved: even as %2E an HTTP library may resolve them, which ends in another operation's path.
    if not value.strip("."):
        raise InvalidRequest(f"{name} is not an id that OpenTrain could have given.")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InvalidRequest(f"{name} holds characters that can't be sent.") from None


GET_INSTALL: Final = Operation(name="get_install", method="GET", path="/installs/current", idempotent=True)

LIST_PROJECT_LINKS: Final = Operation(
    name="list_project_links",
    method="GET",
    path="/project-links",
    scope=catalog.PROJECT_LINKS_READ,
    idempotent=True,
)
CREATE_PROJECT_LINK: Final = Operation(
    name="create_project_link", method="POST", path="/project-links", scope=catalog.PROJECT_LINKS_WRITE
)
GET_PROJECT_LINK: Final = Operation(
    name="get_project_link",
    method="GET",
    path="/project-links/{link_id}",
    scope=catalog.PROJECT_LINKS_READ,
    idempotent=True,
)
DELETE_PROJECT_LINK: Final = Operation(
    name="delete_project_link",
    method="DELETE",
    path="/project-links/{link_id}",
    scope=catalog.PROJECT_LINKS_WRITE,
    idempotent=True,
)

LIST_CONTRACTS: Final = Operation(
    name="list_contracts", method="GET", path="/contracts", scope=catalog.CONTRACTS_READ, idempotent=True
)
LIST_PARTICIPANTS: Final = Operation(
    name="list_participants",
    method="GET",
    path="/contracts/{contract_id}/participants",
    scope=catalog.PARTICIPANTS_READ,
    idempotent=True,
)
GET_BUDGET: Final = Operation(
    name="get_budget",
    method="GET",
    path="/contracts/{contract_id}/budget",
    scope=catalog.CONTRACTS_READ,
    idempotent=True,
)
REPORT_USAGE: Final = Operation(
    name="report_usage",
    method="POST",
    path="/contracts/{contract_id}/usage",
    scope=catalog.USAGE_WRITE,
    idempotent=True,  # totals replace totals
)

LIST_WEBHOOK_ENDPOINTS: Final = Operation(
    name="list_webhook_endpoints",
    method="GET",
    path="/webhook-endpoints",
    scope=catalog.WEBHOOKS_MANAGE,
    idempotent=True,
)
CREATE_WEBHOOK_ENDPOINT: Final = Operation(
    name="create_webhook_endpoint", method="POST", path="/webhook-endpoints", scope=catalog.WEBHOOKS_MANAGE
)
GET_WEBHOOK_ENDPOINT: Final = Operation(
    name="get_webhook_endpoint",
    method="GET",
    path="/webhook-endpoints/{endpoint_id}",
    scope=catalog.WEBHOOKS_MANAGE,
    idempotent=True,
)
UPDATE_WEBHOOK_ENDPOINT: Final = Operation(
    name="update_webhook_endpoint",
    method="PATCH",
    path="/webhook-endpoints/{endpoint_id}",
    scope=catalog.WEBHOOKS_MANAGE,
)
DELETE_WEBHOOK_ENDPOINT: Final = Operation(
    name="delete_webhook_endpoint",
    method="DELETE",
    path="/webhook-endpoints/{endpoint_id}",
    scope=catalog.WEBHOOKS_MANAGE,
    idempotent=True,
)
REDELIVER: Final = Operation(
    name="redeliver",
    method="POST",
    path="/webhook-endpoints/{endpoint_id}/redeliver",
    scope=catalog.WEBHOOKS_MANAGE,
)

OPERATIONS: Final = (
    GET_INSTALL,
    LIST_PROJECT_LINKS,
    CREATE_PROJECT_LINK,
    GET_PROJECT_LINK,
    DELETE_PROJECT_LINK,
    LIST_CONTRACTS,
    LIST_PARTICIPANTS,
    GET_BUDGET,
    REPORT_USAGE,
    LIST_WEBHOOK_ENDPOINTS,
    CREATE_WEBHOOK_ENDPOINT,
    GET_WEBHOOK_ENDPOINT,
    UPDATE_WEBHOOK_ENDPOINT,
    DELETE_WEBHOOK_ENDPOINT,
    REDELIVER,
)

#: The contract of record. It needs no token and is about no install.
GET_OPENAPI: Final = Operation(
    name="get_openapi", method="GET", path="/openapi.json", idempotent=True, authenticated=False
)
