"""A small host: projects of two tenants, whose groups let trainers in."""

from __future__ import annotations

from collections.abc import Iterable

from django_opentrain.adapters import Project
from django_opentrain.adapters.users import DjangoUsersAdapter

PROJECTS = {"acme": ("1", "2"), "globex": ("3",)}


class GroupAdapter(DjangoUsersAdapter):
    """The default adapter, with projects."""

    def list_projects(self, tenant: str) -> Iterable[Project]:
        return [Project(id=pk, name=f"Project {pk}") for pk in PROJECTS.get(tenant, ())]

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        mine = (project for project in self.list_projects(tenant) if project.id == external_project_id)
        return next(mine, None)
