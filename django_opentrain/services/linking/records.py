"""Writing down which links OpenTrain says there are. Making and removing them is ``services.linking``."""

from __future__ import annotations

import logging

from django.utils import timezone
from django.utils.translation import gettext_noop as _

from django_opentrain.explanations import Reason
from django_opentrain.lazy_messages import Phrase
from django_opentrain.models import AccessGrant, Install, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.platform.resources import ProjectLinkInfo
from django_opentrain.services.access import grants
from django_opentrain.services.workers import retries
from django_opentrain.services.workers.locks import install_lock

logger = logging.getLogger(__name__)


def save(install: Install, info: ProjectLinkInfo) -> ProjectLink | None:
    """Remember a link that OpenTrain has.

    A removed one stays removed: ids are not used again, so this is old news. A link of ours whose creation got
    no answer is recognised by its project. None when another link stands in the way: OpenTrain allows one
    per project, so one of the two is gone, and only a look at OpenTrain's list tells which.
    """
    with install_lock(install):
        link = _row_for(install, info)
        if link is not None and link.live:
            contradiction = contradicts(link, info)
            if contradiction:
                logger.error("Project link %s: %s", link.opentrain_id, contradiction)
            else:
                _fill(link, info)
                link.status = ProjectLink.Status.ACTIVE
            Reason.note(str(contradiction or "")).put(link, "last_error")
            link.save()
    return link


def contradicts(link: ProjectLink, info: ProjectLinkInfo) -> Phrase | None:
    """What is said of a link and can't be: OpenTrain has no call that gives a link another project.

    Trainers have access through it, which would end in the one project and was given in the other.
    """
    if not link.opentrain_id or info.external_project_id in ("", link.external_project_id):
        return None
    return Phrase(
        _("OpenTrain says that link %(link)s is of project %(other)s. It stays with project %(project)s."),
        {
            "link": link.opentrain_id,
            "other": info.external_project_id,
            "project": link.external_project_id,
        },
    )


def adopt_job(link: ProjectLink, job_id: str) -> None:
    """OpenTrain lists the link with this job: the customer chose it there, which no event says."""
    with install_lock(link.install):
        ProjectLink.objects.live().filter(pk=link.pk).update(job_id=job_id, updated_at=timezone.now())


def _row_for(install: Install, info: ProjectLinkInfo) -> ProjectLink | None:
    """The row of this link: known, ours without an answer yet, or new; None when another is in the way."""
    link = ProjectLink.objects.filter(install=install, opentrain_id=info.id).first()
    if link is not None:
        return link
    live = ProjectLink.objects.live().filter(install=install)
    in_the_way = live.filter(external_project_id=info.external_project_id).first()
    if in_the_way is None:
        return ProjectLink(install=install)
    unanswered = in_the_way.opentrain_id is None and same_job(in_the_way, info.job_id)
    return in_the_way if unanswered else None


def same_job(link: ProjectLink, job_id: str) -> bool:
    """Whether it can be a link of this job: one without a job is given one later."""
    return not link.job_id or not job_id or link.job_id == job_id


def _fill(link: ProjectLink, info: ProjectLinkInfo) -> None:
    link.opentrain_id = info.id
    link.external_project_id = link.external_project_id or info.external_project_id
    link.external_project_name = info.external_project_name or link.external_project_name
    link.external_project_url = info.external_project_url or link.external_project_url
    # Of two jobs the older news may have come last: the list says which it is.
    link.job_id = link.job_id or info.job_id
    if info.provisioning_mode:
        # A mode that OpenTrain adds one day may mean that it provisions the accounts: then we must not.
        ours = info.provisioning_mode == catalog.PARTNER_WEBHOOK
        link.provisioning_mode = catalog.PARTNER_WEBHOOK if ours else catalog.MANAGED_ADAPTER


def record_removed_link(install: Install, info: ProjectLinkInfo) -> ProjectLink:
    """The link with this id; a removed one is made where none was known, so that late news can't revive it."""
    link = ProjectLink.objects.filter(install=install, opentrain_id=info.id).first()
    if link is None:
        link = ProjectLink(
            install=install, status=ProjectLink.Status.REMOVED, live=None, removed_at=timezone.now()
        )
        _fill(link, info)
        link.save()
    return link


def request_removal(link: ProjectLink, cause: str) -> None:
    """Access through this link ends; removing it at OpenTrain is left to the workers."""
    with install_lock(link.install):
        ProjectLink.objects.filter(pk=link.pk, removal_requested_at=None).update(
            removal_requested_at=timezone.now()
        )
        grants.revoke(AccessGrant.objects.filter(link=link), cause)
        retries.request_reconcile(link.install)


def forget_id(link: ProjectLink) -> None:
    """The link is gone at OpenTrain although it is wanted: it is to be made again."""
    with install_lock(link.install):
        gone = ProjectLink.objects.active().filter(pk=link.pk, opentrain_id=link.opentrain_id)
        gone.update(opentrain_id=None, status=ProjectLink.Status.PENDING, updated_at=timezone.now())
    link.refresh_from_db()


def mark_removed(link: ProjectLink, cause: str) -> int:
    """The link is gone at OpenTrain: access through it is to end. Returns how many grants that were."""
    now = timezone.now()
    with install_lock(link.install):
        standing = ProjectLink.objects.filter(pk=link.pk).exclude(status=ProjectLink.Status.REMOVED)
        standing.update(status=ProjectLink.Status.REMOVED, live=None, removed_at=now, updated_at=now)
        link.refresh_from_db()
        return grants.revoke(AccessGrant.objects.filter(link=link), cause)
