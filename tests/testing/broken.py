"""Adapters that each break one promise, in a way that real ones do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timezone
from typing import ClassVar

from django.contrib.auth.models import AbstractUser, Group, User
from django.http import HttpRequest

from django_opentrain.adapters import DayUsage, Project
from django_opentrain.models import AccessGrant, Contract, TrainerAccount
from tests.testing.hosts import PROJECTS, WORK, GroupAdapter, Work


class AnybodysProjects(GroupAdapter):
    """Doesn't look at the tenant."""

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        everybodys = {pk for ids in PROJECTS.values() for pk in ids}
        return Project(id=external_project_id) if external_project_id in everybodys else None


class IdFromTheName(GroupAdapter):
    """Answers with another id than it was asked for."""

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        project = super().get_project(tenant, external_project_id)
        return project and Project(id=project.name, name=project.name)


class NumbersOnly(GroupAdapter):
    """Believes that an id is a number."""

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        return super().get_project(tenant, str(int(external_project_id)))


class ListsTwice(GroupAdapter):
    """A join without DISTINCT."""

    def list_projects(self, tenant: str) -> Iterable[Project]:
        return [*super().list_projects(tenant)] * 2


class ListsEverything(GroupAdapter):
    """Forgets to filter."""

    def list_projects(self, tenant: str) -> Iterable[Project]:
        return [Project(id=pk) for ids in PROJECTS.values() for pk in ids]


class AnonymousCustomer(GroupAdapter):
    """Takes the primary key of the visitor."""

    def get_tenant(self, request: HttpRequest) -> str | None:
        return str(request.user.pk)


class BudgetCloses(GroupAdapter):
    """Takes the access away with the budget."""

    def budget_changed(self, contract: Contract, previous_state: str) -> None:
        if contract.budget_state == Contract.BudgetState.DEPLETED:
            for grant in contract.grants.all():
                self.revoke_access(grant)
                User.objects.filter(pk=grant.host_user_ref).update(is_active=False)


class NewAccountEachTime(GroupAdapter):
    """Creates before it finds."""

    def grant_access(self, grant: AccessGrant) -> str:
        user = User.objects.create(username=f"trainer{User.objects.count()}")
        self.open_project(user, grant)
        return str(user.pk)


class KnowsWhoWasThere(GroupAdapter):
    """Says of all trainers that they have access, also of those who no longer do."""

    def access_states(self, grants: Sequence[AccessGrant]) -> Mapping[int, bool | None]:
        return {grant.pk: True for grant in grants}


class NeverRemoves(GroupAdapter):
    """Swallows the 403 of a removal."""

    def revoke_access(self, grant: AccessGrant) -> None:
        pass


class SeesNoMembers(GroupAdapter):
    """May add members, and not list them."""

    def has_access(self, grant: AccessGrant) -> bool | None:
        return False


class SeesThemForever(GroupAdapter):
    """Looks for the account, which stays."""

    def has_access(self, grant: AccessGrant) -> bool | None:
        return User.objects.filter(pk=grant.host_user_ref).exists()


class MustKnowThem(GroupAdapter):
    """Expects to have given what it takes away."""

    def revoke_access(self, grant: AccessGrant) -> None:
        TrainerAccount.objects.get(opentrain_user_id=grant.participant.opentrain_user_id)
        super().revoke_access(grant)


class RemovesOnce(GroupAdapter):
    """Falls over a removal that was done already."""

    removed: ClassVar[set[int]] = set()

    def revoke_access(self, grant: AccessGrant) -> None:
        if grant.pk in self.removed:
            raise LookupError("They are gone already.")
        self.removed.add(grant.pk)
        super().revoke_access(grant)


class OneGroupForAll(GroupAdapter):
    """Trainers get into everything."""

    def project_group(self, tenant: str, external_project_id: str) -> Group:
        return Group.objects.get_or_create(name="trainers")[0]

    def has_project(self, user: AbstractUser, grant: AccessGrant) -> bool:
        return user.groups.filter(name="trainers").exists()


class ClosesEverything(GroupAdapter):
    """One removal closes all projects of the trainer."""

    def close_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        user.groups.clear()


class NeverBack(GroupAdapter):
    """Doesn't take its own deactivation back."""

    def _reactivate(self, account: TrainerAccount) -> bool:
        return False


