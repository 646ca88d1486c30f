"""The operations of OpenTrain's Platform API as data: the client calls them, its served spec is checked against them.

Source: OpenTrain's developer documentation, "API reference" and "Scopes".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from django_opentrain.platform import catalog
from django_opentrain.platform.errors import InvalidRequest


@dataclass(frozen=True)
class Operation:
    """One operation. ``path`` is relative to ``catalog.API_PATH``, with ``{name}`` for each id.

    ``scope`` is "" where any valid token will do.
    """

    name: str
    method: str
    path: str
    scope: str = ""
    #: Whether a POST replaces what the one before it sent, as totals replace totals.
    replaces: bool = False
    authenticated: bool = True

    @property
    def idempotent(self) -> bool:
        """Whether twice has the effect of once: then it is retried when its response was lost."""
        return self.method in ("GET", "DELETE") or self.replaces

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


GET_INSTALL: Final = Operation("get_install", "GET", "/installs/current")

LIST_PROJECT_LINKS: Final = Operation(
    "list_project_links", "GET", "/project-links", catalog.PROJECT_LINKS_READ
)
CREATE_PROJECT_LINK: Final = Operation(
    "create_project_link", "POST", "/project-links", catalog.PROJECT_LINKS_WRITE
)
GET_PROJECT_LINK: Final = Operation(
    "get_project_link", "GET", "/project-links/{link_id}", catalog.PROJECT_LINKS_READ
)
DELETE_PROJECT_LINK: Final = Operation(
    "delete_project_link", "DELETE", "/project-links/{link_id}", catalog.PROJECT_LINKS_WRITE
)

LIST_CONTRACTS: Final = Operation("list_contracts", "GET", "/contracts", catalog.CONTRACTS_READ)
LIST_PARTICIPANTS: Final = Operation(
    "list_participants", "GET", "/contracts/{contract_id}/participants", catalog.PARTICIPANTS_READ
)
GET_BUDGET: Final = Operation("get_budget", "GET", "/contracts/{contract_id}/budget", catalog.CONTRACTS_READ)
REPORT_USAGE: Final = Operation(
    "report_usage", "POST", "/contracts/{contract_id}/usage", catalog.USAGE_WRITE, replaces=True
)

LIST_WEBHOOK_ENDPOINTS: Final = Operation(
    "list_webhook_endpoints", "GET", "/webhook-endpoints", catalog.WEBHOOKS_MANAGE
)
CREATE_WEBHOOK_ENDPOINT: Final = Operation(
    "create_webhook_endpoint", "POST", "/webhook-endpoints", catalog.WEBHOOKS_MANAGE
)
GET_WEBHOOK_ENDPOINT: Final = Operation(
    "get_webhook_endpoint", "GET", "/webhook-endpoints/{endpoint_id}", catalog.WEBHOOKS_MANAGE
)
UPDATE_WEBHOOK_ENDPOINT: Final = Operation(
    "update_webhook_endpoint", "PATCH", "/webhook-endpoints/{endpoint_id}", catalog.WEBHOOKS_MANAGE
)
DELETE_WEBHOOK_ENDPOINT: Final = Operation(
    "delete_webhook_endpoint", "DELETE", "/webhook-endpoints/{endpoint_id}", catalog.WEBHOOKS_MANAGE
)
REDELIVER: Final = Operation(
    "redeliver", "POST", "/webhook-endpoints/{endpoint_id}/redeliver", catalog.WEBHOOKS_MANAGE
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
GET_OPENAPI: Final = Operation("get_openapi", "GET", "/openapi.json", authenticated=False)
