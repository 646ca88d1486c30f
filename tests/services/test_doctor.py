"""The doctor: each finding is provoked, and a site that is well has none."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from celery import Celery, _state, beat
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from kombu.transport import memory

from django_opentrain.conf import conf
from django_opentrain.fields import Ciphertext
from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Heartbeat,
    Install,
    Participant,
    ProjectLink,
    TrainerAccount,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.models.webhooks import FAILING_AFTER
from django_opentrain.platform import catalog
from django_opentrain.sandbox.models import Endpoint
from django_opentrain.schedule import BEAT_SCHEDULE
from django_opentrain.services import doctor, endpoints, inbox
from django_opentrain.services.conditions import CONDITIONS, Severity
from django_opentrain.services.doctor import formatting, workers
from django_opentrain.services.doctor import opentrain as opentrain_findings
from django_opentrain.services.doctor.findings import Finding, error
from django_opentrain.services.inbox import handlers
from django_opentrain.services.workers import heartbeat, wakeup
from django_opentrain.testing.kit import OpenTrain
from tests import factories
from tests.mail_servers import closed_port, send_by
from tests.platform.scripted_server import serving
from tests.services.conftest import Host, RecordingAdapter, host

ROOT = Path(__file__).resolve().parent.parent.parent
GRANTED, REVOKED = AccessGrant.Desired.GRANTED, AccessGrant.Desired.REVOKED
State = AccessGrant.State
HOURS = timedelta(hours=5)
DAYS = timedelta(days=40)


class Canary(RecordingAdapter):
    """A site that can try its removal."""

    def check_revocation(self) -> str | None:
        if error := host.failing.get("check_revocation"):
            raise error
        return str(host.emails.get("canary", "")) or None

    def left_behind(self, grant: AccessGrant) -> list[str]:
        return [line for line in [host.emails.get("left", "")] if line]


class Timeless(Canary):
    """A site that measures no time."""

    measures_time = False


@pytest.fixture
def install(opentrain: OpenTrain, settings: Any, site: Host) -> Install:
    """A site that is well: connected, with a trainer at work."""
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example"]
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Canary", "ENCRYPTION_KEYS": KEYS}
    return set_up_well(opentrain)


def set_up_well(opentrain: OpenTrain) -> Install:
    install = opentrain.connect()
    opentrain.link("p1")
    opentrain.hire()
    opentrain.run()
    heartbeat.beat()
    return install


KEYS = [Fernet.generate_key().decode()]


def examine(**options: Any) -> dict[str, Finding]:
    return {each.id: each for each in doctor.examine(**options)}


def only(name: str, **options: Any) -> Finding:
    """The one finding there is."""
    found = examine(**options)
    assert set(found) == {name}
    return found[name]


def grant() -> AccessGrant:
    return AccessGrant.objects.get()


def update_grant(**values: Any) -> None:
    AccessGrant.objects.update(desired_at=timezone.now() - timedelta(days=2), **values)


def test_a_site_that_is_well_has_no_finding(install: Install) -> None:
    assert doctor.examine() == []
    assert doctor.examine(offline=True) == []


def test_offline_asks_opentrain_nothing(install: Install, opentrain: OpenTrain) -> None:
    before = len(opentrain.sandbox.calls)
    doctor.examine(offline=True)
    assert len(opentrain.sandbox.calls) == before


def fail(event: WebhookEvent, times: int) -> None:
    """Let a bug of ours end the next attempts at ``event``."""
    for _attempt in range(times):
        with mock.patch.object(handlers, "apply", side_effect=KeyError("id")):
            inbox.process(event)


def test_one_failure_is_no_finding_yet(install: Install) -> None:
    fail(factories.make_event(WebhookEndpoint.objects.get()), times=FAILING_AFTER - 1)
    assert doctor.examine(offline=True) == []


# What is provoked -----------------------------------------------------------------------------

Scene = Callable[[OpenTrain, Install, Any], object]
SCENES: list[Any] = []


def scene(name: str, severity: Severity, *, offline: bool = True) -> Callable[[Scene], Scene]:
    """What provokes a finding, and nothing else. ``offline``: also where OpenTrain isn't asked."""

    def register(provoke: Scene) -> Scene:
        SCENES.append(pytest.param(name, severity, offline, provoke, id=provoke.__name__))
        return provoke

    return register


