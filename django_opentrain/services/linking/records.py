"""Recording the links that OpenTrain has. ``lifecycle`` creates and removes them."""

from __future__ import annotations

import logging

from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from django_opentrain import signals
from django_opentrain.acting import acting_user
from django_opentrain.conflicts import retried
from django_opentrain.explanations import Reason
from django_opentrain.lazy_messages import LazyMessage
from django_opentrain.models import AccessGrant, Contract, Install, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.platform.resources import ProjectLinkInfo
from django_opentrain.services.access import grants
from django_opentrain.services.access.unit_of_work import UnitOfWork, unit_of_work
from django_opentrain.services.usage import withholding
from django_opentrain.services.workers import retries
from django_opentrain.services.workers.locks import install_lock

logger = logging.getLogger(__name__)


@retried
def save(install: Install, info: ProjectLinkInfo) -> ProjectLink | None:
    """Save a link that OpenTrain has.

    A removed one stays removed: ids are not used again, so this is outdated. A link of ours whose creation was not
    answered is recognised by its project. None if the project has another link here: OpenTrain allows one per
    project, so one of the two no longer exists, and only OpenTrain's list says which.
    """
    with unit_of_work(install) as unit:
        return record(unit, info)


def record(unit: UnitOfWork, info: ProjectLinkInfo) -> ProjectLink | None:
    """What ``save`` does."""
    link = _row_for(unit, info)
    if link is None or not link.live:
        return link
    contradiction = contradicts(link, info)
    if contradiction:
        logger.error("Project link %s: %s", link.opentrain_id, contradiction, extra=unit.install.log_fields)
    else:
        _fill(link, info)
        link.status = ProjectLink.Status.ACTIVE
    Reason.note(str(contradiction or "")).put(link, "last_error")
    if link.status == ProjectLink.Status.ACTIVE and link.linked_at is None:
        link.linked_at = timezone.now()
        _announce(signals.link_created, link)
    return link


def contradicts(link: ProjectLink, info: ProjectLinkInfo) -> LazyMessage | None:
    """The problem if OpenTrain reports another project for a link, which no call of its API can cause.

    Trainers have access through the link: it would be revoked in a project in which it was never granted.
    """
    if not link.opentrain_id or info.external_project_id in ("", link.external_project_id):
        return None
    return LazyMessage(
        _("OpenTrain says that link %(link)s is of project %(other)s. It stays with project %(project)s."),
        {
            "link": link.opentrain_id,
            "other": info.external_project_id,
            "project": link.external_project_id,
        },
    )


@retried
def adopt_job(link: ProjectLink, job_id: str) -> None:
    """OpenTrain lists the link with this job: the customer chose it there, for which there is no event."""
    with install_lock(link.install):
        ProjectLink.objects.live().filter(pk=link.pk).update(job_id=job_id, updated_at=timezone.now())


def _row_for(unit: UnitOfWork, info: ProjectLinkInfo) -> ProjectLink | None:
    """The row of this link: by its id, an unanswered one, or a new one; None if the project has another link."""
    link = unit.links.get(info.id)
    if link is not None:
        return link
    of_project = _live_link(unit, info.external_project_id)
    if of_project is None:
        return unit.links.put(info.id, ProjectLink(install=unit.install))
    unanswered = of_project.opentrain_id is None and same_job(of_project, info.job_id)
    return unit.links.put(info.id, of_project) if unanswered else None


def _live_link(unit: UnitOfWork, external_project_id: str) -> ProjectLink | None:
    for link in unit.links:
        if link.live and link.external_project_id == external_project_id:
            return link
    found = unit.links.find(live=True, external_project_id=external_project_id)
    # In the database a link is live that the unit has removed.
    return next((link for link in found if link.live), None)


def same_job(link: ProjectLink, job_id: str) -> bool:
    """Whether it can be a link to this job: one without a job gets one later."""
    return not link.job_id or not job_id or link.job_id == job_id


