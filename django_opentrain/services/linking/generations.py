"""Links across a reconnect: OpenTrain's new install starts empty, so each link is created again, with a new id.

Which link continues which is stored (``ProjectLink.continued_by``), never recognised: ids and snapshots belong to
one install. A late event of the old install names a link that no longer exists on OpenTrain; if its id were written
to the row that waits to be created in the new install, that link would never be created.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from django_opentrain.conflicts import retried
from django_opentrain.models import AccessGrant, Contract, Install, ProjectLink
from django_opentrain.platform.resources import ProjectLinkInfo
from django_opentrain.services.access import grants
from django_opentrain.services.linking import records
from django_opentrain.services.workers import retries
from django_opentrain.services.workers.locks import install_lock

#: Only a removal this long before the reconnect counts as intended: whether OpenTrain sends one for each link that a
#: reconnect ends is not documented.
PART_OF_RECONNECT: Final = timedelta(minutes=1)


def carry_over(link: ProjectLink, new: Install) -> ProjectLink:
    """A link row in the new install, to be created on OpenTrain; the grants continue without interruption."""
    successor, created = ProjectLink.objects.get_or_create(
        install=new,
        external_project_id=link.external_project_id,
        live=True,
        defaults={
            "external_project_name": link.external_project_name,
            "external_project_url": link.external_project_url,
            "job_id": find_job(link),
            "provisioning_mode": link.provisioning_mode,
            "linked_at": link.linked_at,
            "removal_requested_at": link.removal_requested_at,
            **_switches(link),
        },
    )
    # What is on stays on, also where the new install had the link before.
    if not created and (on := {name: True for name, value in _switches(link).items() if value}):
        ProjectLink.objects.filter(pk=successor.pk).update(**on)
    already_linked = list(successor.contracts.values_list("pk", flat=True))
    linked = Contract.links.through.objects.filter(projectlink=link)
    linked.filter(contract__in=already_linked).delete()
    linked.update(projectlink=successor)
    AccessGrant.objects.filter(link=link).update(link=successor)
    grants.follow_budgets(AccessGrant.objects.filter(link=successor))
    ProjectLink.objects.filter(pk=link.pk).update(
        status=ProjectLink.Status.REMOVED,
        live=None,
        removed_at=timezone.now(),
        continued_by=successor,
    )
    return successor


def _switches(link: ProjectLink) -> dict[str, bool]:
    """What the customer has decided about the link."""
    return {
        "hours_tracked_elsewhere": link.hours_tracked_elsewhere,
        "stop_when_depleted": link.stop_when_depleted,
    }


def find_job(link: ProjectLink) -> str:
    """The job of a link; where it was chosen later, on OpenTrain, which no event says, its contracts know; or ""."""
    hires = Contract.objects.filter(links=link).exclude(job_id="").order_by("-pk")
    return link.job_id or hires.values_list("job_id", flat=True).first() or ""


def current(link: ProjectLink) -> ProjectLink:
    """The current link: after a reconnect, the one that continues this one."""
    visited = {link.pk}
    while link.continued_by is not None and link.continued_by.pk not in visited:
        link = link.continued_by
        visited.add(link.pk)
    return link


def begin_again(install: Install) -> None:
    """Forget the ids of links that this install had before another took over: OpenTrain's list says which exist."""
    continued = ProjectLink.objects.filter(install=install).exclude(continued_by=None)
    continued.update(opentrain_id=None, continued_by=None)


@retried
def from_predecessor(origin: Install, install: Install, info: ProjectLinkInfo) -> ProjectLink:
    """The current link for a late event of a superseded install.

    One that was unknown when ``install`` took over is carried over now, so that the order makes no difference.
    """
    with install_lock(install):
        link = ProjectLink.objects.filter(install=origin, opentrain_id=info.id).first()
        if link is None:
            link = records.record_removed_link(origin, info)
            _continue_late(link, install)
            link.refresh_from_db()
    return current(link)


def _continue_late(link: ProjectLink, new: Install) -> None:
    """What was decided about the project since the reconnect stays in effect."""
    if not link.external_project_id:
        return
    since = ProjectLink.objects.filter(install=new, external_project_id=link.external_project_id)
    latest = since.order_by("-pk").first()
    if latest is None:
        carry_over(link, new)
        retries.request_reconcile(new)
    elif records.same_job(latest, link.job_id):
        ProjectLink.objects.filter(pk=link.pk).update(continued_by=latest)


def was_intended(link: ProjectLink, removed_at: datetime | None) -> bool:
    """Whether a link of a superseded install was removed before the reconnect, and not by it."""
    ended_at = link.install.revoked_at
    return bool(removed_at and ended_at and removed_at < ended_at - PART_OF_RECONNECT)
