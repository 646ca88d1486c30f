"""The host's projects beside their links."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from django_opentrain.adapters import Project
from django_opentrain.models import Install, ProjectLink


@dataclass(frozen=True)
class ProjectRow:
    """A project and its link. The project is None when the host no longer has it, or never had."""

    project: Project | None
    link: ProjectLink | None
    #: The project's link through another connection of the customer's.
    elsewhere: ProjectLink | None = None

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
    rows = [
        ProjectRow(project, links.pop(project.id, None), elsewhere.get(project.id)) for project in projects
    ]
    rows.sort(key=lambda row: (row.link is None, row.elsewhere is None))
    return [ProjectRow(None, link) for link in links.values()] + rows
