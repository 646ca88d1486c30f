"""doccano: whoever administers projects is a customer, and the annotator's role in one is access.

Tried with 1.8; docs/hosts.md says how it is installed there, and what to know of it. Nothing of doccano is imported:
its models are Django's to find, once the site runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.db.models import Count, Q
from django.db.models.functions import TruncDate

from django_opentrain.adapters.base import DayUsage, Project
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.conf import conf
from django_opentrain.models import AccessGrant, Contract

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser
    from django.http import HttpRequest

#: One of doccano's models by its name, such as ``projects.Member``. Any: there are no types of it.
model: Callable[[str], Any] = apps.get_model

_LABELS: Final = ("BoundingBox", "Category", "Relation", "Segmentation", "Span", "TextLabel")


class DoccanoAdapter(DjangoUsersAdapter):
    """Each user manages whom the projects hire that they administer; trainers come into them as annotators."""

    def get_tenant(self, request: HttpRequest) -> str | None:
        """This user, if they administer a project."""
        tenant = super().get_tenant(request)
        return tenant if tenant and _projects_of(tenant).exists() else None

    def list_projects(self, tenant: str) -> Iterable[Project]:
        """The projects that this user administers."""
        for project in _projects_of(tenant).order_by("name", "pk"):
            url = conf.absolute_url(f"/projects/{project.pk}")
            yield Project(id=str(project.pk), name=project.name, url=url)

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        """That one of them."""
        mine = (project for project in self.list_projects(tenant) if project.id == external_project_id)
        return next(mine, None)

    def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        """Make the user an annotator of the project, unless they have a role in it."""
        annotator = model("roles.Role").objects.get(name=_role("ROLE_ANNOTATOR"))
        _members(user, grant).get_or_create(
            user_id=user.pk, project_id=int(grant.external_project_id), defaults={"role": annotator}
        )

    def close_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        """Take the user's role in the project away, unless they administer it: that was not given by a contract."""
        _members(user, grant).exclude(role__name=_role("ROLE_PROJECT_ADMIN")).delete()

    def has_project(self, user: AbstractUser, grant: AccessGrant) -> bool:
        """Whether the user has a role in the project: doccano refuses it to everybody else."""
        return bool(_members(user, grant).exists())

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterable[DayUsage]:
        """Examples by the day on which they were confirmed, labels by the day on which they were made.

        doccano measures no time.
        """
        # A set: a project may have been linked more than once.
        given = {
            (grant.external_project_id, grant.host_user_ref)
            for grant in contract.grants.exclude(host_user_ref="").select_related("link")
        }
        tasks = _per_day("examples.ExampleState", "confirmed_by", "confirmed_at", given)
        labels: Counter[tuple[str, date]] = Counter()
        for kind in _LABELS:
            labels.update(_per_day(f"labels.{kind}", "user", "created_at", given))
        for worker, day in {*tasks, *labels}:
            if since <= day <= until:
                yield DayUsage(
                    work_date=day,
                    worker_id=worker,
                    tasks_completed=tasks[worker, day],
                    labels_completed=labels[worker, day],
                )


def _role(setting: str) -> str:
    """What this doccano calls the role of that setting."""
    return str(getattr(settings, setting))


def _projects_of(tenant: str) -> Any:
    administers = model("projects.Member").objects.filter(user=tenant, role__name=_role("ROLE_PROJECT_ADMIN"))
    return model("projects.Project").objects.filter(pk__in=administers.values("project"))


def _members(user: AbstractUser, grant: AccessGrant) -> Any:
    """The user's one role in the grant's project, or none."""
    return model("projects.Member").objects.filter(user=user.pk, project=int(grant.external_project_id))


def _per_day(kind: str, who: str, when: str, given: Iterable[tuple[str, str]]) -> Counter[tuple[str, date]]:
    """How many rows of ``kind`` each trainer made on each day, in the projects that were given to them."""
    theirs = Q(pk__in=())
    for project, user in given:
        theirs |= Q(**{"example__project": project, who: user})
    worker = f"{who}__opentrain_account__opentrain_user_id"
    day = TruncDate(when, tzinfo=ZoneInfo(conf.usage_time_zone))
    rows = model(kind).objects.filter(theirs).annotate(day=day).order_by("day").values("day", worker)
    return Counter(
        {(row[worker] or "", row["day"]): row["count"] for row in rows.annotate(count=Count("pk"))}
    )
