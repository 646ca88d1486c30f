"""Celery's soft time limit ends the task, whatever it hits: what went on would be killed in another one's call.

What it hit has failed, and is retried later; the next task does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from django_opentrain import signals, tasks
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.models import AccessGrant, Contract, Install, TrainerAccount, WebhookEvent
from django_opentrain.platform.client import PlatformClient
from django_opentrain.services import endpoints, usage
from django_opentrain.services.access import grants, invitations
from django_opentrain.services.inbox import handlers
from django_opentrain.testing.environment import committing
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.services.conftest import Host, RecordingAdapter

pytestmark = pytest.mark.django_db


class Limit:
    """Celery raises it in the call that hangs, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.hits = 0

    def strikes(self, owner: object, name: str) -> None:
        usual = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if not self.hits:
                self.raised()
            return usual(*args, **kwargs)

        self._patch.setattr(owner, name, call)

    def raised(self, *_args: object, **_kwargs: object) -> NoReturn:
        self.hits += 1
        raise SoftTimeLimitExceeded

    def ends(self, task: Callable[[], object]) -> None:
        with pytest.raises(SoftTimeLimitExceeded):
            task()
        assert self.hits == 1


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    return Limit(monkeypatch)


@pytest.fixture
def hired(linked: OpenTrain) -> tuple[Hire, Hire]:
    """Two trainers, about whom OpenTrain has just sent events."""
    hires = linked.hire("Maria S."), linked.hire("Ken T.")
    linked.deliver()
    return hires


@pytest.mark.parametrize("name", ["get_project", "grant_access"])
def test_granting(name: str, limit: Limit, linked: OpenTrain, hired: tuple[Hire, Hire], site: Host) -> None:
    maria, ken = hired
    limit.strikes(RecordingAdapter, name)
    limit.ends(tasks.drain)
    assert (maria.grant.state, ken.grant.state) == ("FAILED", "PENDING")
    tasks.drain()
    assert site.inside == {(ken.opentrain_user_id, "p1")}
    linked.travel(minutes=1)
    tasks.drain()
    assert len(site.inside) == 2


@pytest.mark.parametrize("name", ["has_access", "grant_access"])
def test_granting_again_in_a_sync(name: str, limit: Limit, hired: tuple[Hire, Hire]) -> None:
    tasks.drain()
    limit.strikes(RecordingAdapter, name)
    install = Install.objects.get()
    limit.ends(lambda: tasks.reconcile_install(install.pk))
    expected = "FAILED" if name == "grant_access" else "GRANTED"
    assert [each.grant.state for each in hired] == [expected, "GRANTED"]
    assert bool(hired[0].grant.last_error)
    install.refresh_from_db()
    assert install.lease is None


@pytest.mark.long
def test_revoking(limit: Limit, linked: OpenTrain, hired: tuple[Hire, Hire], site: Host) -> None:
    tasks.drain()
    grants.revoke(AccessGrant.objects.all(), "operator")
    limit.strikes(RecordingAdapter, "revoke_access")
    limit.ends(tasks.drain)
    assert len(site.inside) == 2
    tasks.drain()
    assert len(site.inside) == 1
    linked.travel(minutes=1)
    tasks.drain()
    assert not site.inside


def test_an_event(limit: Limit, linked: OpenTrain, hired: tuple[Hire, Hire], site: Host) -> None:
    limit.strikes(handlers, "apply")
    limit.ends(tasks.drain)
    pending = WebhookEvent.objects.filter(status=WebhookEvent.Status.PENDING)
    assert sorted(pending.values_list("attempts", flat=True)) == [0, 1]
    tasks.drain()
    linked.travel(minutes=1)
    tasks.drain()
    assert len(site.inside) == 2


def test_a_receiver_of_a_signal(limit: Limit, hired: tuple[Hire, Hire]) -> None:
    def drain() -> None:
        with committing():
            tasks.drain()

    signals.access_granted.connect(limit.raised)
    try:
        limit.ends(drain)
    finally:
        signals.access_granted.disconnect(limit.raised)


def test_reconciling(limit: Limit, linked: OpenTrain) -> None:
    linked.connect("globex")
    linked.run()
    linked.travel(hours=1)
    limit.strikes(PlatformClient, "_perform")
    limit.ends(tasks.reconcile_all)
    due = Install.objects.filter(next_reconcile_at__lte=timezone.now())
    assert due.count() == 1, "the other one waits for its retry"
    assert not Install.objects.exclude(lease=None).exists()


def test_checking_endpoints(limit: Limit, linked: OpenTrain) -> None:
    limit.strikes(endpoints, "subscribe")
    limit.ends(tasks.check_endpoints)


def test_collecting_usage(limit: Limit, hired: tuple[Hire, Hire]) -> None:
    tasks.drain()
    limit.strikes(RecordingAdapter, "collect_usage")
    limit.ends(tasks.collect_and_report_usage)
    assert sorted(Contract.objects.values_list("collect_attempts", flat=True)) == [0, 1]
    assert Contract.objects.exclude(collect_error="").count() == 1


def test_reporting_usage(limit: Limit, linked: OpenTrain, hired: tuple[Hire, Hire]) -> None:
    tasks.drain()
    for each in hired:
        usage.record(each.contract, usage.today(), total_seconds=60)
    linked.travel(days=1)
    limit.strikes(PlatformClient, "report_usage")
    limit.ends(tasks.collect_and_report_usage)
    assert sorted(Contract.objects.values_list("report_attempts", flat=True)) == [0, 1]


def test_announcing_a_budget(limit: Limit, hired: tuple[Hire, Hire], site: Host) -> None:
    tasks.drain()
    Contract.objects.update(budget_state="LOW")
    limit.strikes(RecordingAdapter, "budget_changed")
    limit.ends(tasks.drain)
    assert not site.budgets
    tasks.drain()
    assert len(site.budgets) == 1


@pytest.fixture
def invited(settings: Any) -> TrainerAccount:
    """A trainer to whom a mail is due."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.testing.hosts.GroupAdapter"}
    install = factories.make_install("acme")
    link = factories.make_link(install, external_project_id="1")
    person = factories.make_participant(install, work_email="maria@opentrain.work")
    grant = factories.make_grant(factories.make_contract(install, [link]), link, person)
    DjangoUsersAdapter().grant_access(grant)
    return TrainerAccount.objects.get()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (DjangoUsersAdapter, "invite"),
        (EmailBackend, "open"),
        (EmailBackend, "send_messages"),
        (EmailBackend, "close"),
    ],
)
def test_sending_a_mail(owner: type, name: str, limit: Limit, invited: TrainerAccount) -> None:
    limit.strikes(owner, name)
    limit.ends(invitations.send_due)
    invited.refresh_from_db()
    assert invited.invitation_attempts == 1
    assert invited.next_invitation_at is not None
    assert invited.next_invitation_at > timezone.now()
    assert "did not finish" in invited.invitation_error


@pytest.mark.parametrize("name", ["close_project", "_deactivate"])
def test_a_step_of_a_removal(name: str, limit: Limit, invited: TrainerAccount) -> None:
    grants.revoke(AccessGrant.objects.all(), "operator")
    limit.strikes(DjangoUsersAdapter, name)
    limit.ends(tasks.drain)
    assert AccessGrant.objects.get().state == AccessGrant.State.FAILED
    invited.user.refresh_from_db()
    assert invited.user.is_active
