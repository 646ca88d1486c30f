"""What the sandbox knows: one dataclass per thing on OpenTrain's side.

Fields named ``*_at`` are epoch seconds on the sandbox's clock. ``owner`` is the id of the thing
that an entity is listed under: the links of an install, the contracts of a job.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar

from django_opentrain.platform.catalog import (
    CONTRACT_ACTIVE,
    ENDPOINT_ACTIVE,
    INSTALL_ACTIVE,
    PARTNER_WEBHOOK,
    PAY_PER_HOUR,
    SCOPES,
)

INSTALL_REVOKED = "REVOKED"

MILESTONE_FUNDED = "ACTIVE_FUNDED"
MILESTONE_COMPLETED = "COMPLETED"

TIME_TRACKER = "time-tracker"

PENDING = "PENDING"
DELIVERED = "DELIVERED"
FAILED = "FAILED"


def new_id(prefix: str) -> str:
    """A fresh opaque id: nothing may be concluded from it but its prefix."""
    return f"{prefix}_{uuid.uuid4().hex[:20]}"


class Entity:
    """What the store keeps, found by the field ``key`` and listed under the field ``owner``, if it has one."""

    _fields: ClassVar[tuple[str, str]]

    def __init_subclass__(cls, key: str = "id", owner: str = "") -> None:
        cls._fields = key, owner

    @property
    def key(self) -> str:
        return str(getattr(self, self._fields[0]))

    @property
    def owner(self) -> str:
        return str(getattr(self, self._fields[1], ""))


@dataclass(kw_only=True)
class App(Entity, key="slug"):
    """A platform app, as registered under Settings → Developer."""

    slug: str
    name: str
    client_id: str
    redirect_uris: list[str]
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))
    active: bool = True
    link_limit: int = 500


@dataclass(kw_only=True)
class Organization(Entity):
    """A customer: the employer who hires, and who connects the platform."""

    id: str
    name: str
    feature_enabled: bool = True


@dataclass(kw_only=True)
class Job(Entity, owner="organization_id"):
    id: str
    organization_id: str
    title: str
    payment_type: str | None = PAY_PER_HOUR


@dataclass(kw_only=True)
class Freelancer(Entity, key="opentrain_user_id"):
    """An AI trainer. Their Work Email shows once ``email_release_at`` has come (None: never)."""

    opentrain_user_id: str
    display_name: str
    country: str
    profile_url: str
    work_email: str
    email_release_at: float | None


@dataclass(kw_only=True)
class Install(Entity, owner="organization_id"):
    """One organization's grant to one app."""

    id: str
    app_slug: str
    organization_id: str
    scopes: list[str]
    pii_consent: bool
    created_at: float
    #: The origin to which its consent returned; "" without a redirect.
    site: str = ""
    status: str = INSTALL_ACTIVE
    revoked_at: float | None = None


@dataclass(kw_only=True)
class Token(Entity, owner="install_id"):
    """The one key of an install. Only its SHA-256 is kept: it can't be shown again."""

    id: str
    install_id: str
    name: str
    digest: str
    scopes: list[str]
    revoked_at: float | None = None


@dataclass(kw_only=True)
class Link(Entity, owner="install_id"):
    id: str
    install_id: str
    external_project_id: str
    created_at: float
    external_project_name: str | None = None
    external_project_url: str | None = None
    job_id: str | None = None
    provisioning_mode: str = PARTNER_WEBHOOK


@dataclass(kw_only=True)
class Contract(Entity, owner="job_id"):
    """A trainer at work on a job. ``freelancer_id`` is None until a trainer is hired."""

    id: str
    job_id: str
    title: str
    payment_type: str | None
    start_date: str
    created_at: float
    freelancer_id: str | None = None
    participant_ids: list[str] = field(default_factory=list)
    status: str = CONTRACT_ACTIVE
    end_date: str | None = None
    last_usage_at: float | None = None
    #: How much of the funded volume was used up at most since the last funding: no warning comes twice.
    highest_fraction: Decimal = Decimal(0)


@dataclass(kw_only=True)
class Milestone(Entity, owner="contract_id"):
    id: str
    contract_id: str
    name: str
    amount_usd: Decimal
    volume: Decimal | None
    funded_at: float
    status: str = MILESTONE_FUNDED


@dataclass(kw_only=True)
class Usage(Entity, owner="contract_id"):
    """One worker's totals of one day: each report replaces the figures that it names.

    Work that OpenTrain's Time Tracker recorded has ``TIME_TRACKER`` as its worker.
    """

    id: str
    contract_id: str
    worker_id: str
    work_date: str
    total_seconds: int = 0
    tasks_completed: int = 0
    labels_completed: int = 0
    external_report_id: str | None = None


@dataclass(kw_only=True)
class Endpoint(Entity, owner="install_id"):
    """A webhook endpoint. It gets events with a sequence above its ``high_water_mark``: no backfill."""

    id: str
    install_id: str
    url: str
    event_types: list[str]
    created_at: float
    high_water_mark: int
    secret: str = field(repr=False)
    status: str = ENDPOINT_ACTIVE
    consecutive_failures: int = 0
    disabled_at: float | None = None
    disabled_reason: str | None = None


@dataclass(kw_only=True)
class Event(Entity, owner="install_id"):
    """Something that happened, with the exact text that its deliveries carry."""

    id: str
    sequence: int
    install_id: str
    type: str
    resource_id: str
    body: str
    created_at: float


@dataclass(kw_only=True)
class Attempt:
    """One attempt to deliver: the HTTP status, or why there was none."""

    at: float
    status: int | None
    error: str


@dataclass(kw_only=True)
class Delivery(Entity, owner="endpoint_id"):
    """One event on its way to one endpoint.

    ``tries`` counts since the delivery was (re)queued, ``attempts`` keeps them all.
    """

    id: str
    endpoint_id: str
    event_id: str
    next_attempt_at: float
    status: str = PENDING
    tries: int = 0
    attempts: list[Attempt] = field(default_factory=list)


@dataclass(kw_only=True)
class Fault(Entity):
    """A failure of the next matching API calls.

    ``match`` is a regular expression for the whole of ``METHOD /path`` below the API's base.
    """

    id: str
    kind: str
    match: str = ".*"
    times: int = 1
    status: int = 500
    seconds: float = 0.0
    retry_after: str | None = None


_ALL = (App, Organization, Job, Freelancer, Install, Token, Link, Contract, Milestone, Usage)
KINDS: dict[str, type[Entity]] = {kind.__name__: kind for kind in (*_ALL, Endpoint, Event, Delivery, Fault)}
