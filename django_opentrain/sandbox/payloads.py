"""How OpenTrain writes its things in JSON, in API answers and in webhook bodies alike."""

from __future__ import annotations

from django_opentrain.platform.catalog import PARTICIPANTS_EMAIL
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.models import (
    App,
    Contract,
    Endpoint,
    Freelancer,
    Install,
    Link,
    Token,
)

Json = dict[str, object]


def install_json(install: Install, app: App, token: Token) -> Json:
    return {
        "id": install.id,
        "status": install.status,
        "scopes": install.scopes,
        "piiConsent": install.pii_consent,
        "organizationId": install.organization_id,
        "createdAt": iso(install.created_at),
        "partnerApp": {"id": app.client_id, "slug": app.slug, "name": app.name},
        "token": {"id": token.id, "name": token.name, "scopes": token.scopes},
    }


def link_json(link: Link) -> Json:
    return {
        "id": link.id,
        "jobId": link.job_id,
        "externalProjectId": link.external_project_id,
        "externalProjectName": link.external_project_name,
        "externalProjectUrl": link.external_project_url,
        "provisioningMode": link.provisioning_mode,
        "createdAt": iso(link.created_at),
    }


def contract_json(contract: Contract) -> Json:
    """What the list of contracts and the contract events have in common."""
    return {
        "id": contract.id,
        "status": contract.status,
        "jobId": contract.job_id,
        "title": contract.title,
        "startDate": contract.start_date,
        "endDate": contract.end_date,
    }


def listed_contract_json(contract: Contract, links: list[Link]) -> Json:
    return {
        **contract_json(contract),
        "createdAt": iso(contract.created_at),
        "projectLinkIds": [link.id for link in links if link.job_id == contract.job_id],
    }


def freelancer_json(freelancer: Freelancer, install: Install, now: float) -> Json:
    """A participant, with the Work Email only where ``install`` may see it and it is out."""
    body: Json = {
        "opentrainUserId": freelancer.opentrain_user_id,
        "displayName": freelancer.display_name,
        "country": freelancer.country,
        "profileUrl": freelancer.profile_url,
    }
    released = freelancer.email_release_at is not None and freelancer.email_release_at <= now
    if released and install.pii_consent and PARTICIPANTS_EMAIL in install.scopes:
        body["workEmail"] = freelancer.work_email
    return body


def endpoint_json(endpoint: Endpoint) -> Json:
    """An endpoint, without its secret."""
    disabled_at = endpoint.disabled_at
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "eventTypes": endpoint.event_types,
        "status": endpoint.status,
        "createdAt": iso(endpoint.created_at),
        "consecutiveFailures": endpoint.consecutive_failures,
        "disabledAt": None if disabled_at is None else iso(disabled_at),
        "disabledReason": endpoint.disabled_reason,
    }
