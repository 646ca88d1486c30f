"""A customer with something in every model, and the people who look at it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import models
from django.test import Client
from django.utils import timezone

from django_opentrain.admin import ADMINS
from django_opentrain.models import (
    AccessGrant,
    ConsentRequest,
    Contract,
    Counter,
    DailyUsage,
    Heartbeat,
    Install,
    Participant,
    ProjectLink,
    TrainerAccount,
    UsageObjection,
    WebhookEndpoint,
    WebhookEvent,
    WorkEntry,
)
from django_opentrain.testing.hires import Hire
from django_opentrain.testing.kit import OpenTrain
from tests import factories

TOKEN = "ot_ptk_planted-token-1234"
SECRET = "whsec_planted-secret"
EMAIL = "maria.planted@opentrain.work"
HOSTILE = "<script>alert('planted')</script>"

Scene = dict[type[models.Model], Any]


def make_scene(**texts: str) -> Scene:
    """One row of each model, all of one customer; ``text`` is what people and hosts called things."""
    text = texts.get("text", "Photos")
    problem = f"PermissionError: {EMAIL} may not, says {TOKEN} {SECRET}"
    install = factories.make_install(
        tenant=text[:200],
        token=TOKEN,
        last_error=problem,
        reconcile_summary={"changes": [f"end contract {text}"], "problems": [f"for {EMAIL}"]},
        removals_held=7,
        verified_at=timezone.now() - timedelta(hours=3),
        connected_by=factories.make_user(text[:150]),
    )
    link = factories.make_link(install, external_project_name=text, last_error=problem)
    participant = factories.make_participant(install, display_name=text, work_email=EMAIL)
    contract = factories.make_contract(
        install,
        [link],
        title=text,
        trainer=participant,
        report_error=problem,
        consumed_fraction="0.8500",
        budget_state=Contract.BudgetState.LOW,
        active_milestone={"id": "m1", "name": text, "status": "ACTIVE_FUNDED"},
    )
    grant = factories.make_grant(
        contract,
        link,
        participant,
        desired=AccessGrant.Desired.REVOKED,
        state=AccessGrant.State.FAILED,
        host_user_ref=EMAIL,
        cause=f"operator {text}",
        last_error=problem,
        next_attempt_at=timezone.now() + timedelta(minutes=5),
    )
    endpoint = factories.make_endpoint(
        install, secret=SECRET, last_error=problem, disabled_reason=problem, consecutive_failures=10
    )
    event = factories.make_event(
        endpoint,
        data={"freelancer": {"displayName": text, "workEmail": EMAIL}, "odd": "\ud800"},
        error=problem,
        status=WebhookEvent.Status.FAILED,
    )
    usage = factories.make_usage(contract, error=problem, status=DailyUsage.Status.REFUSED)
    account = factories.make_trainer_account(
        factories.make_user(EMAIL), opentrain_user_id=participant.opentrain_user_id
    )
    return {
        Install: install,
        ConsentRequest: factories.make_consent_request(factories.make_user(), tenant=text),
        ProjectLink: link,
        Participant: participant,
        Contract: contract,
        AccessGrant: grant,
        TrainerAccount: account,
        WebhookEndpoint: endpoint,
        WebhookEvent: event,
        DailyUsage: usage,
        UsageObjection: factories.make_objection(contract, text=text),
        WorkEntry: factories.make_work(grant, timezone.now(), reason=text, object_id=text),
        Counter: Counter.objects.create(metric=Counter.Metric.EVENTS, label=text[:50], detail="PROCESSED"),
        Heartbeat: Heartbeat.objects.create(name="sweep", beat_at=timezone.now(), host=text),
    }


@pytest.fixture
def scene(db: None) -> Scene:
    """One row of each model, with secrets planted wherever text can carry them."""
    return make_scene()


#: The permissions of actions, and of what a page shows, beside Django's four of each model.
KINDS = ("change_access", "disconnect", "rotate_secret", "view_payload")


def make_staff(name: str, *kinds: str) -> User:
    """Staff with these kinds of permissions: Django's are of all models."""
    user = factories.make_user(name, is_staff=True)
    codenames = [f"{kind}_{model._meta.model_name}" for model in ADMINS for kind in kinds]
    user.user_permissions.set(
        Permission.objects.filter(
            content_type__app_label="django_opentrain", codename__in=[*codenames, *kinds]
        )
    )
    return user


@pytest.fixture
def superuser(db: None) -> User:
    return factories.make_user("root", is_staff=True, is_superuser=True)


@pytest.fixture
def viewer(db: None) -> User:
    """Staff who may look at everything and change nothing."""
    return make_staff("viewer", "view")


@pytest.fixture
def operator(db: None) -> User:
    """Staff who may view and run every action, and also holds the permissions that our pages close."""
    return make_staff(
        "ada", "view", "change", "add", "delete", "change_access", "disconnect", "rotate_secret"
    )


@pytest.fixture(params=["superuser", "viewer", "operator"])
def anyone(request: pytest.FixtureRequest) -> Client:
    """Each of them in turn, logged in."""
    return logged_in(request.getfixturevalue(request.param))


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def login() -> Callable[[User], Client]:
    return logged_in


def connect_and_hire(opentrain: OpenTrain) -> Hire:
    opentrain.connect()
    opentrain.link("1")
    opentrain.run()
    hired = opentrain.hire()
    opentrain.run()
    assert hired.grant.state == AccessGrant.State.GRANTED
    return hired


@pytest.fixture
def hire(opentrain: OpenTrain, settings: Any) -> Hire:
    """A customer who is connected, and a trainer at work in a linked project."""
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.testing.hosts.ObservingAdapter"}
    return connect_and_hire(opentrain)
