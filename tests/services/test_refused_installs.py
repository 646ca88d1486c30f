"""Installs that OpenTrain refuses for long: the revocation without an event."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from django_opentrain.explanations import explain
from django_opentrain.models import AccessGrant, DailyUsage, Install, WebhookEndpoint
from django_opentrain.platform import catalog
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import OpenTrainError, RateLimited, Unauthorized
from django_opentrain.platform.resources import InstallInfo
from django_opentrain.services import connect, inbox, reconcile, usage
from django_opentrain.services.connect import refused_installs
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_event
from tests.played import a_trainer
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db

ALWAYS = 10_000


@pytest.fixture
def hired(linked: OpenTrain) -> Hire:
    """A trainer who works for the one customer."""
    return a_trainer(linked)


def install(tenant: str = "acme") -> Install:
    return Install.objects.get(tenant=tenant)


def revoke_silently(opentrain: OpenTrain) -> None:
    """The customer disconnects on OpenTrain, and no delivery of it ever arrives."""
    opentrain.sandbox.engine.sender = lambda *_letter: 503
    opentrain.disconnect(install())


def hours_pass(opentrain: OpenTrain, hours: int) -> None:
    for _ in range(hours):
        opentrain.travel(hours=1)
        reconcile.request_all()
        opentrain.run()


@pytest.mark.long
def test_a_revocation_that_no_event_told_ends_access_after_a_day(
    opentrain: OpenTrain, site: Host, hired: Hire
) -> None:
    revoke_silently(opentrain)
    hours_pass(opentrain, 20)
    assert install().status == Install.Status.UNAUTHORIZED
    assert site.inside == {(hired.opentrain_user_id, "p1")}, "a refusal may have other causes"
    hours_pass(opentrain, 6)
    assert site.inside == set()
    assert hired.grant.cause.startswith("install refused since ")


@pytest.mark.long
@pytest.mark.parametrize("status", [401, 403])
def test_a_good_answer_gives_access_back(opentrain: OpenTrain, site: Host, hired: Hire, status: int) -> None:
    opentrain.fail_next(status=status, times=ALWAYS)
    hours_pass(opentrain, 27)
    assert site.inside == set()
    opentrain.sandbox.clear_faults()
    hours_pass(opentrain, 1)
    assert site.inside == {(hired.opentrain_user_id, "p1")}
    assert (install().status, install().refused_at) == (Install.Status.ACTIVE, None)


@pytest.mark.long
def test_a_reconnect_gives_access_back(opentrain: OpenTrain, site: Host, hired: Hire) -> None:
    opentrain.fail_next(status=401, times=ALWAYS)
    hours_pass(opentrain, 27)
    opentrain.sandbox.clear_faults()
    opentrain.connect("acme")
    opentrain.run()
    assert site.inside == {(hired.opentrain_user_id, "p1")}


@pytest.mark.long
def test_one_good_answer_starts_the_day_anew(opentrain: OpenTrain, site: Host, hired: Hire) -> None:
    opentrain.fail_next(status=401, times=ALWAYS)
    hours_pass(opentrain, 20)
    opentrain.sandbox.clear_faults()
    hours_pass(opentrain, 1)
    opentrain.fail_next(status=401, times=ALWAYS)
    hours_pass(opentrain, 20)
    assert site.inside == {(hired.opentrain_user_id, "p1")}


@pytest.mark.long
def test_a_site_that_was_down_asks_before_it_ends_anything(
    opentrain: OpenTrain, site: Host, hired: Hire
) -> None:
    opentrain.fail_next(status=401, times=ALWAYS)
    hours_pass(opentrain, 1)
    opentrain.sandbox.clear_faults()
    opentrain.travel(days=3)
    opentrain.run()
    assert site.inside == {(hired.opentrain_user_id, "p1")}
    assert install().status == Install.Status.ACTIVE


@pytest.mark.long
def test_an_event_tells_nothing_of_an_install_that_was_taken_over(opentrain: OpenTrain, hired: Hire) -> None:
    """Its row is for the reconnect to lock, which waits for the event's."""
    old, refused = Install.objects.get(), opentrain.now
    opentrain.connect("acme")
    Install.objects.filter(pk=old.pk).update(refused_at=refused)
    opentrain.travel(minutes=1)
    late = make_event(WebhookEndpoint.objects.filter(install=old).get(), catalog.CONTRACT_ENDED)
    inbox.process(late)
    old.refresh_from_db()
    assert old.refused_at == refused


