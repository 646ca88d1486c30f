"""Connecting: the way to the consent screen and back, the token, and the end."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext, override_script_prefix
from django.utils import timezone

from django_opentrain.conf import conf
from django_opentrain.crypto import generate_key
from django_opentrain.errors import ConnectError, StateError, TokenRefused, UndecryptableError
from django_opentrain.models import (
    AccessGrant,
    ConsentRequest,
    Contract,
    DailyUsage,
    Install,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import Forbidden, RateLimited, ServerError, Unauthorized
from django_opentrain.platform.resources import InstallInfo
from django_opentrain.sandbox.lookup import find
from django_opentrain.sandbox.models import Install as SandboxInstall
from django_opentrain.sandbox.models import Token as SandboxToken
from django_opentrain.services import connect, endpoints, reconcile, sweep, usage
from django_opentrain.services.connect import offboarding, reconnect
from django_opentrain.testing.kit import OpenTrain
from tests.factories import (
    make_contract,
    make_event,
    make_grant,
    make_install,
    make_participant,
    make_user,
)
from tests.services.conftest import Host

pytestmark = pytest.mark.django_db

Status = Install.Status
LEASE = uuid.UUID(int=1)


@pytest.fixture
def customer() -> User:
    return make_user("customer")


@pytest.fixture
def request_of(customer: User, rf: RequestFactory) -> HttpRequest:
    request = rf.get("/")
    request.user = customer
    return request


def state_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


# There and back -------------------------------------------------------------------------------


def test_the_consent_url_is_as_documented(request_of: HttpRequest) -> None:
    url = urlsplit(connect.begin(request_of, "p1", "/projects/p1/"))
    assert (url.scheme, url.netloc) == ("https", "app.opentrain.test")
    assert url.path == "/integrations/annotation-demo/connect"
    query = parse_qs(url.query)
    assert query["external_project_id"] == ["p1"]
    assert query["redirect_uri"] == ["https://annotate.example/opentrain/callback/"]
    assert len(query["state"][0]) >= 43
    consent = ConsentRequest.objects.get()
    assert query["state"][0] not in vars(consent).values()
    assert consent.expires_at - consent.created_at <= timedelta(hours=1, seconds=1)


def test_a_path_that_only_the_server_knows(customer: User, rf: RequestFactory, settings: Any) -> None:
    request = rf.get("/", SCRIPT_NAME="/annotate")
    request.user = customer
    with pytest.raises(ConnectError, match=r"runs below /annotate, and its PUBLIC_URL doesn't end in that"):
        connect.begin(request)
    settings.OPENTRAIN = {**settings.OPENTRAIN, "PUBLIC_URL": "https://site.example/annotate/"}
    with override_script_prefix("/annotate/"):
        query = parse_qs(urlsplit(connect.begin(request)).query)
    assert query["redirect_uri"] == ["https://site.example/annotate/opentrain/callback/"]


def test_strangers_do_not_connect(rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = AnonymousUser()
    with pytest.raises(PermissionDenied):
        connect.begin(request)


def test_only_own_projects_are_offered(request_of: HttpRequest) -> None:
    with pytest.raises(ConnectError, match="not one of yours"):
        connect.begin(request_of, "g1")


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil"]
)
def test_the_way_on_stays_on_this_site(request_of: HttpRequest, customer: User, url: str) -> None:
    state = state_in(connect.begin(request_of, next_url=url))
    back = connect.complete_return(user=customer, tenant="acme", state=state, opentrain_install_id="ins_1")
    assert back.next_url == ""


def test_a_return_makes_an_install_that_waits_for_its_token(request_of: HttpRequest, customer: User) -> None:
    state = state_in(connect.begin(request_of, "p1", "/after/"))
    back = connect.complete_return(user=customer, tenant="acme", state=state, opentrain_install_id="ins_1")
    assert (back.external_project_id, back.next_url) == ("p1", "/after/")
    assert back.install is not None
    assert (back.install.status, back.install.expected_id) == (Status.PENDING, "ins_1")
    assert back.install.opentrain_id is None
    assert (back.install.connected_by, back.install.requested_project_id) == (customer, "p1")
    assert back.install.app_slug == conf.app_slug


def test_whoever_comes_again_finds_what_waits_for_them_alone(customer: User) -> None:
    waiting = connect.start_without_return(customer, "acme")
    assert connect.start_without_return(make_user(), "acme") == waiting
    assert connect.start_without_return(make_user(), "globex") != waiting
    Install.objects.filter(pk=waiting.pk).update(status=Status.ACTIVE)
    assert connect.start_without_return(customer, "acme") != waiting


def test_a_return_without_an_install_is_a_refusal(request_of: HttpRequest, customer: User) -> None:
    state = state_in(connect.begin(request_of, "p1"))
    assert connect.complete_return(user=customer, tenant="acme", state=state).install is None
    assert not Install.objects.exists()


def test_a_state_serves_once_one_user_one_tenant_one_hour(
    request_of: HttpRequest, customer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = state_in(connect.begin(request_of))
    stranger = make_user("stranger")
    for user, tenant, value in (
        (stranger, "acme", state),
        (customer, "globex", state),
        (customer, "acme", "made-up"),
        (customer, "acme", ""),
        (customer, "acme", "\ud800"),
    ):
        with pytest.raises(StateError):
            connect.complete_return(user=user, tenant=tenant, state=value, opentrain_install_id="ins_1")
    connect.complete_return(user=customer, tenant="acme", state=state, opentrain_install_id="ins_1")
    with pytest.raises(StateError):
        connect.complete_return(user=customer, tenant="acme", state=state, opentrain_install_id="ins_1")
    late = state_in(connect.begin(request_of))
    ConsentRequest.objects.filter(used_at=None).update(expires_at=timezone.now())
    with pytest.raises(StateError, match="has expired"):
        connect.complete_return(user=customer, tenant="acme", state=late, opentrain_install_id="ins_1")


# The token ------------------------------------------------------------------------------------


def test_a_token_connects_subscribes_and_reconciles(opentrain: OpenTrain, customer: User) -> None:
    approval = opentrain.sandbox.approve()
    waiting = connect.start_without_return(customer, "acme")
    install = connect.capture_token(waiting, f"  {approval.token}\n")
    assert install.pk == waiting.pk
    assert (install.status, install.opentrain_id) == (Status.ACTIVE, approval.install.id)
    assert install.token == approval.token
    assert install.token_hint == approval.token[-4:]
    assert connect.missing_scopes(install) == ()
    assert install.pii_consent
    opentrain.run()
    install.refresh_from_db()
    assert install.reconciled_at
    assert WebhookEndpoint.objects.get().status == WebhookEndpoint.Status.ACTIVE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "ot_ptk_",
        "whsec_abc",
        "ot_ptk_a b",
        "ot_ptk_a\nb",
        "ot_ptk_ä",
        "ot_ptk_" + "x" * 600,
        "ot_ptk_\0",
    ],
)
def test_what_is_no_token_is_said_so_and_sent_nowhere(
    opentrain: OpenTrain, customer: User, text: str
) -> None:
    waiting = connect.start_without_return(customer, "acme")
    with pytest.raises(TokenRefused, match="begins with ot_ptk_"):
        connect.capture_token(waiting, text)
    assert not opentrain.sandbox.calls


def test_a_token_that_opentrain_does_not_know(opentrain: OpenTrain, customer: User) -> None:
    waiting = connect.start_without_return(customer, "acme")
    with pytest.raises(TokenRefused, match="doesn't accept") as caught:
        connect.capture_token(waiting, "ot_ptk_0123456789abcdef")
    assert "0123456789" not in str(caught.value)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.token) == (Status.PENDING, None)


def test_another_apps_token(opentrain: OpenTrain, customer: User) -> None:
    opentrain.sandbox.create_app("other-app")
    approval = opentrain.sandbox.approve(app_slug="other-app")
    with pytest.raises(TokenRefused, match="another app"):
        connect.capture_token(connect.start_without_return(customer, "acme"), approval.token)


def test_the_token_of_a_connection_that_is_not_active(
    opentrain: OpenTrain, customer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval = opentrain.sandbox.approve()
    ask = PlatformClient.get_install
    monkeypatch.setattr(PlatformClient, "get_install", lambda client: replace(ask(client), status="PAUSED"))
    with pytest.raises(TokenRefused, match="not active"):
        connect.capture_token(connect.start_without_return(customer, "acme"), approval.token)


def test_another_installs_token(opentrain: OpenTrain, customer: User, request_of: HttpRequest) -> None:
    approval = opentrain.sandbox.approve()
    state = state_in(connect.begin(request_of))
    back = connect.complete_return(
        user=customer, tenant="acme", state=state, opentrain_install_id="ins_other"
    )
    assert back.install is not None
    with pytest.raises(TokenRefused, match="another connection"):
        connect.capture_token(back.install, approval.token)


def test_another_tenants_install(opentrain: OpenTrain, customer: User) -> None:
    approval = opentrain.sandbox.approve()
    connect.capture_token(connect.start_without_return(customer, "acme"), approval.token)
    with pytest.raises(TokenRefused, match="another customer"):
        connect.capture_token(connect.start_without_return(customer, "globex"), approval.token)


def test_an_outage_loses_nothing(opentrain: OpenTrain, customer: User) -> None:
    approval = opentrain.sandbox.approve()
    waiting = connect.start_without_return(customer, "acme")
    opentrain.fail_next(status=503)
    with pytest.raises(ServerError):
        connect.capture_token(waiting, approval.token)
    assert connect.capture_token(waiting, approval.token).status == Status.ACTIVE


def test_the_same_token_again_is_the_same_install(opentrain: OpenTrain, customer: User) -> None:
    approval = opentrain.sandbox.approve()
    first = connect.capture_token(connect.start_without_return(customer, "acme"), approval.token)
    again = connect.capture_token(connect.start_without_return(customer, "acme"), approval.token)
    assert again.pk == first.pk
    assert Install.objects.count() == 1


def test_what_a_worker_wrote_while_opentrain_was_asked_stays(
    opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same token is pasted again while a worker is at the install."""
    install = opentrain.connect("acme")
    until = opentrain.now + timedelta(minutes=5)
    get_install = PlatformClient.get_install

    def during_call(client: PlatformClient) -> InstallInfo:
        info = get_install(client)
        Install.objects.update(lease=LEASE, leased_until=until, paused_until=until)
        return info

    monkeypatch.setattr(PlatformClient, "get_install", during_call)
    install = connect.capture_token(install, str(install.token))
    assert (install.lease, install.leased_until, install.paused_until) == (LEASE, until, until)


