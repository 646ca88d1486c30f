"""What the client sends, and what it reads of each response, as data. A test compares it with both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from django_opentrain.platform import catalog, operations
from django_opentrain.platform.resources import (
    BudgetInfo,
    ContractInfo,
    CreatedWebhookEndpoint,
    InstallInfo,
    ParticipantInfo,
    ProjectLinkInfo,
    Redelivery,
    UsageResult,
    WebhookEndpointInfo,
)
from django_opentrain.platform.resources.base import JsonTypes, Resource

OBJECT: Final[JsonTypes] = frozenset({"object"})
LIST: Final[JsonTypes] = frozenset({"array"})
ID: Final[JsonTypes] = frozenset({"string", "integer"})
TEXT: Final[JsonTypes] = frozenset({"string"})
WHOLE: Final[JsonTypes] = frozenset({"integer"})
BOOLEAN: Final[JsonTypes] = frozenset({"boolean"})


@dataclass(frozen=True)
class Read:
    """A member of a response. ``essential``: without it the response is of no use. ``known``: the values we know;
    ``acts_on``: those without which something would not happen any more.
    """

    name: str
    types: JsonTypes
    essential: bool = False
    known: tuple[str, ...] = ()
    acts_on: tuple[str, ...] = ()
    #: Of an object, or of each object in a list.
    members: tuple[Read, ...] = ()


@dataclass(frozen=True)
class Sent:
    """A parameter, or a member of a body. ``values``: those that may be sent, where there are few."""

    name: str
    types: JsonTypes
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
EVENT_TYPES: Final = Sent("eventTypes", LIST, values=catalog.EVENT_TYPES, most=len(catalog.EVENT_TYPES))


def reads(resource: type[Resource]) -> tuple[Read, ...]:
    """What is read of a resource, as it declares it."""
    return tuple(
        Read(
            name,
            each.kind.types,
            essential=each.essential,
            known=each.known,
            acts_on=each.acts_on,
            members=() if each.resource is None else reads(each.resource),
        )
        for name, each in resource.members().values()
    )


def _one(name: str, resource: type[Resource], *, essential: bool = True) -> tuple[Read, ...]:
    return (Read(name, OBJECT, essential=essential, members=reads(resource)),)


def _many(name: str, resource: type[Resource]) -> tuple[Read, ...]:
    return (Read(name, LIST, essential=True, members=reads(resource)),)


def _deleted(name: str, resource: type[Resource]) -> tuple[Read, ...]:
    return (*_one(name, resource, essential=False), Read("deleted", BOOLEAN))


EXCHANGES: Final[Mapping[operations.Operation, Exchange]] = {
    operations.GET_INSTALL: Exchange(response=_one("install", InstallInfo)),
    operations.LIST_PROJECT_LINKS: Exchange(response=_many("projectLinks", ProjectLinkInfo)),
    operations.CREATE_PROJECT_LINK: Exchange(
        body=(
            Sent("externalProjectId", TEXT, always=True, most=catalog.MAX_EXTERNAL_PROJECT_ID),
            Sent("externalProjectName", TEXT, most=catalog.MAX_EXTERNAL_PROJECT_NAME),
            Sent("externalProjectUrl", TEXT, most=catalog.MAX_EXTERNAL_PROJECT_URL),
            Sent("jobId", TEXT),
            Sent("provisioningMode", TEXT, always=True, values=catalog.PROVISIONING_MODES),
        ),
        response=_one("projectLink", ProjectLinkInfo),
    ),
    operations.GET_PROJECT_LINK: Exchange(response=_one("projectLink", ProjectLinkInfo)),
    operations.DELETE_PROJECT_LINK: Exchange(response=_deleted("projectLink", ProjectLinkInfo)),
    operations.LIST_CONTRACTS: Exchange(
        query=(
            Sent("projectLinkId", TEXT),
            Sent("status", TEXT, values=catalog.CONTRACT_STATUSES),
            Sent("limit", WHOLE, most=catalog.MAX_CONTRACTS_PER_PAGE),
        ),
        response=_many("contracts", ContractInfo),
    ),
    # The contract's id is in the response, and nothing needs it: the caller knows it.
    operations.LIST_PARTICIPANTS: Exchange(
        response=(*_many("participants", ParticipantInfo), Read("contractId", ID))
    ),
    operations.GET_BUDGET: Exchange(response=reads(BudgetInfo)),
    operations.REPORT_USAGE: Exchange(
        body=(Sent("entries", LIST, always=True, most=catalog.MAX_USAGE_ENTRIES, members=USAGE_ENTRY),),
        response=reads(UsageResult),
    ),
    operations.LIST_WEBHOOK_ENDPOINTS: Exchange(response=_many("webhookEndpoints", WebhookEndpointInfo)),
    operations.CREATE_WEBHOOK_ENDPOINT: Exchange(
        body=(
            Sent("url", TEXT, always=True),
            replace(EVENT_TYPES, always=True),
        ),
        response=reads(CreatedWebhookEndpoint),
    ),
    operations.GET_WEBHOOK_ENDPOINT: Exchange(response=_one("webhookEndpoint", WebhookEndpointInfo)),
    operations.UPDATE_WEBHOOK_ENDPOINT: Exchange(
        body=(Sent("url", TEXT), EVENT_TYPES, Sent("status", TEXT, values=catalog.ENDPOINT_STATUSES)),
        response=_one("webhookEndpoint", WebhookEndpointInfo),
    ),
    operations.DELETE_WEBHOOK_ENDPOINT: Exchange(response=_deleted("webhookEndpoint", WebhookEndpointInfo)),
    operations.REDELIVER: Exchange(
        body=(Sent("deliveryId", TEXT),),
        response=reads(Redelivery),
    ),
}
