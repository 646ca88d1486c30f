"""OpenTrain's vocabulary: scopes, event types, statuses, and the limits of its API.

Source: OpenTrain's developer documentation ("Scopes", "Webhooks", "API reference").
"""

from __future__ import annotations

from typing import Final

API_PATH: Final = "/api/partner/v1"
API_VERSION: Final = "v1"

TOKEN_PREFIX: Final = "ot_ptk_"  # noqa: S105 - what tokens and secrets begin with
#: Of tokens that act for an account, by another API.
PERSONAL_TOKEN_PREFIX: Final = "ot_pat_"  # noqa: S105 - what tokens and secrets begin with
WEBHOOK_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what tokens and secrets begin with
WORK_EMAIL_DOMAIN: Final = "opentrain.work"

# Scopes ---------------------------------------------------------------------------------------

PROJECT_LINKS_READ: Final = "project-links:read"
PROJECT_LINKS_WRITE: Final = "project-links:write"
CONTRACTS_READ: Final = "contracts:read"
PARTICIPANTS_READ: Final = "participants:read"
PARTICIPANTS_EMAIL: Final = "participants:email"
USAGE_WRITE: Final = "usage:write"
WEBHOOKS_MANAGE: Final = "webhooks:manage"

SCOPES: Final = (
    PROJECT_LINKS_READ,
    PROJECT_LINKS_WRITE,
    CONTRACTS_READ,
    PARTICIPANTS_READ,
    PARTICIPANTS_EMAIL,
    USAGE_WRITE,
    WEBHOOKS_MANAGE,
)

#: A scope on the left is enough where one on the right is asked for.
IMPLIED_SCOPES: Final = {PROJECT_LINKS_WRITE: frozenset({PROJECT_LINKS_READ})}


def has_scope(granted: object, scope: str) -> bool:
    """Whether ``granted`` (an iterable of scopes) allows what ``scope`` unlocks."""
    if not isinstance(granted, (list, tuple, set, frozenset)):
        return False
    return scope in granted or any(scope in IMPLIED_SCOPES.get(own, ()) for own in granted)


# Events ---------------------------------------------------------------------------------------

CONTRACT_STARTED: Final = "contract.started"
CONTRACT_ENDED: Final = "contract.ended"
PROJECT_LINK_CREATED: Final = "project_link.created"
PROJECT_LINK_REMOVED: Final = "project_link.removed"
INSTALL_REVOKED: Final = "install.revoked"
MILESTONE_FUNDED: Final = "milestone.funded"
MILESTONE_BUDGET_LOW: Final = "milestone.budget_low"
MILESTONE_BUDGET_DEPLETED: Final = "milestone.budget_depleted"

EVENT_TYPES: Final = (
    CONTRACT_STARTED,
    CONTRACT_ENDED,
    PROJECT_LINK_CREATED,
    PROJECT_LINK_REMOVED,
    INSTALL_REVOKED,
    MILESTONE_FUNDED,
    MILESTONE_BUDGET_LOW,
    MILESTONE_BUDGET_DEPLETED,
)

# Statuses -------------------------------------------------------------------------------------

CONTRACT_ACTIVE: Final = "active"
CONTRACT_HAS_ENDED: Final = "ended"
CONTRACT_STATUSES: Final = (CONTRACT_ACTIVE, CONTRACT_HAS_ENDED)

INSTALL_ACTIVE: Final = "ACTIVE"

PARTNER_WEBHOOK: Final = "PARTNER_WEBHOOK"
MANAGED_ADAPTER: Final = "MANAGED_ADAPTER"
PROVISIONING_MODES: Final = (PARTNER_WEBHOOK, MANAGED_ADAPTER)

ENDPOINT_ACTIVE: Final = "ACTIVE"
ENDPOINT_DISABLED: Final = "DISABLED"
ENDPOINT_STATUSES: Final = (ENDPOINT_ACTIVE, ENDPOINT_DISABLED)

BUDGET_OK: Final = "OK"
BUDGET_LOW: Final = "LOW"
BUDGET_DEPLETED: Final = "DEPLETED"
BUDGET_STATES: Final = (BUDGET_OK, BUDGET_LOW, BUDGET_DEPLETED)
BUDGET_LOW_FRACTION: Final = 0.8

PAY_PER_HOUR: Final = "PAY_PER_HOUR"
PAY_PER_LABEL: Final = "PAY_PER_LABEL"
FIXED_PRICE: Final = "FIXED_PRICE"
PAYMENT_TYPES: Final = (PAY_PER_HOUR, PAY_PER_LABEL, FIXED_PRICE)

# Limits ---------------------------------------------------------------------------------------

MAX_EXTERNAL_PROJECT_ID: Final = 200
MAX_EXTERNAL_PROJECT_NAME: Final = 300
MAX_EXTERNAL_PROJECT_URL: Final = 2048
MAX_CONTRACTS_PER_PAGE: Final = 200
MAX_USAGE_ENTRIES: Final = 100
SECONDS_PER_DAY: Final = 86_400

# Webhook delivery -----------------------------------------------------------------------------

EVENT_HEADER: Final = "X-OpenTrain-Event"
DELIVERY_HEADER: Final = "X-OpenTrain-Delivery"
SIGNATURE_HEADER: Final = "X-OpenTrain-Signature"
WEBHOOK_USER_AGENT: Final = "OpenTrain-Partner-Webhooks/1.0"
SIGNATURE_TOLERANCE_SECONDS: Final = 300
DELIVERY_TIMEOUT_SECONDS: Final = 10
DELIVERY_RETRY_MINUTES: Final = (1, 5, 30, 120)
DISABLE_AFTER_FAILURES: Final = 10

#: Machine-readable codes of the error envelope, with the HTTP status each comes with.
ERROR_STATUSES: Final = {
    "BAD_REQUEST": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
}
