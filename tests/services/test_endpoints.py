"""Webhook endpoints: one that works, whatever happened to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.test.utils import override_script_prefix
from django.urls import reverse
from django.utils import timezone

from django_opentrain.conf import conf
from django_opentrain.crypto import generate_key
from django_opentrain.errors import BusyError, OperationRefused, ReconnectRequired, UnknownEndpoint
from django_opentrain.models import Install, WebhookEndpoint, WebhookEvent
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import BadRequest, NotFound, OpenTrainConnectionError, OpenTrainError
from django_opentrain.platform.signing import sign
from django_opentrain.sandbox.models import Endpoint
from django_opentrain.services import connect, endpoints, inbox
from django_opentrain.services.conditions import CONDITIONS
from django_opentrain.services.doctor import examine
from django_opentrain.services.inbox import receiving
from django_opentrain.services.workers.locks import lease
from django_opentrain.testing.kit import OpenTrain
from django_opentrain.testing.receiver import DeliveryFailed
from tests.factories import make_endpoint, make_event, make_install
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db

Status = WebhookEndpoint.Status
CREATE = "POST /webhook-endpoints"


@pytest.fixture
def install(linked: OpenTrain) -> Install:
    return Install.objects.get()


@pytest.fixture
def endpoint(install: Install) -> WebhookEndpoint:
    return WebhookEndpoint.objects.get()


def remote_urls(install: Install) -> list[str]:
    return [info.url for info in install.client.list_webhook_endpoints()]


def check(opentrain: OpenTrain) -> None:
    opentrain.travel(minutes=10)
    endpoints.check_all()


def test_subscribing_twice_is_subscribing_once(install: Install, endpoint: WebhookEndpoint) -> None:
    assert endpoints.subscribe(install) == endpoint
    assert remote_urls(install) == [endpoint.expected_url]
    assert str(endpoint.secret).startswith("whsec_")


def test_an_endpoint_whose_secret_was_lost_is_made_again(opentrain: OpenTrain) -> None:
    opentrain.lose_next_response(match=CREATE)
    install = opentrain.connect("acme")
    for _try in range(3):
        opentrain.travel(minutes=1)
        opentrain.run()
    working = WebhookEndpoint.objects.live().get()
    assert (working.status, remote_urls(install)) == (Status.ACTIVE, [working.expected_url])
    assert WebhookEndpoint.objects.filter(status=Status.REMOVED).count() == 1


def test_an_endpoint_that_was_never_made_is_made(opentrain: OpenTrain) -> None:
    opentrain.fail_next(status=502, match=CREATE)
    install = opentrain.connect("acme")
    opentrain.travel(minutes=1)
    opentrain.run()
    assert remote_urls(install) == [WebhookEndpoint.objects.live().get().expected_url]


def test_an_endpoint_that_is_gone_is_made_again(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    install.client.delete_webhook_endpoint(endpoint.opentrain_id)
    check(opentrain)
    working = WebhookEndpoint.objects.live().get()
    assert working != endpoint
    assert remote_urls(install) == [working.expected_url]


def encrypt_again(row: Model, column: str) -> None:
    """Store it under the key that is first now."""
    setattr(row, column, getattr(row, column))
    row.save()


def test_an_endpoint_whose_key_is_lost_is_replaced(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, settings: Any
) -> None:
    settings.OPENTRAIN = {
        **settings.OPENTRAIN,
        "ENCRYPTION_KEYS": [generate_key(), *settings.OPENTRAIN["ENCRYPTION_KEYS"]],
    }
    encrypt_again(endpoint, "secret")
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": settings.OPENTRAIN["ENCRYPTION_KEYS"][1:]}
    check(opentrain)
    working = WebhookEndpoint.objects.live().get()
    assert working != endpoint
    assert remote_urls(install) == [working.expected_url]


def test_a_changed_public_url_is_followed(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, settings: Any
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "PUBLIC_URL": "https://new.example"}
    check(opentrain)
    assert remote_urls(install) == [f"https://new.example/opentrain/webhooks/{endpoint.key}/"]


def test_each_process_below_a_path_knows_the_same_url(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, settings: Any
) -> None:
    """In a request ``reverse()`` begins with the server's path; in a worker it doesn't."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "PUBLIC_URL": "https://site.example/annotate"}
    for prefix in ("/annotate/", "/"):
        with override_script_prefix(prefix):
            check(opentrain)
            url = f"https://site.example/annotate/opentrain/webhooks/{endpoint.key}/"
            assert remote_urls(install) == [url]
            assert conf.absolute_url(reverse("login")) == "https://site.example/annotate/accounts/login/"
    opentrain.hire()
    opentrain.run()
    assert WebhookEvent.objects.filter(type="contract.started").exists(), "the kit delivers below the path"


