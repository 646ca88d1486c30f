"""A small host: projects of two tenants, whose groups let trainers in, and work that it keeps in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django_opentrain.adapters import DayUsage, Project
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.conf import conf
from django_opentrain.models import AccessGrant, Contract

PROJECTS = {"acme": ("1", "2"), "globex": ("3",)}


@dataclass(frozen=True)
class Work:
    user: str
    project: str
    at: datetime
    seconds: int
    labels: int


WORK: list[Work] = []


class GroupAdapter(DjangoUsersAdapter):
    """The default adapter, with projects and their work."""

    def list_projects(self, tenant: str) -> Iterable[Project]:
        return [Project(id=pk, name=f"Project {pk}") for pk in PROJECTS.get(tenant, ())]

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        mine = (project for project in self.list_projects(tenant) if project.id == external_project_id)
        return next(mine, None)

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterable[DayUsage]:
        seconds: Counter[date] = Counter()
        labels: Counter[date] = Counter()
        grants = list(contract.grants.all())
        for work in WORK:
            if self.is_theirs(work, grants) and since <= self.day(work.at) <= until:
                seconds[self.day(work.at)] += work.seconds
                labels[self.day(work.at)] += work.labels
        for day, total in seconds.items():
            yield DayUsage(work_date=day, total_seconds=total, labels_completed=labels[day])

    def usage_changed_since(self, since: datetime) -> Iterable[Contract]:
        projects = {work.project for work in WORK if work.at >= since}
        return Contract.objects.filter(links__external_project_id__in=projects)

    def day(self, at: datetime) -> date:
        return at.astimezone(ZoneInfo(conf.usage_time_zone)).date()

    def is_theirs(self, work: Work, grants: Iterable[AccessGrant]) -> bool:
        return (work.user, work.project) in {
            (each.host_user_ref, each.external_project_id) for each in grants
        }


class ObservingAdapter(GroupAdapter):
    """The same, on a site with a work ledger."""

    observes_work = True