def test_a_pause_leaves_the_token_that_another_tab_has_stored(opentrain: OpenTrain, customer: User) -> None:
    """The form was sent twice, and OpenTrain limits the second call."""
    waiting = connect.start_without_return(customer, "acme")
    same = Install.objects.get(pk=waiting.pk)
    token = opentrain.sandbox.approve().token
    connect.capture_token(waiting, token)
    opentrain.fail_next(429, retry_after="30", match="GET /installs/current")
    with pytest.raises(RateLimited):
        connect.capture_token(same, token)
    stored = Install.objects.get()
    assert (stored.status, stored.token) == (Status.ACTIVE, token)


def test_a_token_pasted_where_nothing_waits_any_more(opentrain: OpenTrain, customer: User) -> None:
    """The waiting row was purged, or another tab was faster."""
    install = opentrain.connect("acme")
    waiting = connect.start_without_return(customer, "acme")
    Install.objects.filter(pk=waiting.pk).delete()
    assert connect.capture_token(waiting, str(install.token)) == install
    approval = opentrain.sandbox.approve(organization_id=install.organization_id)
    waiting.requested_project_id = "p1"
    new = connect.capture_token(waiting, approval.token)
    assert (new.tenant, new.status, new.app_slug) == ("acme", Status.ACTIVE, conf.app_slug)
    assert (new.connected_by, new.requested_project_id) == (customer, "p1")


