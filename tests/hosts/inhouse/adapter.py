"""What OpenTrain's decisions mean on this platform: its one class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from guardian.shortcuts import assign_perm, remove_perm
from knox.models import AuthToken

from django_opentrain.adapters import DjangoUsersAdapter, Project, conf
from django_opentrain.models import AccessGrant, Participant
from tests.hosts.inhouse import models, organizations

ANNOTATE = "annotate_project"


class Adapter(DjangoUsersAdapter):
    """An organization is a customer, a permission on a project is access."""

    observes_work = True

    # Customers: a person can manage several.

    def get_tenant(self, request: HttpRequest) -> str | None:
        organization = organizations.current(request)
        return str(organization.pk) if organization else None

    def get_tenants(self, request: HttpRequest) -> Iterable[str]:
        return [str(organization.pk) for organization in organizations.of(request)]

    def display_customer(self, tenant: str) -> str:
        return models.Organization.objects.get(pk=tenant).name

    def can_manage(self, request: HttpRequest, tenant: str) -> bool:
        managers = models.Membership.objects.filter(organization=int(tenant), is_manager=True)
        return managers.filter(user=request.user.pk).exists()

    # Their projects.

    def list_projects(self, tenant: str) -> Iterable[Project]:
        for project in models.Project.objects.filter(organization=int(tenant)):
            yield Project(
                id=str(project.pk), name=project.name, url=conf.absolute_url(project.get_absolute_url())
            )

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        projects = (project for project in self.list_projects(tenant) if project.id == external_project_id)
        return next(projects, None)

    # Trainers' accounts and access.

    def create_user(self, email: str, participant: Participant) -> Any:
        return models.User.objects.create_user(email)

    def populate_user(self, user: Any, participant: Participant) -> None:
        user.name = participant.display_name[:150]
        user.save(update_fields=["name"])

    def open_project(self, user: Any, grant: AccessGrant) -> None:
        assign_perm(ANNOTATE, user, project_of(grant))

    def close_project(self, user: Any, grant: AccessGrant) -> None:
        # An account that a trainer had before stays active, and so would its tokens.
        AuthToken.objects.filter(user=user).delete()
        remove_perm(ANNOTATE, user, project_of(grant))

    def has_project(self, user: Any, grant: AccessGrant) -> bool:
        return bool(user.has_perm(f"inhouse.{ANNOTATE}", project_of(grant)))


def project_of(grant: AccessGrant) -> models.Project:
    """The project that a grant opens."""
    return models.Project.objects.get(pk=grant.external_project_id)
