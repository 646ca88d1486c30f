"""What OpenTrain's decisions mean on this platform: the one class that a site writes."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import AbstractUser
from django.http import HttpRequest

from django_opentrain.adapters import DjangoUsersAdapter, Project, conf
from django_opentrain.models import AccessGrant, Contract
from example_project.labelling import models


class LabellingAdapter(DjangoUsersAdapter):
    """A team is a customer, a seat is access. The base class manages the accounts."""

    #: By the page on which trainers work: ``views.py``.
    observes_work = True

    def get_tenant(self, request: HttpRequest) -> str | None:
        if not request.user.is_authenticated:
            return None
        team = models.Team.objects.filter(managers=request.user.pk).first()
        return str(team.pk) if team else None

    def display_customer(self, tenant: str) -> str:
        return models.Team.objects.get(pk=int(tenant)).name

    def list_projects(self, tenant: str) -> Iterable[Project]:
        for project in models.Project.objects.filter(team=int(tenant)):
            url = conf.absolute_url(project.get_absolute_url())
            yield Project(id=str(project.pk), name=project.name, url=url)

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        matching = (project for project in self.list_projects(tenant) if project.id == external_project_id)
        return next(matching, None)

    def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        models.Seat.objects.get_or_create(project_id=int(grant.external_project_id), user_id=user.pk)

    def close_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        models.Seat.objects.filter(project=int(grant.external_project_id), user=user.pk).delete()

    def has_project(self, user: AbstractUser, grant: AccessGrant) -> bool:
        return models.Seat.objects.filter(project=int(grant.external_project_id), user=user.pk).exists()

    def budget_changed(self, contract: Contract, previous_state: str) -> None:
        """Pause the seats while the funded work is used up."""
        used_up = contract.budget_state == Contract.BudgetState.DEPLETED
        for grant in contract.grants.wanted().exclude(host_user_ref=""):
            seats = models.Seat.objects.filter(project=int(grant.external_project_id))
            seats.filter(user__pk=grant.host_user_ref).update(paused=used_up)
