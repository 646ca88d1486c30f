"""Customers are strangers to each other: whatever happens to one, each row of another's stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.core import serializers

from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    Participant,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform.errors import OpenTrainError, ServerError, Unauthorized
from django_opentrain.services import access, connect, endpoints, linking, reconcile, sweep, usage
from django_opentrain.services.access import contracts, grants
from django_opentrain.services.usage import runs
from django_opentrain.services.workers.locks import lease
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.services.conftest import Host, host

pytestmark = pytest.mark.django_db

Happening = Callable[[OpenTrain, Hire], None]

#: How each row leads to its customer.
TENANT = {
    Install: "tenant",
    ProjectLink: "install__tenant",
    Contract: "install__tenant",
    Participant: "install__tenant",
    WebhookEndpoint: "install__tenant",
    WebhookEvent: "endpoint__install__tenant",
    AccessGrant: "contract__install__tenant",
    DailyUsage: "contract__install__tenant",
}


def rows_of(tenant: str) -> dict[str, Any]:
    return {
        model.__name__: serializers.serialize(
            "python", model._default_manager.filter(**{path: tenant}).order_by("pk")
        )
        for model, path in TENANT.items()
    }


def hire_twice(opentrain: OpenTrain) -> Hire:
    hires: list[Hire] = []
    for tenant, project in (("globex", "g1"), ("acme", "p1")):
        opentrain.connect(tenant)
        opentrain.link(project)
        hires.append(opentrain.hire(again=hires[0] if hires else None))
        opentrain.fund(hires[-1], hours=10)
        opentrain.run()
        opentrain.consume(hires[-1], hours=9)
        usage.record(hires[-1].contract, usage.today(), tasks_completed=1)
        opentrain.run()
    return hires[-1]


@pytest.fixture
def maria(opentrain: OpenTrain) -> Hire:
    """Hired by two customers, with everything that a customer can have; here as the first one's."""
    return hire_twice(opentrain)


def hire(opentrain: OpenTrain, maria: Hire) -> None:
    opentrain.hire(again=maria)


def end(opentrain: OpenTrain, maria: Hire) -> None:
    opentrain.end(maria)


def fund(opentrain: OpenTrain, maria: Hire) -> None:
    opentrain.fund(maria, hours=100)


def report(opentrain: OpenTrain, maria: Hire) -> None:
    usage.record(maria.contract, usage.today(), total_seconds=60, tasks_completed=3)
    usage.add(maria.contract, usage.today(), tasks_completed=1)
    with lease(maria.contract.install.pk) as held:
        assert held is not None
        runs.report_install(maria.contract.install, held)


def be_refused_a_report(status: int) -> Happening:
    def act(opentrain: OpenTrain, maria: Hire) -> None:
        opentrain.fail_next(status, match="POST .*/usage")
        report(opentrain, maria)

    act.__name__ = f"be_refused_a_report_{status}"
    return act


def report_again(opentrain: OpenTrain, maria: Hire) -> None:
    assert usage.report_again(maria.contract.usage.all()) > 0


def link(opentrain: OpenTrain, maria: Hire) -> None:
    opentrain.link("p2", job=maria.contract.job_id)


def unlink(opentrain: OpenTrain, maria: Hire) -> None:
    linking.unlink(maria.grant.link)


def be_refused_an_unlinking(opentrain: OpenTrain, maria: Hire) -> None:
    opentrain.fail_next(500, match="DELETE .*")
    with pytest.raises(ServerError):
        linking.unlink(maria.grant.link)


def leave(opentrain: OpenTrain, maria: Hire) -> None:
    connect.disconnect(maria.contract.install)


def leave_on_opentrain(opentrain: OpenTrain, maria: Hire) -> None:
    opentrain.disconnect()


def come_back(opentrain: OpenTrain, maria: Hire) -> None:
    approval = opentrain.sandbox.approve(organization_id=maria.contract.install.organization_id)
    pending = Install.objects.create(tenant="acme", expected_id=approval.install.id)
    connect.capture_token(pending, approval.token)


def be_reconciled(opentrain: OpenTrain, maria: Hire) -> None:
    contracts.fetch_budget(maria.contract)
    reconcile.confirm_removals(maria.contract.install)


def be_refused(status: int) -> Happening:
    def act(opentrain: OpenTrain, maria: Hire) -> None:
        opentrain.fail_next(status, times=3)
        for step in (reconcile.install, connect.verify, reconcile.reconcile_or_finish):
            with suppress(OpenTrainError):
                step(Install.objects.get(tenant="acme"))

    act.__name__ = f"be_refused_{status}"
    return act


def be_refused_for_long(opentrain: OpenTrain, maria: Hire) -> None:
    long_ago = opentrain.now - timedelta(days=2)
    Install.objects.filter(tenant="acme").update(status=Install.Status.UNAUTHORIZED, refused_at=long_ago)
    opentrain.fail_next(401)
    with pytest.raises(Unauthorized):
        reconcile.reconcile_or_finish(maria.contract.install)


def be_heard_of_while_refused(opentrain: OpenTrain, maria: Hire) -> None:
    Install.objects.filter(tenant="acme").update(refused_at=opentrain.now - timedelta(hours=1))
    opentrain.hire(again=maria)


def rotate(opentrain: OpenTrain, maria: Hire) -> None:
    endpoints.rotate_secret(WebhookEndpoint.objects.live().get(install=maria.contract.install))


def pause(opentrain: OpenTrain, maria: Hire) -> None:
    endpoints.recover(endpoints.pause(WebhookEndpoint.objects.live().get(install=maria.contract.install)))


def operate(opentrain: OpenTrain, maria: Hire) -> None:
    grants.revoke(maria.grants, "operator ann")
    sweep.run(usage=False)
    grants.restore(maria.grant, "operator ann")
    grants.retry_now(maria.grants)


def wait_for_a_work_email(opentrain: OpenTrain, maria: Hire) -> None:
    Participant.objects.filter(pk=maria.participant.pk).update(work_email=None)
    AccessGrant.objects.filter(pk=maria.grant.pk).update(state=AccessGrant.State.PENDING)
    access.converge(maria.grant)
    assert maria.grant.state == AccessGrant.State.WAITING_FOR_EMAIL


def fail(opentrain: OpenTrain, maria: Hire) -> None:
    host.failing["revoke_access"] = RuntimeError("a bad day")
    grants.revoke(maria.grants, "operator ann")


@pytest.mark.long
@pytest.mark.parametrize(
    "happens",
    [
        hire,
        end,
        fund,
        report,
        be_refused_a_report(400),
        be_refused_a_report(409),
        report_again,
        link,
        unlink,
        be_refused_an_unlinking,
        leave,
        leave_on_opentrain,
        come_back,
        be_reconciled,
        be_refused(401),
        be_refused(403),
        be_refused(500),
        be_refused_for_long,
        be_heard_of_while_refused,
        rotate,
        pause,
        operate,
        wait_for_a_work_email,
        fail,
    ],
    ids=lambda act: act.__name__,
)
def test_what_happens_to_one_customer_is_nothing_to_another(
    opentrain: OpenTrain, maria: Hire, site: Host, happens: Happening
) -> None:
    before, mine = rows_of("globex"), rows_of("acme")
    happens(opentrain, maria)
    opentrain.deliver()
    sweep.run(usage=False)
    assert rows_of("acme") != mine
    assert rows_of("globex") == before
    assert (maria.opentrain_user_id, "g1") in site.inside