@pytest.mark.parametrize("second", ["known", "new"])
def test_two_tokens_pasted_into_the_same_form_are_two_installs(
    opentrain: OpenTrain, customer: User, second: str
) -> None:
    """Both pages were opened before the first token came: the second must not take the first one's row."""
    known = opentrain.connect("acme")
    waiting = connect.start_without_return(customer, "acme")
    same = Install.objects.get(pk=waiting.pk)
    approvals = [
        opentrain.sandbox.approve(organization_id=opentrain.sandbox.create_organization(name).id)
        for name in ("first", "second")
    ]
    first = connect.capture_token(waiting, approvals[0].token)
    token = str(known.token) if second == "known" else approvals[1].token
    connect.capture_token(same, token)
    first.refresh_from_db()
    assert (first.opentrain_id, first.token) == (approvals[0].install.id, approvals[0].token)
    assert Install.objects.usable().count() == (2 if second == "known" else 3)


def test_missing_scopes_are_named(opentrain: OpenTrain) -> None:
    install = opentrain.connect("acme", scopes=["project-links:write", "webhooks:manage"], pii=False)
    assert connect.missing_scopes(install) == (
        "contracts:read",
        "participants:read",
        "participants:email",
        "usage:write",
    )


# Reconnecting and revoking --------------------------------------------------------------------