@pytest.mark.long
def test_an_event_tells_that_the_install_stands(opentrain: OpenTrain, site: Host, hired: Hire) -> None:
    opentrain.fail_next(status=401, times=ALWAYS)
    hours_pass(opentrain, 20)
    ken = opentrain.hire("Ken T.")
    hours_pass(opentrain, 20)
    assert site.inside == {(hired.opentrain_user_id, "p1"), (ken.opentrain_user_id, "p1")}
    hours_pass(opentrain, 6)
    assert site.inside == set()


@pytest.mark.long
def test_a_refusal_by_a_proxy_ends_nothing(opentrain: OpenTrain, site: Host, hired: Hire) -> None:
    opentrain.sandbox.fault("html", times=ALWAYS, status=403)
    hours_pass(opentrain, 27)
    assert install().last_error
    assert site.inside == {(hired.opentrain_user_id, "p1")}


@pytest.mark.long
def test_one_401_of_a_proxy_is_no_reason_to_connect_again(opentrain: OpenTrain, hired: Hire) -> None:
    """A gateway's login page says nothing about the token."""
    opentrain.sandbox.fault("html", status=401)
    reconcile.request_all()
    opentrain.run()
    assert install().status == Install.Status.ACTIVE
    assert install().refused_at is None
    opentrain.sandbox.fault("html", status=401)
    with pytest.raises(OpenTrainError):
        connect.verify(install())
    assert install().status == Install.Status.ACTIVE
    opentrain.travel(hours=1)
    opentrain.run()
    assert install().last_error == ""


def test_a_proxys_401_is_told_as_an_outage() -> None:
    by_proxy, by_opentrain = (
        Unauthorized("No.", status=401),
        Unauthorized("No.", status=401, code="UNAUTHORIZED"),
    )
    assert (explain(by_proxy).code, explain(by_proxy).http_status) == ("OPENTRAIN_UNAVAILABLE", 503)
    assert not explain(by_proxy).reconnect
    assert (explain(by_opentrain).code, explain(by_opentrain).reconnect) == ("RECONNECT_REQUIRED", True)
    limited = RateLimited("Slowly.", status=429, retry_after=90)
    assert explain(limited).code == "RATE_LIMITED", "a requested pause is kept"


def test_a_pasted_token_is_not_refused_because_of_a_proxy(opentrain: OpenTrain) -> None:
    approval = opentrain.sandbox.approve(organization_id=opentrain.sandbox.create_organization("Nine").id)
    waiting = Install(tenant="acme")
    opentrain.sandbox.fault("html", status=401)
    with pytest.raises(OpenTrainError):
        connect.capture_token(waiting, approval.token)
    assert connect.capture_token(waiting, approval.token).status == Install.Status.ACTIVE


@pytest.mark.long
def test_pauses_that_opentrain_asks_for_add_up_to_no_more(opentrain: OpenTrain, hired: Hire) -> None:
    """``Retry-After: 90``, fifteen times: the sixteenth call comes after 23 minutes, not after seven hours."""
    began = timezone.now()
    opentrain.sandbox.fault("error", status=429, times=15, retry_after="90")
    Install.objects.update(next_reconcile_at=began, reconciled_at=None)
    while install().reconciled_at is None:
        opentrain.travel(seconds=91)
        opentrain.run()
        assert timezone.now() - began < timedelta(hours=1)
    assert install().reconcile_attempts == 0