WARNING, ERROR = Severity.WARNING, Severity.ERROR


@scene("check-failed", WARNING)
def doubtful_setting(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = ["^other/"]


@scene("check-failed", ERROR)
def wrong_setting(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "REMOVAL_BREAKER": 7}


@scene("cache-failing", WARNING)
def broken_cache(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "tests.services.test_doctor.BrokenCache"}}


@scene("receiver-unreachable", ERROR)
def login_wall(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.wall"]


class Mailing(Canary):
    """A site that sends mails for first logins."""

    sends_first_login = True


@scene("mail-unreachable", ERROR)
def mail_server_that_is_not_there(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Mailing"}
    send_by(settings, closed_port())


def _account(settings: Any, **values: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Mailing"}
    trainer = grant().participant.opentrain_user_id
    factories.make_trainer_account(factories.make_user("maria"), opentrain_user_id=trainer, **values)


@scene("mail-failing", ERROR)
def mail_that_is_refused(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    _account(settings, invitation=TrainerAccount.Invitation.FAILED)


@scene("mail-failing", ERROR)
def mail_that_no_worker_sends(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    requested = timezone.now() - HOURS
    _account(settings, invitation=TrainerAccount.Invitation.PENDING, invitation_requested_at=requested)


@scene("login-expired", WARNING)
def links_that_are_not_used(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    _account(settings, invitation=TrainerAccount.Invitation.SENT, invitation_sent_at=timezone.now() - DAYS)


@scene("beat-silent", ERROR)
def beat_that_stopped(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    Heartbeat.objects.update(beat_at=timezone.now() - HOURS)


@scene("beat-silent", ERROR)
def beat_that_never_ran(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    Heartbeat.objects.all().delete()


@scene("clock-set-back", ERROR)
def a_sweep_in_the_future(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    Heartbeat.objects.update(beat_at=timezone.now() + HOURS)


@scene("events-waiting", ERROR)
def events_that_nobody_takes(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    factories.make_event(WebhookEndpoint.objects.get(), received_at=timezone.now() - HOURS)


@scene("events-waiting", ERROR)
def retries_that_nobody_makes(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    factories.make_event(WebhookEndpoint.objects.get(), next_attempt_at=timezone.now() - HOURS)


@scene("events-failing", ERROR)
def events_that_fail_each_time(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    event = factories.make_event(WebhookEndpoint.objects.get(), event_id="e1")
    fail(event, times=FAILING_AFTER)


@scene("events-failed", ERROR)
def failed_events(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    factories.make_event(WebhookEndpoint.objects.get(), status=WebhookEvent.Status.FAILED)


@scene("removal-failing", ERROR)
def removal_that_fails(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    update_grant(desired=REVOKED, state=State.FAILED)


@scene("pause-failing", ERROR)
def pause_that_fails(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    update_grant(desired=AccessGrant.Desired.PAUSED, state=State.FAILED)


@scene("grant-failing", ERROR)
def grant_that_fails(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    update_grant(state=State.FAILED)


@scene("grant-waiting", WARNING)
def email_that_does_not_come(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    update_grant(state=State.WAITING_FOR_EMAIL)


@scene("email-held", WARNING)
def email_at_another_domain(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    update_grant(state=State.HELD)


@scene("removed-by-hand", Severity.NOTE)
def trainer_removed_by_hand(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    update_grant(state=State.REMOVED_BY_HAND, revoked_at=timezone.now())


def _day(**values: Any) -> None:
    factories.make_usage(grant().contract, **values)
    DailyUsage.objects.update(updated_at=timezone.now() - DAYS)


@scene("usage-uncollected", ERROR)
def work_that_can_not_be_collected(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    Contract.objects.filter(pk=grant().contract_id).update(collect_error="RuntimeError: no such table")


@scene("usage-unreported", WARNING)
def work_that_is_not_reported(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    _day(work_date=timezone.localdate() - timedelta(days=3))


@scene("usage-refused", WARNING)
def work_that_is_refused(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    _day(status=DailyUsage.Status.REFUSED)


@scene("hours-unmeasured", WARNING)
def hours_that_nothing_measures(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    Contract.objects.filter(pk=grant().contract_id).update(payment_type="PAY_PER_HOUR")
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.Timeless"}


@scene("usage-objected", WARNING)
def a_day_to_which_its_trainer_objects(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    factories.make_objection(grant().contract)


@scene("removals-held", ERROR)
def removals_that_are_held(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    Install.objects.update(removals_held=7)


@scene("endpoints-elsewhere", WARNING)
def connection_that_another_site_uses(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    Install.objects.update(foreign_endpoints=["https://staging.example.org"])


@scene("reconcile-incomplete", WARNING)
def lists_that_were_cut(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    Install.objects.update(reconcile_summary={"problems": ["Only the newest 200 can be seen."]})


@scene("reconcile-late", WARNING)
def comparison_that_stopped(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    Install.objects.update(reconciled_at=timezone.now() - HOURS)


@scene("reconcile-late", WARNING)
def comparison_that_never_was(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    Install.objects.update(reconciled_at=None, created_at=timezone.now() - HOURS)


@scene("links-unfinished", WARNING)
def link_that_is_not_made(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    ProjectLink.objects.update(status=ProjectLink.Status.PENDING, updated_at=timezone.now() - HOURS)


@scene("project-gone", WARNING)
def project_that_was_deleted(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    ProjectLink.objects.update(project_missing_since=timezone.now())


@scene("retention-due", WARNING)
def bodies_that_are_too_old(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    WebhookEvent.objects.update(received_at=timezone.now() - DAYS)


@scene("secrets-undecryptable", ERROR)
def lost_key(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}


@scene("secrets-undecryptable", ERROR)
def token_that_was_moved(_opentrain: OpenTrain, install: Install, _settings: Any) -> None:
    other = Install.objects.filter(pk=factories.make_install("globex").pk)
    Install.objects.filter(pk=install.pk).update(token=other.values_list("token", flat=True).get())
    other.delete()


@scene("secrets-unbound", WARNING)
def body_of_an_earlier_version(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    for event in WebhookEvent.objects.filter(body__isnull=False):
        body = Ciphertext(Fernet(conf.encryption_keys[0]).encrypt(event.body))
        WebhookEvent.objects.filter(pk=event.pk).update(body=body)


@scene("left-behind", Severity.NOTE)
def webhook_of_a_trainer_who_left(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    host.emails["left"] = "webhook 7"
    ended = timezone.now() - timedelta(days=3)
    update_grant(desired=REVOKED, state=State.REVOKED, granted_at=ended, revoked_at=ended)


@scene("revocation-broken", ERROR)
def canary_that_gets_back_in(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    host.emails["canary"] = "A removed trainer still has access to the project."


@scene("revocation-broken", ERROR)
def adapter_that_breaks(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    host.failing["check_revocation"] = RuntimeError("403: this token may not remove members")


@scene("opentrain-unreachable", ERROR, offline=False)
def opentrain_that_is_gone(opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    opentrain.sandbox.fault("drop", times=1)


def differ(opentrain: OpenTrain, seconds: int) -> None:
    theirs = opentrain.now.timestamp() + seconds
    mock.patch.object(opentrain.clock, "wall", return_value=theirs).start()


@scene("clock-skewed", ERROR, offline=False)
def clock_that_is_far_off(opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    differ(opentrain, 400)


@scene("clock-skewed", WARNING, offline=False)
def clock_that_is_off(opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    differ(opentrain, 100)


@scene("install-refused", ERROR)
def token_that_is_refused(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    Install.objects.update(status=Install.Status.UNAUTHORIZED)


@scene("install-refused", ERROR)  # the first examination records it
def disconnected_on_opentrain(opentrain: OpenTrain, install: Install, _settings: Any) -> None:
    opentrain.disconnect(install)


@scene("install-unverified", WARNING, offline=False)
def opentrain_that_fails(opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    opentrain.fail_next(503, match="GET /installs/current")


@scene("scopes-missing", WARNING, offline=False)
def scope_that_was_not_granted(opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    opentrain.connect(scopes=[each for each in catalog.SCOPES if each != catalog.USAGE_WRITE])


@scene("scopes-missing", WARNING, offline=False)
def consent_that_was_not_given(opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    opentrain.connect(pii=False)


def _remote(opentrain: OpenTrain, **values: Any) -> None:
    store = opentrain.sandbox.store
    with store.transaction():
        for endpoint in store.all(Endpoint):
            for name, value in values.items():
                setattr(endpoint, name, value)
            store.put(endpoint)


@scene("endpoint-missing", ERROR, offline=False)
def endpoint_that_is_gone(_opentrain: OpenTrain, install: Install, _settings: Any) -> None:
    install.client.delete_webhook_endpoint(WebhookEndpoint.objects.get().opentrain_id)


@scene("endpoint-disabled", ERROR, offline=False)
def endpoint_that_opentrain_disabled(opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    _remote(opentrain, status="DISABLED", consecutive_failures=10)


@scene("endpoint-disabled", ERROR, offline=False)
def endpoint_that_is_disabled(_opentrain: OpenTrain, install: Install, _settings: Any) -> None:
    install.client.update_webhook_endpoint(WebhookEndpoint.objects.get().opentrain_id, status="DISABLED")


@scene("endpoint-paused", WARNING)
def endpoint_that_is_paused(_opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    endpoints.pause(WebhookEndpoint.objects.get())


@scene("endpoint-differs", ERROR, offline=False)
def endpoint_that_leads_elsewhere(_opentrain: OpenTrain, _install: Install, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "PUBLIC_URL": "https://moved.example"}


@scene("endpoint-differs", WARNING, offline=False)
def endpoint_with_other_events(_opentrain: OpenTrain, install: Install, _settings: Any) -> None:
    endpoint = WebhookEndpoint.objects.get()
    install.client.update_webhook_endpoint(endpoint.opentrain_id, event_types=["contract.ended"])


@scene("endpoint-failing", WARNING, offline=False)
def endpoint_whose_deliveries_fail(opentrain: OpenTrain, _install: Install, _settings: Any) -> None:
    _remote(opentrain, consecutive_failures=3)


@pytest.mark.long
@pytest.mark.parametrize(("name", "severity", "offline", "provoke"), SCENES)
def test_what_is_wrong_is_found_and_nothing_else(
    name: str,
    severity: Severity,
    offline: bool,
    provoke: Scene,
    opentrain: OpenTrain,
    install: Install,
    settings: Any,
) -> None:
    provoke(opentrain, install, settings)
    found = only(name)
    assert (found.severity, bool(found.title)) == (severity, True)
    assert set(examine(offline=True)) == ({name} if offline else set())


class BrokenCache:
    """A cache that is away."""

    def __init__(self, *_arguments: Any) -> None:
        pass

    def set(self, *_arguments: Any) -> None:
        raise ConnectionError("redis://:geheim@cache:6379")

    def close(self, **_options: Any) -> None:
        pass


def wall(_get_response: Any) -> Any:
    """A middleware that requires a login everywhere."""
    from django.http import HttpResponseRedirect

    return lambda _request: HttpResponseRedirect("/login/")


def test_where_a_delivery_is_sent_instead_is_said(install: Install, settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.wall"]
    found = only("receiver-unreachable")
    assert found.data == {"status": 302, "location": "/login/"}


def test_a_host_that_is_not_allowed_is_said(
    install: Install, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWED_HOSTS = ["other.example"]
    settings.MIDDLEWARE = ["django.middleware.common.CommonMiddleware", *settings.MIDDLEWARE]
    found = only("receiver-unreachable", offline=True)
    assert found.data["status"] == 400
    assert found.advice == "Add annotate.example, the host of PUBLIC_URL, to ALLOWED_HOSTS."
    assert caplog.records == []


def test_a_site_below_a_path(install: Install, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "PUBLIC_URL": "https://annotate.example/platform"}
    assert "receiver-unreachable" not in examine(offline=True)
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = ["^platform/opentrain/webhooks/"]
    assert "receiver-unreachable" not in examine(offline=True)


def test_a_proxy_in_front_is_taken_into_account(install: Install, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert examine() == {}


@pytest.mark.parametrize(
    ("change", "severity"),
    [
        (lambda document: document["paths"].pop("/contracts"), ERROR),
        (lambda document: document["paths"].update({"/jobs": {"get": {}}}), WARNING),
        (lambda document: document.pop("openapi"), WARNING),
    ],
)
def test_a_changed_spec_is_found(
    change: Callable[[Any], object], severity: Severity, install: Install
) -> None:
    document = install.client.get_openapi()
    change(document)
    with mock.patch("django_opentrain.platform.client.PlatformClient.get_openapi", return_value=document):
        assert only("spec-changed").severity == severity


def test_people_who_should_be_forgotten_are_found(opentrain: OpenTrain, install: Install) -> None:
    person = factories.make_participant(install)
    Participant.objects.filter(pk=person.pk).update(updated_at=timezone.now() - DAYS)
    assert only("retention-due").data == {"event_bodies": 0, "participants": 1}


def test_a_part_that_fails_keeps_what_it_found_before(install: Install) -> None:
    opentrain = [error("clock-skewed", "Far off.")]

    def part() -> Iterator[Finding]:
        yield from opentrain
        raise RuntimeError("out of order")

    with mock.patch.object(doctor.examination, "LOCAL", (part,)):
        found = examine(offline=True)
        assert set(found) == {"clock-skewed", "examination-failed"}
        opentrain.clear()
        assert "part. RuntimeError: out of order" in only("examination-failed", offline=True).title


def test_an_opentrain_that_fails_is_no_changed_spec(opentrain: OpenTrain, install: Install) -> None:
    opentrain.fail_next(503, times=2, match="GET /openapi.json")
    assert "503" in only("opentrain-unreachable").title


def test_an_opentrain_whose_headers_drip_is_unreachable(settings: Any) -> None:
    with serving() as server:
        settings.OPENTRAIN = {**settings.OPENTRAIN, "BASE_URL": server.url, "READ_TIMEOUT": 0.4}
        server.drips(0.02, after=b"HTTP/1.1 200 OK\r\nX-Slow: ")
        began = time.monotonic()
        [found] = opentrain_findings.opentrain()
        assert time.monotonic() - began < 2
    assert found.id == "opentrain-unreachable"


@pytest.mark.parametrize(("seconds", "direction"), [(100, "behind"), (-100, "ahead of")])
def test_the_clock_is_said_to_be_ahead_or_behind(
    seconds: int, direction: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opentrain_findings, "_skew", lambda: float(seconds))
    assert only("clock-skewed").title == f"This machine's clock is 100 seconds {direction} OpenTrain's."


def test_the_error_and_whose_it_is_are_said_with_it(opentrain: OpenTrain, install: Install) -> None:
    update_grant(desired=REVOKED, state=State.FAILED, last_error="403\nmay not remove members")
    [detail] = only("removal-failing").details
    trainer = grant().participant.opentrain_user_id
    assert f"trainer {trainer} (account " in detail
    assert f"project p1 of customer acme ({install.opentrain_id}): 403 may not" in detail


def test_many_of_a_kind_are_counted_and_some_are_named(install: Install) -> None:
    for number in range(12):
        factories.make_event(
            WebhookEndpoint.objects.get(),
            status=WebhookEvent.Status.FAILED,
            type="contract.ended",
            event_id=f"e{number}",
            error="KeyError: 'id'",
        )
    found = only("events-failed", offline=True)
    assert (found.data["count"], len(found.data["ids"]), len(found.details)) == (12, 10, 11)
    assert found.details[0] == f"contract.ended e0 of customer acme ({install.opentrain_id}): KeyError: 'id'"
    assert found.details[-1] == "and 2 more"


@pytest.mark.long
def test_what_is_examined_costs_no_more_where_there_is_more(
    install: Install, django_assert_max_num_queries: Any
) -> None:
    def fill(count: int) -> None:
        endpoint, row = WebhookEndpoint.objects.get(), AccessGrant.objects.earliest("pk")
        for _number in range(count):
            factories.make_event(endpoint, status=WebhookEvent.Status.FAILED)
            person = factories.make_participant(install)
            factories.make_grant(row.contract, row.link, person, state=State.FAILED)
            factories.make_usage(factories.make_contract(install), status=DailyUsage.Status.REFUSED)

    fill(1)
    with CaptureQueriesContext(connection) as few:
        doctor.examine(offline=True)
    fill(15)
    with django_assert_max_num_queries(len(few)):
        found = examine(offline=True)
    assert {"events-failed", "grant-failing", "usage-refused"} <= set(found)


@pytest.mark.parametrize(
    ("seconds", "text"), [(300, "5 minutes"), (7_199, "120 minutes"), (7_200, "2 hours"), (200_000, "2 days")]
)
def test_time_is_said_in_words(seconds: float, text: str) -> None:
    assert formatting.format_duration(seconds) == text


def test_an_error_takes_one_line() -> None:
    assert formatting.in_one_line("  403:\n no  seats ") == "403: no seats"
    endless = formatting.in_one_line("x" * 1000)
    assert (len(endless), endless[-2:]) == (formatting.LONGEST_LINE, "x…")


# Many installs --------------------------------------------------------------------------------


@pytest.mark.long
def test_the_next_examination_goes_on_with_the_next_installs(
    opentrain: OpenTrain, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opentrain_findings, "MOST_INSTALLS", 1)
    others = [opentrain.connect(name) for name in ("globex", "initech")]
    for each in others:
        endpoint = WebhookEndpoint.objects.get(install=each)
        each.client.delete_webhook_endpoint(endpoint.opentrain_id)
    found = []
    for _round in range(3):
        opentrain.travel(seconds=1)
        found.append({str(each.data["tenant"]) for each in doctor.examine() if each.id == "endpoint-missing"})
    assert found == [set(), {"globex"}, {"initech"}]


def test_an_opentrain_that_is_slow_is_not_waited_for(
    opentrain: OpenTrain, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opentrain_findings, "MOST_SECONDS", -1.0)
    assert "0 of 1 installs were checked" in only("install-unverified").title


def test_when_all_are_refused_the_app_is_suspected(opentrain: OpenTrain, install: Install) -> None:
    opentrain.connect("globex")
    found = refused_installs()
    assert found.title == "Connections that OpenTrain refuses: 2."
    assert "If all are refused, check on OpenTrain whether your app is active." in found.advice
    assert [line.split(" (")[0] for line in found.details] == ["customer acme", "customer globex"]


@pytest.mark.parametrize(
    ("status", "advised"), [(401, "has to connect again"), (403, "your app and the feature")]
)
def test_what_to_do_depends_on_how_it_is_refused(
    status: int, advised: str, opentrain: OpenTrain, install: Install
) -> None:
    opentrain.fail_next(status, match="GET /installs/current")
    assert advised in only("install-refused").advice


def refused_installs() -> Finding:
    Install.objects.update(status=Install.Status.UNAUTHORIZED)
    return only("install-refused")


@pytest.mark.parametrize(
    ("status", "name"),
    [("ACTIVE", "endpoint-disabled"), ("DISABLED", "endpoint-disabled"), ("PAUSED", "endpoint-paused")],
)
def test_a_disabled_endpoint_is_reported_once_and_re_enabled_unless_it_was_paused_here(
    status: str, name: str, opentrain: OpenTrain, install: Install
) -> None:
    _remote(opentrain, status="DISABLED", consecutive_failures=3)
    WebhookEndpoint.objects.update(status=status)
    [found] = doctor.examine()
    assert found.id == name
    assert ("opentrain_sync" in found.advice) is (name == "endpoint-disabled")


# Before anything else can be asked ------------------------------------------------------------


def test_without_a_database_nothing_else_is_asked(install: Install) -> None:
    broken = OperationalError("FATAL: password=geheim")
    with mock.patch("django_opentrain.services.doctor.site.MigrationExecutor", side_effect=broken):
        found = only("database-unreachable")
    assert "geheim" not in found.title


def test_missing_migrations_are_named(install: Install) -> None:
    newest = MigrationLoader(connection).graph.leaf_nodes("django_opentrain")[0]
    MigrationRecorder(connection).record_unapplied(*newest)
    assert only("migrations-missing").data == {"migrations": [".".join(newest)]}


# Celery ---------------------------------------------------------------------------------------


@pytest.fixture
def celery(install: Install, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """A host with a Celery app on a broker in memory, which no worker listens to."""
    app = Celery("host", broker="memory://", set_as_current=False, fixups=[])
    app.conf.beat_schedule = BEAT_SCHEDULE
    monkeypatch.setattr(wakeup, "_host_app", app)
    monkeypatch.setattr(workers, "PING_SECONDS", 0.1)
    # The kit keeps Celery out of it.
    monkeypatch.setattr("django_opentrain.services.doctor.workers.conf", mock.Mock(dispatch="celery"))
    yield app
    app.close()


def test_no_worker_answers(celery: Celery) -> None:
    silent = only("worker-silent", offline=True)
    assert silent.severity == WARNING, "a sweep a moment ago: it may be busy"
    Heartbeat.objects.update(beat_at=timezone.now() - HOURS)
    found = examine(offline=True)
    assert set(found) == {"worker-silent", "beat-silent"}
    assert found["worker-silent"].severity == ERROR


def test_workers_that_take_no_questions_are_not_asked(celery: Celery) -> None:
    celery.conf.worker_enable_remote_control = False
    assert examine(offline=True) == {}


class NoBroadcast(memory.Transport):
    """As a broker in a database, doccano's by default, or Amazon's SQS: a question to all workers reaches none."""

    implements = memory.Transport.implements.extend(exchange_type=frozenset(["direct", "topic"]))


def test_workers_that_no_question_can_reach_are_not_asked(celery: Celery) -> None:
    celery.conf.broker_transport = f"{__name__}:NoBroadcast"
    assert examine(offline=True) == {}


@contextmanager
def running_worker(app: Celery) -> Iterator[None]:
    """A worker in this process, which leaves the log and the current app to others as they were."""
    state: Any = _state
    apps = state.default_app, state._tls.current_app

    def keep_the_log(**_options: Any) -> None:
        """Celery configures it only if no one else does."""

    setup_logging.connect(keep_the_log)
    try:
        with start_worker(app, perform_ping_check=False):
            yield
    finally:
        setup_logging.disconnect(keep_the_log)
        state.default_app, state._tls.current_app = apps


def test_a_worker_that_answers_is_heard(celery: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PING_SECONDS", 10)
    Heartbeat.objects.update(beat_at=timezone.now() - HOURS)
    level = logging.getLogger().level
    with running_worker(celery):
        assert set(examine(offline=True)) == {"beat-silent"}
    assert logging.getLogger().level == level


@pytest.mark.skipif(not hasattr(beat, "BeatPidbox"), reason="beat answers since Celery 5.7")
def test_a_beat_that_answers_pings_is_no_worker(celery: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PING_SECONDS", 1)
    new: Any = beat  # newer than its types
    service = new.Service(celery)
    service.effective_max_interval, service._last_tick = 1, time.monotonic()  # as once it runs
    mailbox = new.BeatPidbox(service)
    mailbox.start()
    try:
        assert any(celery.control.ping(timeout=1) for _attempt in range(10)), "it answers as workers do"
        only("worker-silent", offline=True)
    finally:
        mailbox.stop()


def test_a_broker_that_refuses(celery: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ConnectionRefusedError("amqp://user:geheim@broker")

    monkeypatch.setattr(celery, "connection_for_write", refuse)
    assert (
        only("broker-unreachable", offline=True).title
        == "The broker can't be reached (ConnectionRefusedError)."
    )


def test_a_broker_that_never_answers(celery: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(workers, "BROKER_SECONDS", 0.1)
    monkeypatch.setattr(celery, "connection_for_write", answered.wait)
    try:
        assert "no answer" in only("broker-unreachable", offline=True).title
    finally:
        answered.set()


# The command ----------------------------------------------------------------------------------


def command(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("opentrain_doctor", *arguments, stdout=out, no_color=True)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_the_command_ends_with_0_where_all_is_well(install: Install) -> None:
    assert command() == (0, "All is well.\n")
    assert command("--json") == (0, "[]\n")


def test_the_command_says_what_to_do(install: Install) -> None:
    Install.objects.update(removals_held=7, reconcile_summary={"held": ["contract ctr_1 (Boxes) has ended"]})
    status, out = command("--offline")
    assert status == 2
    assert out.startswith("error Connections with removals that wait for confirmation: 1. [removals-held]\n")
    assert f"    customer acme ({install.opentrain_id}): 7 grants. contract ctr_1 (Boxes) has ended\n" in out
    assert "    → Review them: manage.py opentrain_sync --dry-run. " in out
    assert out.endswith("errors 1, warnings 0.\n")


def test_a_note_is_no_alarm(install: Install) -> None:
    update_grant(state=State.REMOVED_BY_HAND)
    status, out = command("--offline")
    assert status == 0
    assert out.startswith(
        "note Trainers whom a person has removed from this site by hand: 1. [removed-by-hand]"
    )
    assert out.endswith("errors 0, warnings 0.\n")


def test_the_worst_comes_first_and_decides(install: Install) -> None:
    Install.objects.update(removals_held=7)
    update_grant(desired=REVOKED, state=State.FAILED)
    status, out = command("--json", "--offline")
    assert status == 2
    assert [each["id"] for each in json.loads(out)] == ["removal-failing", "removals-held"]
    assert set(json.loads(out)[0]) == {"id", "severity", "title", "details", "advice", "page", "data"}


@pytest.mark.long
def test_findings_of_a_kind_share_their_advice(opentrain: OpenTrain, install: Install) -> None:
    for number in range(11):
        opentrain.connect(f"customer-{number}", pii=False)
    out = command()[1]
    assert out.count("[scopes-missing]") == 10
    assert out.count("→") == 1
    assert "and 1 more like these" in out
    assert out.endswith("errors 0, warnings 11.\n")


def test_its_own_delivery_alarms_nobody(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    command("--offline")
    assert [record.getMessage() for record in caplog.records if record.name == "django.request"] == []


def test_a_check_is_reported_with_its_hint(install: Install, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "REMOVAL_BREAKER": 7}
    assert "→ Use a share between 0 and 1. See E021 in docs/reference/checks.md." in command("--offline")[1]


def test_a_silenced_check_is_not_reported(install: Install, settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "REMOVAL_BREAKER": 7}
    settings.SILENCED_SYSTEM_CHECKS = ["opentrain.E021"]
    assert command("--offline") == (0, "All is well.\n")


def test_it_can_be_watched(install: Install) -> None:
    assert "… broker and workers" in command("--verbosity", "2")[1]


@pytest.mark.long
def test_nothing_it_says_holds_a_secret(opentrain: OpenTrain, install: Install, settings: Any) -> None:
    secrets = [
        install.token,
        WebhookEndpoint.objects.get().secret,
        Participant.objects.get().work_email,
        *KEYS,
    ]
    update_grant(desired=REVOKED, state=State.FAILED)
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.BrokenCache"}}
    opentrain.fail_next(403, match="GET /installs/current")
    said = command()[1] + command("--json")[1]
    assert "install-refused" in said
    assert [secret for secret in (*secrets, "geheim") if str(secret) in said] == []


# Documents ------------------------------------------------------------------------------------


#: Provoked by tests of their own.
ELSEWHERE = {
    "database-unreachable",
    "migrations-missing",
    "broker-unreachable",
    "worker-silent",
    "spec-changed",
    "examination-failed",
}


def test_every_finding_is_provoked_here() -> None:
    provoked = {each.values[0] for each in SCENES}
    of_customers = {each.name for each in CONDITIONS.values() if not each.for_operators}
    assert provoked | ELSEWHERE | of_customers == set(doctor.ADVICE)
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in ELSEWHERE if f'only("{name}"' not in text] == []


@pytest.mark.parametrize("name", doctor.ADVICE)
def test_every_finding_names_a_document_that_is_there(name: str) -> None:
    page, _, heading = error(name, "").page.partition("#")
    text = (ROOT / page).read_text(encoding="utf-8")
    assert f"\n### {heading}\n" in text if heading else text.startswith(f"# {name}\n")
