"""Whether an older install of a tenant is of the organization that connects now, where ``organizationId`` is missing.

An empty id is unknown: equal to no other. A tenant may have several organizations, so guessing would give one's
contracts to another. What is documented decides: a reconnect ends the older install, so one that OpenTrain still
accepts is another organization's; and only a link to a job "of the installing employer" can be created, so the new
install is asked for one that the reconnect creates anyway. Where neither can be learned, nothing is taken over.
"""

from __future__ import annotations

import logging

from django_opentrain.clients import build_client
from django_opentrain.errors import UndecryptableError
from django_opentrain.models import Install, ProjectLink
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    InvalidRequest,
    MissingScope,
    NotFound,
    Unauthorized,
)
from django_opentrain.platform.resources import InstallInfo
from django_opentrain.services.linking import generations

logger = logging.getLogger(__name__)


def find_predecessors(tenant: str, info: InstallInfo, token: str) -> frozenset[int]:
    """Keys of the tenant's installs that are proven to be of the organization of ``info``, though one id is missing.

    ``token`` is the new install's. Raises ``OpenTrainError`` when OpenTrain can't be asked: the token can be pasted
    again.
    """
    existing = Install.objects.filter(tenant=tenant)
    others = existing.exclude(opentrain_id=info.id).filter(superseded_by=None)
    candidates = others.exclude(status=Install.Status.PENDING)
    known = existing.filter(opentrain_id=info.id).exclude(organization_id="").exists()
    if info.organization_id or known:
        candidates = candidates.filter(organization_id="")
    client = build_client(token, scopes=info.scopes)
    return frozenset(row.pk for row in candidates.order_by("pk") if _is_same(row, info, client))


def _is_same(old: Install, info: InstallInfo, client: PlatformClient) -> bool:
    answer = _ask(old)
    if answer is not None:
        # It stands, so this is no reconnect of it. What it is called is known from now on, if OpenTrain says so.
        Install.objects.filter(pk=old.pk, organization_id="").update(organization_id=answer.organization_id)
        return bool(info.organization_id) and answer.organization_id == info.organization_id
    same = _has_its_job(old, client)
    if not same:
        text = "Install %s: whether it is of the organization of %s is unknown, so nothing is taken over."
        logger.warning(text, old.opentrain_id, info.id, extra=old.log_fields)
    return same


def _ask(old: Install) -> InstallInfo | None:
    """What OpenTrain says of an older install; None where it no longer accepts it, or can't be asked."""
    try:
        answer = build_client(old.token).get_install() if old.token else None
    except (Unauthorized, Forbidden, UndecryptableError):
        return None
    return answer if answer and answer.id == old.opentrain_id else None


def _has_its_job(old: Install, client: PlatformClient) -> bool:
    """Whether a job of the older install is one of the new one's employer: try to link it, as the reconnect does."""
    for link in ProjectLink.objects.live().filter(install=old, removal_requested_at=None).order_by("pk"):
        if job_id := generations.find_job(link):
            return _can_link(link, job_id, client)
    return False


def _can_link(link: ProjectLink, job_id: str, client: PlatformClient) -> bool:
    try:
        client.create_project_link(
            external_project_id=link.external_project_id,
            external_project_name=link.external_project_name or None,
            external_project_url=link.external_project_url or None,
            job_id=job_id,
            provisioning_mode=link.provisioning_mode,
        )
    except Conflict:
        # Made by an earlier attempt, whose answer was lost or after which the token could not be stored.
        return any(
            (info.external_project_id, info.job_id) == (link.external_project_id, job_id)
            for info in client.list_project_links()
        )
    except (MissingScope, InvalidRequest):
        return False
    except (NotFound, BadRequest, Forbidden) as error:
        if not error.from_opentrain:
            raise
        return False
    return True