@pytest.fixture
def working(linked: OpenTrain) -> OpenTrain:
    return linked


@pytest.mark.long
def test_a_reconnect_takes_everything_over_and_nobody_loses_access(working: OpenTrain, site: Host) -> None:
    maria = working.hire()
    working.run()
    old = Install.objects.get()
    usage.record(maria.contract, usage.today(), total_seconds=600)
    calls = len(site.calls)
    new = working.connect("acme")
    working.travel(hours=1)
    working.run()
    old.refresh_from_db()
    assert (old.status, old.superseded_by, old.token) == (Status.REVOKED, new, None)
    assert old.revoked_at is not None
    assert not WebhookEndpoint.objects.live().filter(install=old).exists()
    assert maria.contract.install == new
    assert maria.grant.link.install == new
    assert maria.grant.state == AccessGrant.State.GRANTED
    assert [call for call in site.calls[calls:] if call[0] == "revoke_access"] == []
    assert ProjectLink.objects.live().get().status == ProjectLink.Status.ACTIVE
    assert DailyUsage.objects.get().status == DailyUsage.Status.REPORTED
    assert len(new.client.list_project_links()) == 1
    assert len(new.client.list_webhook_endpoints()) == 1
    working.end(maria)
    working.run()
    assert site.inside == set()


def test_taking_over_costs_the_same_however_long_the_history(working: OpenTrain) -> None:
    """The customer waits for it."""

    def statements(history: int) -> int:
        old = Install.objects.usable().get()
        link = ProjectLink.objects.live().get(install=old)
        for _ in range(history):
            contract = make_contract(old, [link], status="ended")
            make_grant(contract, link, make_participant(old), desired="REVOKED", state="REVOKED")
        approval = working.sandbox.approve(organization_id=old.organization_id)
        waiting = connect.start_without_return(make_user(), "acme")
        with CaptureQueriesContext(connection) as queries:
            connect.capture_token(waiting, approval.token)
        assert (
            Contract.objects.filter(install=Install.objects.usable().get(), links__live=True).count()
            >= history
        )
        return len(queries)

    assert statements(1) == statements(20)


@pytest.mark.long
def test_back_to_an_older_connection_that_still_works(working: OpenTrain, site: Host) -> None:
    """Whether a reconnect ends the old grant is not documented: its token may be pasted again."""
    maria = working.hire()
    working.run()
    old = Install.objects.get()
    token = str(old.token)
    new = working.connect("acme")
    there = find(working.sandbox.store, SandboxInstall, str(old.opentrain_id))
    with working.sandbox.store.transaction():
        there.status, there.revoked_at = "ACTIVE", None
        for each in working.sandbox.store.owned(SandboxToken, there.id):
            each.revoked_at = None
            working.sandbox.store.put(each)
        working.sandbox.store.put(there)
    back = connect.capture_token(connect.start_without_return(make_user(), "acme"), token)
    working.run()
    new.refresh_from_db()
    back.refresh_from_db()
    assert (back, back.status, back.superseded_by) == (old, Status.ACTIVE, None)
    assert back.revoked_at is None
    assert (new.status, new.superseded_by) == (Status.REVOKED, back)
    assert maria.contract.install == old
    working.end(maria)
    working.run()
    assert site.inside == set()
    assert not WebhookEvent.objects.filter(status=WebhookEvent.Status.PENDING).exists()


