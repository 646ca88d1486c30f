"""Who connected, which project hires for which job, and who was hired."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django_opentrain.platform import catalog
from django_opentrain.platform.resources.base import (
    CHOICE,
    DATE,
    DATETIME,
    EMAIL,
    FLAG,
    ID,
    IDS,
    URL,
    Resource,
    member,
    nested,
    text,
)
from django_opentrain.platform.values import COUNTRY_LENGTH, NAME_LENGTH, TITLE_LENGTH


@dataclass(frozen=True, kw_only=True, slots=True)
class PartnerApp(Resource):
    """The platform app that an install belongs to. Its slug decides whether a token is for us."""

    id: str = member(ID)
    slug: str = member(ID, essential=True)
    name: str = member(text(NAME_LENGTH))


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenInfo(Resource):
    """The token that made the call; never its value."""

    id: str = member(ID)
    name: str = member(text(NAME_LENGTH))
    scopes: tuple[str, ...] = member(IDS, known=catalog.SCOPES)


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallInfo(Resource):
    """One customer's grant to the app."""

    id: str = member(ID, essential=True)
    status: str = member(CHOICE, acts_on=(catalog.INSTALL_ACTIVE,))
    scopes: tuple[str, ...] = member(IDS, known=catalog.SCOPES)
    pii_consent: bool = member(FLAG)
    organization_id: str = member(ID)
    created_at: datetime | None = member(DATETIME)
    app: PartnerApp = nested(PartnerApp, name="partnerApp", default=PartnerApp(slug=""))
    token: TokenInfo = nested(TokenInfo, default=TokenInfo())


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectLinkInfo(Resource):
    """The tie between a project of the platform and a job. ``job_id`` is "" where no job is linked."""

    id: str = member(ID, essential=True)
    job_id: str = member(ID)
    external_project_id: str = member(ID)
    external_project_name: str = member(text(NAME_LENGTH))
    external_project_url: str = member(URL)
    provisioning_mode: str = member(CHOICE, known=catalog.PROVISIONING_MODES)
    created_at: datetime | None = member(DATETIME)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractInfo(Resource):
    """A hire. In webhook bodies ``project_link_ids`` and ``created_at`` are empty."""

    id: str = member(ID, essential=True)
    status: str = member(CHOICE, known=catalog.CONTRACT_STATUSES)
    job_id: str = member(ID)
    title: str = member(text(TITLE_LENGTH))
    start_date: date | None = member(DATE)
    end_date: date | None = member(DATE)
    #: The same two as instants; where OpenTrain gives a day alone, its begin.
    start_at: datetime | None = member(DATETIME, name="startDate")
    end_at: datetime | None = member(DATETIME, name="endDate")
    created_at: datetime | None = member(DATETIME)
    project_link_ids: tuple[str, ...] = member(IDS)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParticipantInfo(Resource):
    """The trainer who was hired. Key on ``opentrain_user_id``: the name is masked and not unique."""

    opentrain_user_id: str = member(ID, essential=True)
    display_name: str = member(text(NAME_LENGTH))
    country: str = member(text(COUNTRY_LENGTH))
    profile_url: str = member(URL)
    #: Needs the scope participants:email and the install's PII consent, and may come later; else "".
    work_email: str = member(EMAIL, repr=False)
