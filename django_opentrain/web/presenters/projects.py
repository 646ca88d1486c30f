"""The host's projects beside their links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Max, Q

from django_opentrain.adapters import Project
from django_opentrain.models import Contract, Install, ProjectLink


@dataclass(frozen=True)
class ProjectRow:
    """A project and its link. The project is None when the host no longer has it, or never had."""

    project: Project | None
    link: ProjectLink | None
    #: The project's link through another connection of the customer's.
    elsewhere: ProjectLink | None = None
    #: What the link's job is called, where contracts say it.
    job_title: str = ""

    @property
    def is_linkable(self) -> bool:
        return bool(self.project) and not (self.link or self.elsewhere)


def project_rows(install: Install, projects: list[Project]) -> list[ProjectRow]:
    """The host's projects, linked ones first, and the links whose project the host doesn't have."""
    rivals = Q(install__tenant=install.tenant, install__status__in=Install.LIVE, removal_requested_at=None)
    links: dict[str, ProjectLink] = {}
    elsewhere: dict[str, ProjectLink] = {}
    for link in ProjectLink.objects.live().filter(rivals | Q(install=install)).select_related("install"):
        own = link.install_id == install.pk
        (links if own else elsewhere)[link.external_project_id] = link
    titles = _job_titles(install, links.values())
    rows = [
        _row(titles, project, links.pop(project.id, None), elsewhere.get(project.id)) for project in projects
    ]
    rows.sort(key=lambda row: (row.link is None, row.elsewhere is None))
    return [_row(titles, None, link) for link in links.values()] + rows


def _row(
    titles: Mapping[str, str],
    project: Project | None,
    link: ProjectLink | None,
    elsewhere: ProjectLink | None = None,
) -> ProjectRow:
    return ProjectRow(project, link, elsewhere, titles.get(link.job_id, "") if link else "")


def _job_titles(install: Install, links: Iterable[ProjectLink]) -> dict[str, str]:
    """By the job's id. OpenTrain has no call for jobs: the newest contract's title is the job's."""
    named = Contract.objects.filter(
        install=install, job_id__in=[link.job_id for link in links if link.job_id]
    ).exclude(title="")
    # Not all of them: a job may have had thousands.
    newest = named.order_by().values("job_id").annotate(newest=Max("pk")).values("newest")
    return dict(Contract.objects.filter(pk__in=newest).values_list("job_id", "title"))
