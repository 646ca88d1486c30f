"""What OpenTrain's decisions mean on this platform: the one class that a site writes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from django.contrib.auth.models import AbstractUser
from django.db.models import Count, F, Sum
from django.http import HttpRequest

from django_opentrain.adapters import DayUsage, DjangoUsersAdapter, Project, conf, day_bounds, day_of
from django_opentrain.models import AccessGrant, Contract
from example_project.labelling import models


class LabellingAdapter(DjangoUsersAdapter):
    """A team is a customer, a seat is access, an annotation is work. The base class manages the accounts."""

    def get_tenant(self, request: HttpRequest) -> str | None:
        if not request.user.is_authenticated:
            return None
        team = models.Team.objects.filter(managers=request.user.pk).first()
        return str(team.pk) if team else None

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

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterable[DayUsage]:
        day = day_of("created_at", since, until)
        worker = F("user__opentrain_account__opentrain_user_id")
        begin, end = day_bounds(since, until)
        work = models.Annotation.objects.filter(contract=contract, created_at__gte=begin, created_at__lt=end)
        totals = work.annotate(day=day, worker=worker).order_by("day").values("day", "worker")
        for row in totals.annotate(
            seconds=Sum("seconds"), tasks=Count("task", distinct=True), labels=Count("pk")
        ):
            yield DayUsage(
                work_date=row["day"],
                worker_id=row["worker"] or "",
                total_seconds=min(row["seconds"], 24 * 3600),
                tasks_completed=row["tasks"],
                labels_completed=row["labels"],
            )

    def budget_changed(self, contract: Contract, previous_state: str) -> None:
        """Pause the seats while the funded work is used up."""
        used_up = contract.budget_state == Contract.BudgetState.DEPLETED
        for grant in contract.grants.wanted():
            seats = models.Seat.objects.filter(project=int(grant.external_project_id))
            seats.filter(user=grant.host_user_ref or None).update(paused=used_up)
