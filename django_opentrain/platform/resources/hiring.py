"""Who connected, which project hires for which job, and who was hired."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from django_opentrain.platform.resources.base import Resource
from django_opentrain.platform.values import (
    COUNTRY_LENGTH,
    NAME_LENGTH,
    TITLE_LENGTH,
    Fields,
    as_choice,
    as_date,
    as_datetime,
    as_email,
    as_id,
    as_text,
    as_url,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartnerApp(Resource):
    """The platform app that an install belongs to."""

    id: str = ""
    slug: str = ""
    name: str = ""

    @classmethod
    def from_json(cls, data: object) -> PartnerApp:
        """An app without a slug is malformed: the slug decides whether a token is for us."""
        fields = Fields(data, "partnerApp")
        return cls(
            id=as_id(fields.get("id")),
            slug=fields.required("slug", as_id),
            name=as_text(fields.get("name"), NAME_LENGTH),
            raw=fields.raw,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenInfo(Resource):
    """The token that made the call; never its value."""

    id: str = ""
    name: str = ""
    scopes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: object) -> TokenInfo:
        """Raises ``MalformedResource`` when ``data`` is not an object."""
        fields = Fields(data, "token")
        return cls(
            id=as_id(fields.get("id")),
            name=as_text(fields.get("name"), NAME_LENGTH),
            scopes=fields.items("scopes", as_id),
            raw=fields.raw,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallInfo(Resource):
    """One customer's grant to the app."""

    id: str
    status: str = ""
    scopes: tuple[str, ...] = ()
    pii_consent: bool = False
    organization_id: str = ""
    created_at: datetime | None = None
    app: PartnerApp = PartnerApp()
    token: TokenInfo = TokenInfo()

    @classmethod
    def from_json(cls, data: object) -> InstallInfo:
        """Raises ``MalformedResource`` without ``id``."""
        fields = Fields(data, "install")
        return cls(
            id=fields.required("id", as_id),
            status=as_choice(fields.get("status")),
            scopes=fields.items("scopes", as_id),
            pii_consent=fields.get("piiConsent") is True,
            organization_id=as_id(fields.get("organizationId")),
            created_at=as_datetime(fields.get("createdAt")),
            app=fields.optional("partnerApp", PartnerApp.from_json) or PartnerApp(),
            token=fields.optional("token", TokenInfo.from_json) or TokenInfo(),
            raw=fields.raw,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectLinkInfo(Resource):
    """The tie between a project of the platform and a job. ``job_id`` is "" where no job is linked."""

    id: str
    job_id: str = ""
    external_project_id: str = ""
    external_project_name: str = ""
    external_project_url: str = ""
    provisioning_mode: str = ""
    created_at: datetime | None = None

    @classmethod
    def from_json(cls, data: object) -> ProjectLinkInfo:
        """Raises ``MalformedResource`` without ``id``."""
        fields = Fields(data, "projectLink")
        return cls(
            id=fields.required("id", as_id),
            job_id=as_id(fields.get("jobId")),
            external_project_id=as_id(fields.get("externalProjectId")),
            external_project_name=as_text(fields.get("externalProjectName"), NAME_LENGTH),
            external_project_url=as_url(fields.get("externalProjectUrl")),
            provisioning_mode=as_choice(fields.get("provisioningMode")),
            created_at=as_datetime(fields.get("createdAt")),
            raw=fields.raw,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractInfo(Resource):
    """A hire. In webhook bodies ``project_link_ids`` and ``created_at`` are empty."""

    id: str
    status: str = ""
    job_id: str = ""
    title: str = ""
    start_date: date | None = None
    end_date: date | None = None
    created_at: datetime | None = None
    project_link_ids: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: object) -> ContractInfo:
        """Raises ``MalformedResource`` without ``id``."""
        fields = Fields(data, "contract")
        return cls(
            id=fields.required("id", as_id),
            status=as_choice(fields.get("status")),
            job_id=as_id(fields.get("jobId")),
            title=as_text(fields.get("title"), TITLE_LENGTH),
            start_date=as_date(fields.get("startDate")),
            end_date=as_date(fields.get("endDate")),
            created_at=as_datetime(fields.get("createdAt")),
            project_link_ids=fields.items("projectLinkIds", as_id),
            raw=fields.raw,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ParticipantInfo(Resource):
    """The trainer who was hired. Key on ``opentrain_user_id``: the name is masked and not unique."""

    opentrain_user_id: str
    display_name: str = ""
    country: str = ""
    profile_url: str = ""
    #: Needs the scope participants:email and the install's PII consent, and may come later; else "".
    work_email: str = field(default="", repr=False)

    @classmethod
    def from_json(cls, data: object) -> ParticipantInfo:
        """Raises ``MalformedResource`` without ``opentrainUserId``."""
        fields = Fields(data, "participant")
        return cls(
            opentrain_user_id=fields.required("opentrainUserId", as_id),
            display_name=as_text(fields.get("displayName"), NAME_LENGTH),
            country=as_text(fields.get("country"), COUNTRY_LENGTH),
            profile_url=as_url(fields.get("profileUrl")),
            work_email=as_email(fields.get("workEmail")),
            raw=fields.raw,
        )
