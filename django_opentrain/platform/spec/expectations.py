"""What the client sends and what ``resources`` reads, as data. A test compares it with both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django_opentrain.platform import catalog, operations

#: What JSON types a reader can use: an id may be a number, and a number may come as text.
ID: Final = frozenset({"string", "integer"})
TEXT: Final = frozenset({"string"})
NUMBER: Final = frozenset({"number", "integer", "string"})
COUNT: Final = NUMBER
BOOLEAN: Final = frozenset({"boolean"})
OBJECT: Final = frozenset({"object"})
LIST: Final = frozenset({"array"})
WHOLE: Final = frozenset({"integer"})


@dataclass(frozen=True)
class Read:
    """A member of a response. ``essential``: without it the response is of no use. ``known``: the values we know."""

    name: str
    types: frozenset[str]
    essential: bool = False
    known: tuple[str, ...] = ()
    #: Of an object, or of each object in a list.
    members: tuple[Read, ...] = ()


@dataclass(frozen=True)
class Sent:
    """A parameter, or a member of a body. ``values``: those that may be sent, where there are few."""

    name: str
    types: frozenset[str]
    always: bool = False
    values: tuple[str, ...] = ()
    #: The longest text, the greatest number or the most items that we send.
    most: int | None = None
    #: As JSON Schema names it, where a text has to have one.
    format: str = ""
    members: tuple[Sent, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What one operation is sent, and what is read of its response."""

    query: tuple[Sent, ...] = ()
    body: tuple[Sent, ...] = ()
    response: tuple[Read, ...] = ()


CONTRACT_STATUSES: Final = (catalog.CONTRACT_ACTIVE, catalog.CONTRACT_HAS_ENDED)
ENDPOINT_STATUSES: Final = (catalog.ENDPOINT_ACTIVE, catalog.ENDPOINT_DISABLED)
PAYMENT_TYPES: Final = (catalog.PAY_PER_HOUR, catalog.PAY_PER_LABEL, catalog.FIXED_PRICE)

APP: Final = (Read("id", ID), Read("slug", ID, essential=True), Read("name", TEXT))
TOKEN: Final = (Read("id", ID), Read("name", TEXT), Read("scopes", LIST, known=catalog.SCOPES))
INSTALL: Final = (
    Read("id", ID, essential=True),
    Read("status", TEXT),
    Read("scopes", LIST, known=catalog.SCOPES),
    Read("piiConsent", BOOLEAN),
    Read("organizationId", ID),
    Read("createdAt", TEXT),
    Read("partnerApp", OBJECT, members=APP),
    Read("token", OBJECT, members=TOKEN),
)
PROJECT_LINK: Final = (
    Read("id", ID, essential=True),
    Read("jobId", ID),
    Read("externalProjectId", ID),
    Read("externalProjectName", TEXT),
    Read("externalProjectUrl", TEXT),
    Read("provisioningMode", TEXT, known=catalog.PROVISIONING_MODES),
    Read("createdAt", TEXT),
)
CONTRACT: Final = (
    Read("id", ID, essential=True),
    Read("status", TEXT, known=CONTRACT_STATUSES),
    Read("jobId", ID),
    Read("title", TEXT),
    Read("startDate", TEXT),
    Read("endDate", TEXT),
    Read("createdAt", TEXT),
    Read("projectLinkIds", LIST),
)
PARTICIPANT: Final = (
    Read("opentrainUserId", ID, essential=True),
    Read("displayName", TEXT),
    Read("country", TEXT),
    Read("profileUrl", TEXT),
    Read("workEmail", TEXT),
)
MILESTONE: Final = (
    Read("id", ID, essential=True),
    Read("name", TEXT),
    Read("amountUsd", NUMBER),
    Read("volume", NUMBER),
    Read("status", TEXT),
)
CONSUMED: Final = (
    Read("seconds", COUNT),
    Read("hours", NUMBER),
    Read("labels", COUNT),
    Read("tasks", COUNT),
)
BUDGET: Final = (
    Read("contractId", ID),
    Read("paymentType", TEXT, known=PAYMENT_TYPES),
    Read("state", TEXT, essential=True, known=catalog.BUDGET_STATES),
    Read("fundedVolume", NUMBER),
    Read("fundedAmountUsd", NUMBER),
    Read("consumed", OBJECT, members=CONSUMED),
    Read("consumedVolume", NUMBER),
    Read("remainingVolume", NUMBER),
    Read("consumedFraction", NUMBER),
    Read("activeMilestone", OBJECT, members=MILESTONE),
    Read("lastUsageAt", TEXT),
)
USAGE_RESULT: Final = (
    Read("contractId", ID, essential=True),
    Read("accepted", COUNT),
    Read("budget", OBJECT, members=BUDGET),
)
ENDPOINT: Final = (
    Read("id", ID, essential=True),
    Read("url", TEXT),
    Read("eventTypes", LIST, known=catalog.EVENT_TYPES),
    Read("status", TEXT, known=ENDPOINT_STATUSES),
    Read("createdAt", TEXT),
    Read("consecutiveFailures", COUNT),
    Read("disabledAt", TEXT),
    Read("disabledReason", TEXT),
)
#: Of every response that is no success.
ERROR: Final = (
    Read("error", TEXT),
    Read("code", TEXT, known=tuple(catalog.ERROR_STATUSES)),
    Read("requestId", TEXT),
    Read("details", OBJECT),
)

