"""Installs that OpenTrain refuses for long: the revocation that no event told."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from django_opentrain.models import AccessGrant, Install, WebhookEndpoint
from django_opentrain.platform import catalog
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.resources import InstallInfo
from django_opentrain.services import connect, inbox, reconcile
from django_opentrain.services.connect import refused_installs
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_event
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db

ALWAYS = 10_000


@pytest.fixture
def hired(opentrain: OpenTrain) -> Hire:
    """A trainer who works for the one customer."""
    opentrain.connect("acme")
    opentrain.link("p1")
    hire = opentrain.hire()
    opentrain.run()
    return hire


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


@pytest.mark.parametrize("status", [401, 403])
def test_a_good_answer_gives_access_back(opentrain: OpenTrain, site: Host, hired: Hire, status: int) -> None:
    opentrain.fail_next(status=status, times=ALWAYS)
    hours_pass(opentrain, 27)
    assert site.inside == set()
    opentrain.sandbox.clear_faults()
    hours_pass(opentrain, 1)
    assert site.inside == {(hired.opentrain_user_id, "p1")}
    assert (install().status, install().refused_at) == (Install.Status.ACTIVE, None)


def test_a_reconnect_gives_access_back(opentrain: OpenTrain, site: Host, hired: Hire) -> None:
    opentrain.fail_next(status=401, times=ALWAYS)
    hours_pass(opentrain, 27)
    opentrain.sandbox.clear_faults()
    opentrain.connect("acme")
    opentrain.run()
    assert site.inside == {(hired.opentrain_user_id, "p1")}


def test_one_good_answer_starts_the_day_anew(opentrain: OpenTrain, site: Host, hired: Hire) -> None:
    opentrain.fail_next(status=401, times=ALWAYS)
    hours_pass(opentrain, 20)
    opentrain.sandbox.clear_faults()
    hours_pass(opentrain, 1)
    opentrain.fail_next(status=401, times=ALWAYS)
    hours_pass(opentrain, 20)
    assert site.inside == {(hired.opentrain_user_id, "p1")}


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


def test_an_event_tells_that_the_install_stands(opentrain: OpenTrain, site: Host, hired: Hire) -> None:
    opentrain.fail_next(status=401, times=ALWAYS)
    hours_pass(opentrain, 20)
    ken = opentrain.hire("Ken T.")
    hours_pass(opentrain, 20)
    assert site.inside == {(hired.opentrain_user_id, "p1"), (ken.opentrain_user_id, "p1")}
    hours_pass(opentrain, 6)
    assert site.inside == set()


def test_a_refusal_by_a_proxy_ends_nothing(opentrain: OpenTrain, site: Host, hired: Hire) -> None:
    opentrain.sandbox.fault("html", times=ALWAYS, status=403)
    hours_pass(opentrain, 27)
    assert install().last_error
    assert site.inside == {(hired.opentrain_user_id, "p1")}


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


def test_customers_who_left_one_after_the_other_wait_for_nobody(
    opentrain: OpenTrain, site: Host, hired: Hire
) -> None:
    opentrain.connect("globex")
    revoke_silently(opentrain)
    Install.objects.filter(tenant="globex").update(
        status=Install.Status.UNAUTHORIZED, refused_at=opentrain.now - timedelta(days=40), token="ot_ptk_old"
    )
    hours_pass(opentrain, 27)
    assert site.inside == set()


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