class AdoptsStrangers(GroupAdapter):
    """Takes an e-mail address for a proof."""

    def may_adopt(self, user: AbstractUser) -> bool:
        return True


class _FindsBy(GroupAdapter):
    """An account per ``username`` instead of per trainer."""

    def username(self, grant: AccessGrant) -> str:
        raise NotImplementedError

    def grant_access(self, grant: AccessGrant) -> str:
        user, _ = User.objects.get_or_create(username=self.username(grant))
        User.objects.filter(pk=user.pk).update(is_active=True)
        self.open_project(user, grant)
        return str(user.pk)

    def revoke_access(self, grant: AccessGrant) -> None:
        for user in User.objects.filter(username=self.username(grant)):
            self.close_project(user, grant)


class FindsByName(_FindsBy):
    """Names are masked, not unique, and change."""

    def username(self, grant: AccessGrant) -> str:
        return grant.participant.display_name[:150]


class OneAccountForAll(_FindsBy):
    """Trainers share a login."""

    def username(self, grant: AccessGrant) -> str:
        return "trainer"


class FindsByEmail(_FindsBy):
    """So it makes another account when a Work Email changes."""

    def username(self, grant: AccessGrant) -> str:
        return grant.participant.work_email or ""


class PlainNamesOnly(GroupAdapter):
    """Writes the name into an old system."""

    def grant_access(self, grant: AccessGrant) -> str:
        grant.participant.display_name.encode("latin-1")
        return super().grant_access(grant)


class ShortEmailsOnly(GroupAdapter):
    """Has a column of 75 characters, as Django had once."""

    def grant_access(self, grant: AccessGrant) -> str:
        if len(grant.participant.work_email or "") > 75:
            raise ValueError("value too long for type character varying(75)")
        return super().grant_access(grant)


class DaysInUtc(GroupAdapter):
    """Forgets that a day is the usage time zone's."""

    def day(self, at: datetime) -> date:
        return at.astimezone(timezone.utc).date()


class AllDays(GroupAdapter):
    """Answers with more than it was asked for."""

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterable[DayUsage]:
        return super().collect_usage(contract, date.min, date.max)


class EverybodysWork(GroupAdapter):
    """Counts the project instead of the trainer."""

    def is_theirs(self, work: Work, grants: Iterable[AccessGrant]) -> bool:
        return work.project in {grant.external_project_id for grant in grants}


class EveryProjectsWork(GroupAdapter):
    """Counts the trainer instead of the contract."""

    def is_theirs(self, work: Work, grants: Iterable[AccessGrant]) -> bool:
        return work.user in {grant.host_user_ref for grant in grants}


class CountsPerGrant(GroupAdapter):
    """Counts a project once for each grant to it."""

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterable[DayUsage]:
        for day in super().collect_usage(contract, since, until):
            times = contract.grants.count()
            yield DayUsage(
                work_date=day.work_date,
                total_seconds=(day.total_seconds or 0) * times,
                labels_completed=(day.labels_completed or 0) * times,
            )


class PresentOnly(GroupAdapter):
    """Forgets the work of those who have left."""

    def is_theirs(self, work: Work, grants: Iterable[AccessGrant]) -> bool:
        present = [grant for grant in grants if grant.state == AccessGrant.State.GRANTED]
        return super().is_theirs(work, present)


class SaysNothingChanged(GroupAdapter):
    def usage_changed_since(self, since: datetime) -> Iterable[Contract]:
        return ()


class NewestOnly(GroupAdapter):
    """Reports what came last instead of the day's total."""

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterable[DayUsage]:
        for day in super().collect_usage(contract, since, until):
            yield DayUsage(work_date=day.work_date, total_seconds=WORK[-1].seconds, labels_completed=5)


class AddsUp(GroupAdapter):
    """Adds what it counts to what it has reported before."""

    def collect_usage(self, contract: Contract, since: date, until: date) -> Iterable[DayUsage]:
        known = dict(contract.usage.values_list("work_date", "total_seconds"))
        for day in super().collect_usage(contract, since, until):
            total = (known.get(day.work_date) or 0) + (day.total_seconds or 0)
            yield DayUsage(
                work_date=day.work_date, total_seconds=total, labels_completed=day.labels_completed
            )