def _fill(link: ProjectLink, info: ProjectLinkInfo) -> None:
    link.opentrain_id = info.id
    link.external_project_id = link.external_project_id or info.external_project_id
    link.external_project_name = info.external_project_name or link.external_project_name
    link.external_project_url = info.external_project_url or link.external_project_url
    # Of two jobs the older one may have been reported last: the list says which is current.
    link.job_id = link.job_id or info.job_id
    if info.provisioning_mode:
        # With an unknown, newer mode OpenTrain may provision the accounts itself: then we must not.
        ours = info.provisioning_mode == catalog.PARTNER_WEBHOOK
        link.provisioning_mode = catalog.PARTNER_WEBHOOK if ours else catalog.MANAGED_ADAPTER


def record_removed_link(install: Install, info: ProjectLinkInfo) -> ProjectLink:
    """The link with this id; if unknown, a removed one is created, so that no late event can revive it."""
    link = ProjectLink.objects.filter(install=install, opentrain_id=info.id).first()
    if link is None:
        link = _removed_link(install, info)
        link.save()
    return link


def record_removal(unit: UnitOfWork, info: ProjectLinkInfo, cause: str) -> None:
    """The link with this id no longer exists on OpenTrain: what ``mark_removed`` does, also for an unknown one."""
    link = unit.links.get(info.id)
    if link is None:
        link = unit.links.put(info.id, _removed_link(unit.install, info))
    unit.revoke_link(link, cause)
    if link.status == ProjectLink.Status.REMOVED:
        return
    link.status, link.live, link.removed_at = ProjectLink.Status.REMOVED, None, timezone.now()
    if link.linked_at:
        _announce(signals.link_removed, link)
    if link.hours_tracked_elsewhere:
        unit.write()
        withholding.end(Contract.objects.filter(links=link))


def _removed_link(install: Install, info: ProjectLinkInfo) -> ProjectLink:
    status = ProjectLink.Status.REMOVED
    link = ProjectLink(install=install, status=status, live=None, removed_at=timezone.now())
    _fill(link, info)
    return link


@retried
def request_removal(link: ProjectLink, cause: str) -> None:
    """Access through this link ends; the workers remove it on OpenTrain."""
    with install_lock(link.install):
        ProjectLink.objects.filter(pk=link.pk, removal_requested_at=None).update(
            removal_requested_at=timezone.now()
        )
        grants.revoke(AccessGrant.objects.filter(link=link), cause)
        retries.request_reconcile(link.install)


@retried
def forget_id(link: ProjectLink) -> None:
    """The link no longer exists on OpenTrain although it is wanted: it has to be created again."""
    with install_lock(link.install):
        missing = ProjectLink.objects.active().filter(pk=link.pk, opentrain_id=link.opentrain_id)
        missing.update(opentrain_id=None, status=ProjectLink.Status.PENDING, updated_at=timezone.now())
    link.refresh_from_db()


@retried
def mark_removed(link: ProjectLink, cause: str) -> int:
    """The link no longer exists on OpenTrain: access through it ends. Returns how many grants that were."""
    now = timezone.now()
    with install_lock(link.install):
        present = ProjectLink.objects.filter(pk=link.pk).exclude(status=ProjectLink.Status.REMOVED)
        removed = present.update(status=ProjectLink.Status.REMOVED, live=None, removed_at=now, updated_at=now)
        link.refresh_from_db()
        if removed and link.hours_tracked_elsewhere:
            withholding.end(Contract.objects.filter(links=link))
        # One that OpenTrain never had was not announced, either.
        if removed and link.linked_at:
            _announce(signals.link_removed, link)
        return grants.revoke(AccessGrant.objects.filter(link=link), cause)


def _announce(signal: Signal, link: ProjectLink) -> None:
    """Send with the person in whose request it happened; None for what workers do."""
    signals.send_on_commit(signal, ProjectLink, link=link, actor=acting_user())