@pytest.mark.long
def test_a_late_revocation_of_the_old_install_does_not_touch_the_new(working: OpenTrain, site: Host) -> None:
    working.hire()
    working.run()
    approval = working.sandbox.approve(organization_id=Install.objects.get().organization_id)
    waiting = connect.start_without_return(make_user(), "acme")
    new = connect.capture_token(waiting, approval.token)
    # Only now do the deliveries about the old one arrive.
    working.run()
    working.travel(hours=1)
    working.run()
    new.refresh_from_db()
    assert new.status == Status.ACTIVE
    assert site.inside


@pytest.mark.long
def test_a_revocation_of_the_old_install_that_comes_to_the_new_one_does_not_touch_it(
    working: OpenTrain, site: Host
) -> None:
    """What is revoked is named by the event; by which endpoint it comes says nothing."""
    working.hire()
    working.run()
    old = Install.objects.get()
    new = working.connect("acme")
    event = make_event(
        WebhookEndpoint.objects.get(install=new),
        type="install.revoked",
        resource_id=old.opentrain_id,
    )
    sweep.run()
    event.refresh_from_db()
    new.refresh_from_db()
    assert (new.status, event.status) == (Status.ACTIVE, WebhookEvent.Status.IGNORED)


@pytest.mark.long
def test_an_end_delivered_to_the_old_install_counts_for_the_new(working: OpenTrain, site: Host) -> None:
    maria = working.hire()
    working.run()
    old = Install.objects.get()
    working.end(maria)
    approval = working.sandbox.approve(organization_id=old.organization_id)
    connect.capture_token(connect.start_without_return(make_user(), "acme"), approval.token)
    working.deliver()
    from django_opentrain.services import access, inbox

    inbox.drain()
    access.converge_due()
    assert maria.contract.status == Contract.Status.ENDED
    assert site.inside == set()


def test_after_the_grace_without_a_reconnect_everybody_is_out(working: OpenTrain, site: Host) -> None:
    maria = working.hire()
    working.run()
    working.disconnect()
    working.run()
    assert Install.objects.get().status == Status.REVOKED
    working.travel(minutes=14)
    working.run()
    assert site.inside
    working.travel(minutes=2)
    working.run()
    assert site.inside == set()
    assert maria.grant.cause == "install revoked"


@pytest.mark.long
def test_a_reconnect_after_the_grace_lets_them_in_again(working: OpenTrain, site: Host) -> None:
    maria = working.hire()
    working.run()
    working.disconnect()
    working.run()
    working.travel(hours=1)
    working.run()
    assert site.inside == set()
    working.connect("acme")
    working.run()
    assert site.inside == {(maria.opentrain_user_id, "p1")}


@pytest.mark.long
def test_another_organization_takes_nothing_over(working: OpenTrain, site: Host) -> None:
    maria = working.hire()
    working.run()
    other = working.sandbox.create_organization("Other")
    approval = working.sandbox.approve(organization_id=other.id)
    new = connect.capture_token(connect.start_without_return(make_user(), "acme"), approval.token)
    working.run()
    assert maria.contract.install != new
    assert Install.objects.filter(status=Status.ACTIVE).count() == 2


def test_another_customer_at_the_same_organization_loses_nothing() -> None:
    theirs = make_contract(make_install("globex", organization_id="org_1"))
    reconnect.from_predecessors(make_install("acme", organization_id="org_1"))
    theirs.refresh_from_db()
    assert (theirs.install.tenant, theirs.install.status) == ("globex", Status.ACTIVE)


def test_a_revoked_install_gives_nothing_any_more(working: OpenTrain, site: Host) -> None:
    maria = working.hire()
    working.deliver()
    Install.objects.update(status=Status.REVOKED, revoked_at=timezone.now())
    sweep.run()
    assert site.inside == set()
    assert not maria.grants.exists()