def test_changed_event_types_are_followed(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, settings: Any
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "EVENT_TYPES": ["contract.started", "contract.ended"]}
    check(opentrain)
    [info] = install.client.list_webhook_endpoints()
    assert set(info.event_types) == {"contract.started", "contract.ended"}


def fail_deliveries(opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site is down until OpenTrain has given up on the endpoint."""

    def down(*_arguments: object) -> None:
        raise UnknownEndpoint

    monkeypatch.setattr(inbox, "receive_body", down)
    for number in range(3):
        opentrain.hire(f"Trainer {number}")
        for minutes in (0, 1, 5, 30, 120):
            opentrain.travel(minutes=minutes)
            with pytest.raises(DeliveryFailed):
                opentrain.deliver()
            if _status(opentrain) == "DISABLED":
                monkeypatch.undo()
                return
    pytest.fail("OpenTrain did not disable the endpoint")


def _status(opentrain: OpenTrain) -> str:
    [endpoint] = opentrain.sandbox.store.all(Endpoint)
    return endpoint.status


@pytest.mark.long
def test_a_disabled_endpoint_is_recovered_in_the_documented_order(
    opentrain: OpenTrain, install: Install, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_deliveries(opentrain, patch)
    before = len(opentrain.sandbox.calls)
    check(opentrain)
    changing = [
        f"{call.method} {call.path.rsplit('/', 1)[-1]}"
        for call in list(opentrain.sandbox.calls)[before:]
        if call.method != "GET"
    ]
    assert [each.split()[0] for each in changing] == ["PATCH", "POST"]
    assert changing[1] == "POST redeliver"
    opentrain.travel(minutes=5)
    opentrain.run()
    assert len(site.inside) >= 2
    row = WebhookEndpoint.objects.get()
    assert (row.status, row.consecutive_failures) == (Status.ACTIVE, 0)
    assert WebhookEvent.objects.filter(type="contract.started").exists()


@pytest.mark.parametrize("lost", [False, True])
def test_a_recovery_that_is_cut_short_is_gone_on_with(
    opentrain: OpenTrain, install: Install, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """Enabled again, an endpoint looks well: what failed before would never be delivered."""
    with monkeypatch.context() as patch:
        fail_deliveries(opentrain, patch)
    if lost:
        opentrain.lose_next_response(match="PATCH .*")
    else:
        opentrain.fail_next(status=503, match="POST .*/redeliver")
    check(opentrain)
    assert _status(opentrain) == "ACTIVE"
    assert WebhookEndpoint.objects.get().status == Status.DISABLED
    check(opentrain)
    assert WebhookEndpoint.objects.get().status == Status.ACTIVE
    opentrain.travel(minutes=5)
    opentrain.deliver()
    assert WebhookEvent.objects.filter(type="contract.started").exists()


def test_an_endpoint_that_was_paused_on_purpose_stays_paused(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    endpoints.pause(endpoint)
    assert WebhookEndpoint.objects.get().status == Status.PAUSED
    check(opentrain)
    endpoint.refresh_from_db()
    assert endpoint.status == Status.PAUSED
    assert _status(opentrain) == "DISABLED"
    endpoints.recover(endpoint)
    check(opentrain)
    endpoint.refresh_from_db()
    assert (endpoint.status, _status(opentrain)) == (Status.ACTIVE, "ACTIVE")


def test_an_endpoint_that_this_site_did_not_pause_is_re_enabled(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    """Who disabled it, and after how many failures, OpenTrain doesn't say."""
    install.client.update_webhook_endpoint(endpoint.opentrain_id, status="DISABLED")
    check(opentrain)
    endpoint.refresh_from_db()
    assert (endpoint.status, _status(opentrain)) == (Status.ACTIVE, "ACTIVE")


@pytest.mark.parametrize("arrives", [True, False])
def test_a_pause_whose_answer_is_lost_is_one_if_it_took_effect(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, arrives: bool
) -> None:
    fault = opentrain.lose_next_response if arrives else lambda **_values: opentrain.fail_next(503)
    fault(match="PATCH .*")
    with pytest.raises(OpenTrainError):
        endpoints.pause(endpoint)
    check(opentrain)
    endpoint.refresh_from_db()
    there = "DISABLED" if arrives else "ACTIVE"
    assert (endpoint.status, _status(opentrain)) == (Status.PAUSED if arrives else Status.ACTIVE, there)


def test_a_pause_that_is_refused_is_none(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    opentrain.fail_next(400, match="PATCH .*")
    with pytest.raises(BadRequest):
        endpoints.pause(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.status == Status.ACTIVE


def test_another_customers_endpoint_that_is_being_made_is_left_alone(install: Install) -> None:
    waiting = make_endpoint(make_install("globex"), opentrain_id="", secret=None, status=Status.PENDING)
    endpoints.ensure(install)
    waiting.refresh_from_db()
    assert waiting.status == Status.PENDING


def test_of_two_that_work_the_older_stays(install: Install, endpoint: WebhookEndpoint) -> None:
    """A process died while it rotated the secret."""
    second = endpoints._create(install)
    assert endpoints.ensure(install) == endpoint
    second.refresh_from_db()
    endpoint.refresh_from_db()
    assert (endpoint.status, second.status) == (Status.ACTIVE, Status.RETIRING)


@pytest.mark.long
def test_rotation_loses_no_event_and_applies_none_twice(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, site: Host
) -> None:
    maria = opentrain.hire("Maria S.")
    new = endpoints.rotate_secret(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.status == Status.RETIRING
    assert new.secret != endpoint.secret
    ken = opentrain.hire("Ken T.")
    opentrain.run()
    assert site.inside == {(maria.opentrain_user_id, "p1"), (ken.opentrain_user_id, "p1")}
    both = WebhookEvent.objects.filter(type="contract.started", resource_id=ken.id)
    assert sorted(both.values_list("status", flat=True)) == ["IGNORED", "PROCESSED"]
    opentrain.travel(hours=2)
    endpoints.check_all()
    assert len(remote_urls(install)) == 2
    opentrain.travel(hours=2)
    endpoints.check_all()
    assert remote_urls(install) == [new.expected_url]
    endpoint.refresh_from_db()
    assert endpoint.status == Status.REMOVED


def test_a_rotation_cut_short_ends_with_one_endpoint(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    opentrain.lose_next_response(match=CREATE)
    with pytest.raises(OpenTrainConnectionError):
        endpoints.rotate_secret(endpoint)
    unanswered = WebhookEndpoint.objects.exclude(pk=endpoint.pk).get()
    assert (unanswered.status, bool(unanswered.last_error)) == (Status.PENDING, True)
    check(opentrain)
    assert remote_urls(install) == [endpoint.expected_url]
    unanswered.refresh_from_db()
    assert unanswered.status == Status.REMOVED


def test_a_definite_no_leaves_no_endpoint(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    opentrain.fail_next(400, match=CREATE)
    with pytest.raises(BadRequest):
        endpoints.rotate_secret(endpoint)
    assert WebhookEndpoint.objects.get().status == Status.ACTIVE


def test_a_proxys_404_removes_no_endpoint(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    successor = endpoints.rotate_secret(endpoint)
    opentrain.travel(hours=4)
    opentrain.sandbox.fault("html", status=404, match="DELETE /webhook-endpoints/.*")
    with pytest.raises(NotFound):
        endpoints.subscribe(install)
    endpoints.subscribe(install)
    assert remote_urls(install) == [successor.url]


def test_two_do_not_change_endpoints_at_once(install: Install, endpoint: WebhookEndpoint) -> None:
    with lease(install.pk):
        with pytest.raises(BusyError):
            endpoints.subscribe(install)
        for change in (endpoints.rotate_secret, endpoints.recover, endpoints.redeliver, endpoints.pause):
            with pytest.raises(BusyError):
                change(endpoint)
        assert endpoints.check_all() == 0


@pytest.mark.parametrize(
    ("change", "call"),
    [
        (endpoints.rotate_secret, "create_webhook_endpoint"),
        (endpoints.recover, "redeliver"),
        (endpoints.pause, "update_webhook_endpoint"),
    ],
)
def test_an_endpoint_that_a_reconnect_gave_up_meanwhile_stays_so(
    opentrain: OpenTrain,
    install: Install,
    endpoint: WebhookEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[WebhookEndpoint], object],
    call: str,
) -> None:
    ask = getattr(PlatformClient, call)

    def and_reconnect(*arguments: Any, **options: Any) -> Any:
        answer = ask(*arguments, **options)
        with suppress(DeliveryFailed):  # of the news to the endpoint that was made a moment ago
            opentrain.connect("acme")
        return answer

    monkeypatch.setattr(PlatformClient, call, and_reconnect)
    change(endpoint)
    install.refresh_from_db()
    assert install.superseded_by is not None
    assert not WebhookEndpoint.objects.live().filter(install=install).exists()


def test_the_second_rotation_at_once_is_refused(install: Install, endpoint: WebhookEndpoint) -> None:
    same = WebhookEndpoint.objects.get()
    endpoints.rotate_secret(endpoint)
    with pytest.raises(OperationRefused):
        endpoints.rotate_secret(same)
    assert len(remote_urls(install)) == 2


def test_only_a_working_endpoint_gets_deliveries_again(endpoint: WebhookEndpoint) -> None:
    assert endpoints.redeliver(endpoint).requeued == 0
    endpoints.pause(endpoint)
    with pytest.raises(OperationRefused, match="active endpoint"):
        endpoints.redeliver(endpoint)


@pytest.mark.parametrize(
    "change", [endpoints.rotate_secret, endpoints.recover, endpoints.redeliver, endpoints.pause]
)
def test_an_endpoint_that_opentrain_does_not_know_is_left_alone(
    opentrain: OpenTrain, install: Install, change: Callable[[WebhookEndpoint], object]
) -> None:
    unconfirmed = make_endpoint(install, status="PENDING", opentrain_id="")
    before = len(opentrain.sandbox.calls)
    with pytest.raises(OperationRefused):
        change(unconfirmed)
    assert len(opentrain.sandbox.calls) == before


def test_pausing_what_is_being_replaced_does_not_pause_what_replaces_it(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    successor = endpoints.rotate_secret(endpoint)
    endpoints.pause(endpoint)
    check(opentrain)
    successor.refresh_from_db()
    assert (endpoint.status, successor.status) == (Status.RETIRING, Status.ACTIVE)


def test_nothing_is_made_for_a_customer_who_left_meanwhile(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    """A run over all installs reaches the last one long after they were loaded."""
    loaded = Install.objects.get()
    connect.disconnect(install)
    opentrain.run()
    with pytest.raises(ReconnectRequired):
        endpoints.subscribe(loaded)
    with pytest.raises(ReconnectRequired):
        endpoints.rotate_secret(endpoint)
    assert opentrain.sandbox.store.all(Endpoint) == []


def test_leaving_finds_an_endpoint_whose_creation_was_not_answered(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    opentrain.lose_next_response(match=CREATE)
    with pytest.raises(OpenTrainConnectionError):
        endpoints.rotate_secret(endpoint)
    connect.disconnect(install)
    opentrain.run()
    assert opentrain.sandbox.store.all(Endpoint) == []


def test_an_endpoint_that_was_given_up_is_not_left_at_opentrain(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    WebhookEndpoint.objects.update(status=Status.REMOVED)
    check(opentrain)
    assert remote_urls(install) == [WebhookEndpoint.objects.live().get().expected_url]


def test_one_customers_outage_does_not_keep_others_unchecked(opentrain: OpenTrain, install: Install) -> None:
    opentrain.connect("globex")
    opentrain.fail_next(status=500, match="GET /webhook-endpoints")
    opentrain.travel(minutes=10)
    assert endpoints.check_all() == 2
    checked = WebhookEndpoint.objects.filter(checked_at__gte=timezone.now() - timedelta(minutes=1))
    assert checked.count() == 1


def test_events_are_still_accepted_by_a_removed_endpoint(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    WebhookEndpoint.objects.update(status=Status.REMOVED)
    opentrain.hire()
    assert opentrain.deliver() == 1
    assert WebhookEvent.objects.filter(type="contract.started").count() == 1


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("removed_by", ["rotation", "reconnect", "loss"])
def test_a_secret_is_good_for_three_hours_after_its_endpoint(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, removed_by: str, checked: bool
) -> None:
    opentrain.travel(hours=4)
    if removed_by == "rotation":
        endpoints.rotate_secret(endpoint)
    elif removed_by == "reconnect":
        opentrain.connect("acme")
    else:
        install.client.delete_webhook_endpoint(endpoint.opentrain_id)
        endpoints.check_all()
    endpoint.refresh_from_db()
    opentrain.travel(hours=2, minutes=59)
    receiving._known_endpoints.clear()
    receive(endpoint)
    opentrain.travel(minutes=1)
    if checked:
        endpoints.check_all()
    receiving._known_endpoints.clear()
    with pytest.raises(UnknownEndpoint):
        receive(endpoint)


def test_an_endpoint_that_is_lost_while_it_retires_is_refused_when_that_was_said(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    endpoints.rotate_secret(endpoint)
    opentrain.travel(hours=2)
    install.client.delete_webhook_endpoint(endpoint.opentrain_id)
    endpoints.check_all()
    endpoint.refresh_from_db()
    assert endpoint.status == Status.REMOVED
    opentrain.travel(hours=1)
    receiving._known_endpoints.clear()
    with pytest.raises(UnknownEndpoint):
        receive(endpoint)


# A secret that is compromised ---------------------------------------------------------------------


@pytest.mark.parametrize("first_rotated", [False, True], ids=["in use", "being replaced"])
def test_a_compromised_secret_is_refused_at_once(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, first_rotated: bool
) -> None:
    if first_rotated:
        endpoints.rotate_secret(endpoint)
    secret = str(endpoint.secret)
    new = endpoints.rotate_secret(endpoint, compromised=True)
    receiving._known_endpoints.clear()
    with pytest.raises(UnknownEndpoint):
        receive(endpoint, secret)
    assert (new.status, new.secret != secret) == (Status.ACTIVE, True)
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.secret) == (Status.REMOVED, None)
    assert [each.id for each in install.client.list_webhook_endpoints()] == [new.opentrain_id]
    install.refresh_from_db()
    assert install.next_reconcile_at is not None
    opentrain.run()
    opentrain.hire()
    assert opentrain.deliver() == 1


@pytest.mark.long
def test_what_was_signed_with_a_compromised_secret_takes_no_effect(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    """Also what another process has accepted since: it remembers an endpoint for some seconds."""
    maria = opentrain.hire()
    opentrain.run()
    forged = make_event(endpoint, "contract.ended", {"contract": {"id": maria.id, "status": "ended"}})
    endpoints.rotate_secret(endpoint, compromised=True)
    ken = opentrain.hire("Ken T.")
    opentrain.run()
    forged.refresh_from_db()
    assert (forged.status, forged.error) == (
        WebhookEvent.Status.IGNORED,
        "The secret with which it was signed is compromised.",
    )
    assert maria.contract.status == ken.contract.status == "active"


@pytest.mark.parametrize("obstacle", ["an outage", "another worker"])
def test_a_compromised_secret_waits_for_nothing(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, obstacle: str
) -> None:
    secret = str(endpoint.secret)
    if obstacle == "an outage":
        opentrain.fail_next(503)
        with pytest.raises(OpenTrainError):
            endpoints.rotate_secret(endpoint, compromised=True)
    else:
        with lease(install.pk), pytest.raises(BusyError):
            endpoints.rotate_secret(endpoint, compromised=True)
    receiving._known_endpoints.clear()
    with pytest.raises(UnknownEndpoint):
        receive(endpoint, secret)
    opentrain.run()
    [there] = install.client.list_webhook_endpoints()
    assert there.id == WebhookEndpoint.objects.live().get().opentrain_id != endpoint.opentrain_id


def test_a_compromised_endpoint_is_deleted_wherever_it_points(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, settings: Any
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "PUBLIC_URL": "https://moved.example"}
    new = endpoints.rotate_secret(endpoint, compromised=True)
    assert [each.id for each in install.client.list_webhook_endpoints()] == [new.opentrain_id]


def receive(endpoint: WebhookEndpoint, secret: str | None = None) -> None:
    body = uuid.uuid4().hex.encode()
    signature = sign(secret or str(endpoint.secret), body, int(timezone.now().timestamp()))
    inbox.receive(endpoint.key, {"X-OpenTrain-Signature": signature}, body)


# Another site with the same connection ----------------------------------------------------------


def elsewhere() -> list[Install]:
    return list(CONDITIONS["endpoints-elsewhere"].rows())


def test_an_endpoint_of_another_site_is_a_finding(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    check(opentrain)
    assert elsewhere() == []
    foreign = install.client.create_webhook_endpoint(
        url="https://staging.example.org/opentrain/webhooks/secret/", event_types=list(conf.event_types)
    )
    check(opentrain)
    assert elsewhere() == [install]
    install.refresh_from_db()
    assert install.foreign_endpoints == ["https://staging.example.org"]
    [finding] = [each for each in examine(offline=True) if each.id == "endpoints-elsewhere"]
    assert "staging.example.org" in finding.details[0]
    assert "secret" not in finding.details[0]
    assert len(remote_urls(install)) == 2, "it is not ours to remove"
    install.client.delete_webhook_endpoint(foreign.endpoint.id)
    check(opentrain)
    assert elsewhere() == []


def test_so_is_an_endpoint_of_ours_that_another_site_has_moved(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint
) -> None:
    """A copy of the database, with its token, runs there."""
    install.client.update_webhook_endpoint(
        str(endpoint.opentrain_id), url="https://staging.example.org/hooks/"
    )
    check(opentrain)
    assert elsewhere() == [install]
    assert remote_urls(install) == [endpoint.expected_url]
    check(opentrain)
    assert elsewhere() == []


def test_a_site_that_has_moved_is_no_other_site(
    opentrain: OpenTrain, install: Install, endpoint: WebhookEndpoint, settings: Any
) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "PUBLIC_URL": "https://new.example.com"}
    check(opentrain)
    assert elsewhere() == []
