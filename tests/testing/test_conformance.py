"""The conformance checks: the default adapter passes, and each broken one is found out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from django_opentrain.adapters import get_adapter
from django_opentrain.models import AccessGrant, TrainerAccount
from django_opentrain.testing.conformance import AdapterConformance, AdapterHooks
from django_opentrain.testing.kit import OpenTrain
from tests.testing import broken
from tests.testing.hosts import WORK, GroupAdapter, Work


class GroupHooks(AdapterHooks):
    """What the checks have to know of the adapters in ``tests.testing.hosts``."""

    project_id = "1"
    other_project_id = "2"
    other_tenant = "globex"
    totals = ("total_seconds", "labels_completed")

    @pytest.fixture(autouse=True)
    def _no_work_yet(self) -> Iterator[None]:
        yield
        WORK.clear()
        broken.RemovesOnce.removed.clear()

    def can_enter(self, grant: AccessGrant) -> bool:
        user = User.objects.filter(pk=grant.host_user_ref or 0, is_active=True).first()
        adapter = get_adapter()
        assert isinstance(adapter, GroupAdapter)
        return user is not None and adapter.has_project(user, grant)

    def do_work(self, grant: AccessGrant, at: datetime, *, seconds: int, tasks: int, labels: int) -> None:
        WORK.append(Work(grant.host_user_ref, grant.external_project_id, at, seconds, labels))


class TestGroupAdapter(GroupHooks, AdapterConformance):
    """DjangoUsersAdapter, with the least that a site adds."""

    @pytest.fixture
    def linked(self, opentrain: OpenTrain) -> OpenTrain:
        link_first(opentrain)
        return opentrain


def link_first(opentrain: OpenTrain) -> None:
    opentrain.connect(GroupHooks.tenant)
    opentrain.link(GroupHooks.project_id)


FOUND_OUT = [
    (broken.IdFromTheName, "test_a_customers_project_is_found", AssertionError),
    (broken.AnybodysProjects, "test_another_customers_project_is_not_found", AssertionError),
    (broken.NumbersOnly, "test_an_unknown_project_is_not_found", ValueError),
    (broken.ListsTwice, "test_the_list_has_the_customers_projects", AssertionError),
    (broken.ListsEverything, "test_another_customers_list_has_none_of_them", AssertionError),
    (broken.AnonymousCustomer, "test_an_anonymous_visitor_has_no_tenant", AssertionError),
    (broken.BudgetCloses, "test_every_change_of_a_budget_is_taken", AssertionError),
    (broken.NewAccountEachTime, "test_access_is_one_however_often_it_is_given", AssertionError),
    (broken.NeverRemoves, "test_a_hired_trainer_gets_in_and_is_shut_out_at_the_end", AssertionError),
    (broken.NeverRemoves, "test_every_trainer_is_shut_out_when_the_customer_disconnects", AssertionError),
    (broken.NeverRemoves, "test_the_last_of_several_contracts_shuts_out", AssertionError),
    (broken.NeverRemoves, "test_a_paused_trainer_is_shut_out_until_the_contract_is_funded", AssertionError),
    (broken.NeverRemoves, "test_another_contract_keeps_a_paused_trainer_in", AssertionError),
    (broken.SeesNoMembers, "test_what_is_said_of_access_is_so", AssertionError),
    (broken.SeesThemForever, "test_what_is_said_of_access_is_so", AssertionError),
    (broken.KnowsWhoWasThere, "test_what_is_said_of_all_at_once_is_so", AssertionError),
    (broken.NeverRemoves, "test_removal_is_proven", AssertionError),
    (broken.MustKnowThem, "test_access_that_was_never_given_can_be_removed", TrainerAccount.DoesNotExist),
    (broken.RemovesOnce, "test_access_may_be_removed_again", LookupError),
    (broken.OneAccountForAll, "test_of_two_trainers_each_has_their_own_access", AssertionError),
    (broken.NeverBack, "test_a_trainer_who_is_hired_again_gets_in_again", AssertionError),
    (broken.OneGroupForAll, "test_a_hire_for_one_project_doesnt_open_another", AssertionError),
    (broken.ClosesEverything, "test_each_project_is_opened_and_closed_on_its_own", AssertionError),
    (broken.FindsByName, "test_namesakes_are_two_trainers", AssertionError),
    (broken.FindsByEmail, "test_another_work_email_is_the_same_trainer", AssertionError),
    (broken.FindsByEmail, "test_a_work_email_in_other_letters_is_the_same_trainer", AssertionError),
    (broken.AdoptsStrangers, "test_an_account_that_has_proven_nothing_gets_no_access", AssertionError),
    (broken.FindsByEmail, "test_an_account_that_has_proven_nothing_gets_no_access", AssertionError),
    (broken.PlainNamesOnly, "test_every_name_gets_in", AssertionError),
    (broken.ShortEmailsOnly, "test_a_long_work_email_gets_in", AssertionError),
    (broken.DaysInUtc, "test_days_begin_at_midnight_of_the_usage_time_zone", AssertionError),
    (broken.AllDays, "test_only_the_days_asked_for_are_answered", AssertionError),
    (broken.EverybodysWork, "test_each_trainer_has_their_own_work", AssertionError),
    (broken.EveryProjectsWork, "test_each_contract_has_its_own_projects_work", AssertionError),
    (broken.CountsPerGrant, "test_a_project_that_is_linked_again_is_counted_once", AssertionError),
    (broken.PresentOnly, "test_work_outlives_the_access", AssertionError),
    (broken.AddsUp, "test_collecting_again_counts_nothing_twice", AssertionError),
    (broken.NewestOnly, "test_a_days_work_is_summed", AssertionError),
    (
        broken.SaysNothingChanged,
        "test_a_contract_under_which_work_was_done_has_changed_since",
        AssertionError,
    ),
]


def test_no_check_is_without_an_adapter_that_fails_it() -> None:
    """One that can't fail is worth nothing."""
    checks = {name for name in dir(AdapterConformance) if name.startswith("test_")}
    assert {check for _adapter, check, _error in FOUND_OUT} == checks


@pytest.mark.django_db
class TestBrokenAdapters(GroupHooks):
    """Each breaks a promise, and the check of that promise fails."""

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("adapter_class", "check", "error"),
        FOUND_OUT,
        ids=lambda value: getattr(value, "__name__", str(value)),
    )
    def test_it_is_found_out(
        self,
        adapter_class: type[GroupAdapter],
        check: str,
        error: type[Exception],
        settings: Any,
        request: pytest.FixtureRequest,
    ) -> None:
        if adapter_class.__name__ == "FindsByEmail" and connection.vendor == "mysql":
            pytest.skip("MariaDB compares e-mails without regard to case by itself: here nothing is broken")
        adapter = f"{adapter_class.__module__}.{adapter_class.__qualname__}"
        settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": adapter}
        given = {"zone": "Pacific/Kiritimati", "project_id": "no such project"}
        run = getattr(TestGroupAdapter(), check)
        names = inspect.signature(run).parameters
        values = {name: given.get(name) or request.getfixturevalue(name) for name in names}
        with pytest.raises(error):
            run(**values)
