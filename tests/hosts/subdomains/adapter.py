"""A schema is a customer; users are shared by all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from django_tenants.utils import get_public_schema_name, schema_context

from django_opentrain.adapters import DjangoUsersAdapter, Project
from tests.hosts.subdomains.customers.models import Customer, Domain
from tests.hosts.subdomains.projects import models


class Adapter(DjangoUsersAdapter):
    """Access is a group for each project, which the base class manages."""

    def get_tenant(self, request: HttpRequest) -> str | None:
        schema = customer_of(request).schema_name
        return None if schema == get_public_schema_name() else str(schema)

    def can_manage(self, request: HttpRequest, tenant: str) -> bool:
        mine = Customer.objects.filter(schema_name=tenant, managers=request.user.pk)
        return request.user.is_authenticated and bool(mine.exists())

    def customer_url(self, tenant: str) -> str:
        return f"https://{Domain.objects.get(tenant__schema_name=tenant, is_primary=True)}"

    def list_projects(self, tenant: str) -> Iterable[Project]:
        site = self.customer_url(tenant)
        # Workers act in no schema, and the list is read after the context: so it is made here.
        with schema_context(tenant):
            return [
                Project(id=str(project.pk), name=project.name, url=f"{site}/projects/{project.pk}/")
                for project in models.Project.objects.order_by("pk")
            ]

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        projects = (each for each in self.list_projects(tenant) if each.id == external_project_id)
        return next(projects, None)


def customer_of(request: Any) -> Any:
    """Whose host it is: django-tenants' middleware sets it."""
    return request.tenant