def test_a_revoked_install_still_ends_what_has_ended(working: OpenTrain, site: Host) -> None:
    """At once: the grace is for those whose contracts go on."""
    maria = working.hire()
    working.run()
    working.end(maria)
    working.deliver()
    Install.objects.update(status=Status.REVOKED, revoked_at=timezone.now())
    sweep.run()
    assert site.inside == set()
    assert maria.contract.status == Contract.Status.ENDED


# Leaving --------------------------------------------------------------------------------------


def test_leaving_ends_access_reports_the_hours_and_forgets_the_token(working: OpenTrain, site: Host) -> None:
    maria = working.hire()
    working.run()
    usage.record(maria.contract, usage.today(), total_seconds=600)
    install = connect.disconnect(Install.objects.get())
    assert install.status == Status.DISCONNECTED
    working.run()
    install.refresh_from_db()
    assert site.inside == set()
    assert install.token is None
    assert working.sandbox.budget(maria.id).seconds == 600
    assert not WebhookEndpoint.objects.live().exists()


@pytest.mark.long
def test_leaving_during_an_outage_still_reports_the_hours(working: OpenTrain) -> None:
    maria = working.hire()
    working.run()
    usage.record(maria.contract, usage.today(), total_seconds=600)
    install = connect.disconnect(Install.objects.get())
    working.fail_next(status=503, times=3)
    working.run()
    install.refresh_from_db()
    assert install.token is not None
    for _try in range(5):
        working.travel(minutes=10)
        working.run()
    install.refresh_from_db()
    assert install.token is None
    assert working.sandbox.budget(maria.id).seconds == 600


@pytest.mark.long
def test_leaving_with_a_dead_token_gives_up_after_a_day_and_says_so(
    working: OpenTrain, caplog: pytest.LogCaptureFixture
) -> None:
    maria = working.hire()
    working.run()
    usage.record(maria.contract, usage.today(), total_seconds=600)
    install = connect.disconnect(Install.objects.get())
    working.fail_next(status=401, times=10_000)
    for _hour in range(32):
        working.travel(hours=1)
        working.run()
    install.refresh_from_db()
    assert install.token is None
    assert "1 days of usage unreported" in caplog.text


def test_leaving_outlasts_a_proxys_refusal(working: OpenTrain) -> None:
    maria = working.hire()
    working.run()
    usage.record(maria.contract, usage.today(), total_seconds=600)
    connect.disconnect(Install.objects.get())
    for call in ("POST .*usage", "DELETE /webhook-endpoints/.*"):
        working.sandbox.fault("html", status=403, match=call)
    working.run()
    assert Install.objects.get().token is not None
    working.travel(minutes=2)
    working.run()
    assert Install.objects.get().token is None
    assert working.sandbox.budget(maria.id).seconds == 600


@pytest.mark.long
def test_leaving_without_the_key_is_tried_now_and_then(working: OpenTrain, settings: Any) -> None:
    """The key may be put back; until then nothing is tried at each sweep."""
    maria = working.hire()
    working.run()
    usage.record(maria.contract, usage.today(), total_seconds=600)
    connect.disconnect(Install.objects.get())
    keys = settings.OPENTRAIN["ENCRYPTION_KEYS"]
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [generate_key()]}
    assert (reconcile.run_due(), reconcile.run_due()) == (1, 0)
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": keys}
    working.travel(hours=1)
    working.run()
    assert working.sandbox.budget(maria.id).seconds == 600