USAGE_ENTRY: Final = (
    Sent("workDate", TEXT, always=True, format="date"),
    Sent("totalSeconds", WHOLE, most=catalog.SECONDS_PER_DAY),
    Sent("tasksCompleted", WHOLE),
    Sent("labelsCompleted", WHOLE),
    Sent("workerOpentrainUserId", TEXT),
    Sent("externalReportId", TEXT),
)
EVENT_TYPES: Final = Sent("eventTypes", LIST, values=catalog.EVENT_TYPES)


def _one(name: str, members: tuple[Read, ...]) -> tuple[Read, ...]:
    return (Read(name, OBJECT, essential=True, members=members),)


def _many(name: str, members: tuple[Read, ...]) -> tuple[Read, ...]:
    return (Read(name, LIST, essential=True, members=members),)


EXCHANGES: Final[Mapping[operations.Operation, Exchange]] = {
    operations.GET_INSTALL: Exchange(response=_one("install", INSTALL)),
    operations.LIST_PROJECT_LINKS: Exchange(response=_many("projectLinks", PROJECT_LINK)),
    operations.CREATE_PROJECT_LINK: Exchange(
        body=(
            Sent("externalProjectId", TEXT, always=True, most=catalog.MAX_EXTERNAL_PROJECT_ID),
            Sent("externalProjectName", TEXT, most=catalog.MAX_EXTERNAL_PROJECT_NAME),
            Sent("externalProjectUrl", TEXT, most=catalog.MAX_EXTERNAL_PROJECT_URL),
            Sent("jobId", TEXT),
            Sent("provisioningMode", TEXT, always=True, values=catalog.PROVISIONING_MODES),
        ),
        response=_one("projectLink", PROJECT_LINK),
    ),
    operations.GET_PROJECT_LINK: Exchange(response=_one("projectLink", PROJECT_LINK)),
    operations.DELETE_PROJECT_LINK: Exchange(
        response=(Read("projectLink", OBJECT, members=PROJECT_LINK), Read("deleted", BOOLEAN))
    ),
    operations.LIST_CONTRACTS: Exchange(
        query=(
            Sent("projectLinkId", TEXT),
            Sent("status", TEXT, values=CONTRACT_STATUSES),
            Sent("limit", WHOLE, most=catalog.MAX_CONTRACTS_PER_PAGE),
        ),
        response=_many("contracts", CONTRACT),
    ),
    # The contract's id is in the response, and nothing needs it: the caller knows it.
    operations.LIST_PARTICIPANTS: Exchange(
        response=(*_many("participants", PARTICIPANT), Read("contractId", ID))
    ),
    operations.GET_BUDGET: Exchange(response=BUDGET),
    operations.REPORT_USAGE: Exchange(
        body=(Sent("entries", LIST, always=True, most=catalog.MAX_USAGE_ENTRIES, members=USAGE_ENTRY),),
        response=USAGE_RESULT,
    ),
    operations.LIST_WEBHOOK_ENDPOINTS: Exchange(response=_many("webhookEndpoints", ENDPOINT)),
    operations.CREATE_WEBHOOK_ENDPOINT: Exchange(
        body=(
            Sent("url", TEXT, always=True),
            Sent("eventTypes", LIST, always=True, values=catalog.EVENT_TYPES),
        ),
        response=(
            *_one("webhookEndpoint", ENDPOINT),
            Read("secret", ID, essential=True),
            Read("message", TEXT),
        ),
    ),
    operations.GET_WEBHOOK_ENDPOINT: Exchange(response=_one("webhookEndpoint", ENDPOINT)),
    operations.UPDATE_WEBHOOK_ENDPOINT: Exchange(
        body=(Sent("url", TEXT), EVENT_TYPES, Sent("status", TEXT, values=ENDPOINT_STATUSES)),
        response=_one("webhookEndpoint", ENDPOINT),
    ),
    operations.DELETE_WEBHOOK_ENDPOINT: Exchange(
        response=(Read("webhookEndpoint", OBJECT, members=ENDPOINT), Read("deleted", BOOLEAN))
    ),
    operations.REDELIVER: Exchange(
        body=(Sent("deliveryId", TEXT),),
        response=(
            *_one("webhookEndpoint", ENDPOINT),
            Read("requeued", COUNT),
            Read("message", TEXT),
        ),
    ),
}
