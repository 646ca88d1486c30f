"""The host's projects beside their links."""

from __future__ import annotations

from dataclasses import dataclass

from django_opentrain.adapters import Project
from django_opentrain.models import Install, ProjectLink


@dataclass(frozen=True)
class ProjectRow:
    """A project and its link. The project is None when the host no longer has it, or never had."""

    project: Project | None
    link: ProjectLink | None


def project_rows(install: Install, projects: list[Project]) -> list[ProjectRow]:
    """The host's projects, linked ones first, and the links whose project the host doesn't have."""
    links = {link.external_project_id: link for link in ProjectLink.objects.live().filter(install=install)}
    rows = [ProjectRow(project, links.pop(project.id, None)) for project in projects]
    rows.sort(key=lambda row: row.link is None)
    return [ProjectRow(None, link) for link in links.values()] + rows