@pytest.mark.long
def test_who_comes_back_while_the_last_things_are_done_stays(
    working: OpenTrain, site: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria = working.hire()
    working.run()
    install = Install.objects.get()
    token = str(install.token)
    remove_all = endpoints.remove_all

    def during_call(leaving: Install) -> None:
        remove_all(leaving)
        connect.capture_token(connect.start_without_return(make_user(), "acme"), token)

    connect.disconnect(install)
    monkeypatch.setattr(endpoints, "remove_all", during_call)
    working.run()
    install.refresh_from_db()
    assert (install.status, install.token) == (Status.ACTIVE, token)
    assert site.inside == {(maria.opentrain_user_id, "p1")}
    assert len(install.client.list_webhook_endpoints()) == 1


def test_who_comes_back_does_not_wait_for_what_failed_while_they_left(
    working: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    install = Install.objects.get()
    token = str(install.token)

    def during_call(_leaving: Install) -> None:
        connect.capture_token(connect.start_without_return(make_user(), "acme"), token)
        raise ServerError("a bad day", status=500, code="INTERNAL_ERROR")

    loaded = connect.disconnect(install)
    monkeypatch.setattr(endpoints, "remove_all", during_call)
    with pytest.raises(ServerError):
        offboarding.finish(loaded)
    install.refresh_from_db()
    assert install.next_reconcile_at is not None
    assert install.next_reconcile_at <= timezone.now()
    offboarding.finish(loaded)
    install.refresh_from_db()
    assert install.token == token


def test_leaving_twice_is_leaving_once(working: OpenTrain) -> None:
    install = connect.disconnect(Install.objects.get())
    revoked_at = install.revoked_at
    working.travel(minutes=1)
    assert connect.disconnect(install).revoked_at == revoked_at


# Verifying ------------------------------------------------------------------------------------


def test_verifying_learns_new_scopes(working: OpenTrain) -> None:
    install = Install.objects.get()
    working.sandbox.set_install(scopes=["contracts:read"])
    assert connect.verify(install).scopes == ["contracts:read"]


@pytest.mark.parametrize(("status", "believed"), [(401, Status.UNAUTHORIZED), (403, Status.ACTIVE)])
def test_verifying_a_refused_token_says_so_and_a_success_heals(
    working: OpenTrain, status: int, believed: str
) -> None:
    install = Install.objects.get()
    verified_at = install.verified_at
    working.fail_next(status=status)
    with pytest.raises((Unauthorized, Forbidden)):
        connect.verify(install)
    install.refresh_from_db()
    assert (install.status, install.verified_at) == (believed, verified_at)
    assert install.last_error
    assert install.last_error_code
    assert install.refused_at is not None
    connect.verify(install)
    healed = Install.objects.get()
    assert (healed.status, healed.last_error, healed.last_error_code) == (Status.ACTIVE, "", "")
    assert healed.refused_at is None
    assert healed.verified_at != verified_at
    assert healed.next_reconcile_at is not None, "what happened since is fetched"


def test_a_refusal_of_who_has_left_changes_nothing(working: OpenTrain) -> None:
    """The token is still there, for the last hours."""
    Install.objects.update(status=Status.DISCONNECTED)
    working.fail_next(status=401)
    with pytest.raises(Unauthorized):
        connect.verify(Install.objects.get())
    assert Install.objects.get().status == Status.DISCONNECTED


def test_there_is_nothing_to_verify_without_a_token() -> None:
    with pytest.raises(ConnectError, match="connect again"):
        connect.verify(make_install(token=None))


def test_no_secret_is_in_a_log(working: OpenTrain, caplog: pytest.LogCaptureFixture, settings: Any) -> None:
    caplog.set_level(0)
    token = str(Install.objects.get().token)
    working.hire(work_email="maria.s@opentrain.work")
    working.fail_next(status=500, times=2)
    working.run()
    connect.disconnect(Install.objects.get())
    working.run()
    secret = str(WebhookEndpoint.objects.get().secret)
    for needle in (token, secret, "maria.s@"):
        assert needle not in caplog.text


@pytest.mark.parametrize("use", [connect.verify, reconcile.install, partial(reconcile.install, dry_run=True)])
def test_a_token_of_another_connection_is_not_used(opentrain: OpenTrain, use: Any) -> None:
    """One of an old backup, say, that was put into this row."""
    install, other = opentrain.connect(tenant="acme"), opentrain.connect(tenant="globex")
    install.token = other.token
    install.save()
    before = len(opentrain.sandbox.calls)
    with pytest.raises(UndecryptableError, match="another connection's"):
        use(install)
    calls = list(opentrain.sandbox.calls)[before:]
    assert {call.path for call in calls} <= {"/webhook-endpoints", "/installs/current"}, (
        "no further than that"
    )
    assert {call.method for call in calls} == {"GET"}
    install.refresh_from_db()
    assert install.organization_id != other.organization_id