def test_a_token_that_is_pasted_again_too_soon_calls_nobody(opentrain: OpenTrain) -> None:
    approval = opentrain.sandbox.approve(organization_id=opentrain.sandbox.create_organization("Nine").id)
    waiting = Install(tenant="acme")
    opentrain.sandbox.fault("error", status=429, retry_after="90")
    with pytest.raises(RateLimited):
        connect.capture_token(waiting, approval.token)
    calls = len(opentrain.sandbox.calls)
    for pasted_into in (Install.objects.get(), Install(tenant="acme")):
        opentrain.travel(seconds=30)
        with pytest.raises(RateLimited) as refused:
            connect.capture_token(pasted_into, approval.token)
        assert 0 < (refused.value.retry_after or 0) <= 60
    assert len(opentrain.sandbox.calls) == calls
    opentrain.travel(seconds=31)
    assert connect.capture_token(Install.objects.get(), approval.token).status == Install.Status.ACTIVE


@pytest.mark.long
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_while_a_customer_leaves_costs_nobody_their_hours(
    opentrain: OpenTrain, hired: Hire, status: int
) -> None:
    """The app may be deactivated at that moment, or one answer may be a stray one."""
    usage.record(hired.contract, opentrain.today, total_seconds=7200)
    connect.disconnect(install())
    opentrain.sandbox.fault("error", status=status, times=2)
    opentrain.run()
    assert install().token, "it is still needed"
    for _hour in range(3):
        opentrain.travel(hours=1)
        opentrain.run()
    assert install().token is None
    assert DailyUsage.objects.get().status == DailyUsage.Status.REPORTED


@pytest.mark.long
def test_when_every_customer_is_refused_somebody_is_asked(
    opentrain: OpenTrain, site: Host, hired: Hire, caplog: pytest.LogCaptureFixture
) -> None:
    opentrain.connect("globex")
    opentrain.link("g1")
    ken = opentrain.hire("Ken T.")
    opentrain.run()
    everybody = {(hired.opentrain_user_id, "p1"), (ken.opentrain_user_id, "g1")}
    assert site.inside == everybody
    opentrain.fail_next(status=401, times=ALWAYS)
    with caplog.at_level(logging.ERROR, "django_opentrain"):
        hours_pass(opentrain, 27)
    assert site.inside == everybody
    assert (install().removals_held, install("globex").removals_held) == (1, 1)
    assert "refused every customer for a day" in caplog.text
    reconcile.confirm_removals(install("globex"))
    hours_pass(opentrain, 1)
    assert site.inside == {(hired.opentrain_user_id, "p1")}
    assert (install("globex").removals_held, install("globex").removals_confirmed) == (0, False)


@pytest.mark.long
def test_customers_who_left_one_after_the_other_wait_for_nobody(
    opentrain: OpenTrain, site: Host, hired: Hire
) -> None:
    gone = opentrain.connect("globex")
    revoke_silently(opentrain)
    gone.refresh_from_db()
    gone.status, gone.token = Install.Status.UNAUTHORIZED, "ot_ptk_old"
    gone.refused_at = opentrain.now - timedelta(days=40)
    gone.save()
    hours_pass(opentrain, 27)
    assert site.inside == set()


@pytest.mark.slow
def test_one_refused_customer_among_others_waits_for_nobody(
    opentrain: OpenTrain, site: Host, hired: Hire
) -> None:
    opentrain.connect("globex")
    opentrain.link("g1")
    ken = opentrain.hire("Ken T.")
    opentrain.run()
    revoke_silently(opentrain)
    hours_pass(opentrain, 27)
    assert site.inside == {(ken.opentrain_user_id, "g1")}


def test_a_refusal_that_ends_while_it_is_acted_on_ends_nothing(hired: Hire) -> None:
    stale = install()
    Install.objects.update(refused_at=None)
    assert refused_installs.end_access(stale) == 0
    assert hired.grant.desired == AccessGrant.Desired.GRANTED


def test_a_good_answer_revives_no_install_that_ended_meanwhile(
    opentrain: OpenTrain, hired: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = PlatformClient.get_install

    def ask_slowly(client: PlatformClient) -> InstallInfo:
        answer = ask(client)
        opentrain.disconnect(install())
        opentrain.run()
        return answer

    monkeypatch.setattr(PlatformClient, "get_install", ask_slowly)
    assert connect.verify(install()).status == Install.Status.REVOKED
    assert install().token is None
