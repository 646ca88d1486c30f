"""Rows for tests: plain functions, each with plausible values that a test overrides by keyword.

They write the models directly, so that a test can set any scene, also one that the services would never make.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils import timezone

from django_opentrain.conf import conf
from django_opentrain.models import (
    AccessGrant,
    ConsentRequest,
    Contract,
    DailyUsage,
    Install,
    Participant,
    ProjectLink,
    TrainerAccount,
    UsageObjection,
    WebhookEndpoint,
    WebhookEvent,
    WorkEntry,
)
from django_opentrain.platform import catalog

_numbers = itertools.count(1)


def make_user(username: str = "", **values: Any) -> User:
    """A user of the site; ``is_staff`` and ``is_superuser`` by keyword."""
    name = username or f"user{next(_numbers)}"
    user: User = get_user_model()._default_manager.create(
        **{"username": name, "email": f"{name}@site.example", **values}
    )
    return user


def make_install(tenant: str = "acme", **values: Any) -> Install:
    """A connected install with every scope."""
    number = next(_numbers)
    token = values.pop("token", f"ot_ptk_{number:032d}")
    defaults = {
        "opentrain_id": f"inst_{number}",
        "status": Install.Status.ACTIVE,
        "token_hint": (token or "")[-4:],
        "scopes": list(catalog.SCOPES),
        "pii_consent": True,
        "organization_id": f"org_{number}",
        "app_slug": conf.app_slug,
        "verified_at": timezone.now(),
    }
    return Install.objects.create(tenant=tenant, token=token, **{**defaults, **values})


def make_consent_request(user: User, tenant: str = "acme", **values: Any) -> ConsentRequest:
    """A customer who is on OpenTrain's consent screen."""
    defaults = {
        "state": hashlib.sha256(uuid.uuid4().bytes).hexdigest(),
        "expires_at": timezone.now() + timedelta(hours=1),
    }
    return ConsentRequest.objects.create(user=user, tenant=tenant, **{**defaults, **values})


def make_link(install: Install, **values: Any) -> ProjectLink:
    """An active link of a project to a job."""
    number = next(_numbers)
    removed = values.get("status") == ProjectLink.Status.REMOVED
    defaults = {
        "opentrain_id": f"link_{number}",
        "external_project_id": f"project-{number}",
        "external_project_name": f"Project {number}",
        "external_project_url": f"https://annotate.example/projects/{number}/",
        "job_id": f"job_{number}",
        "status": ProjectLink.Status.ACTIVE,
        "live": None if removed else True,
        "linked_at": timezone.now(),
        "removed_at": timezone.now() if removed else None,
    }
    return ProjectLink.objects.create(install=install, **{**defaults, **values})


def make_participant(install: Install, **values: Any) -> Participant:
    """A trainer whose Work Email is known."""
    number = next(_numbers)
    defaults = {
        "opentrain_user_id": f"usr_{number}",
        "display_name": "Maria S.",
        "country": "BR",
        "profile_url": f"https://app.opentrain.test/profiles/{number}",
        "work_email": f"maria.{number}@opentrain.work",
    }
    return Participant.objects.create(install=install, **{**defaults, **values})


def make_contract(install: Install, links: Iterable[ProjectLink] = (), **values: Any) -> Contract:
    """An active contract, connected with ``links``."""
    number = next(_numbers)
    defaults = {
        "opentrain_id": f"ctr_{number}",
        "job_id": f"job_{number}",
        "title": f"Label photos {number}",
        "status": Contract.Status.ACTIVE,
        "start_date": date(2026, 11, 2),
    }
    contract = Contract.objects.create(install=install, **{**defaults, **values})
    contract.links.set(links)
    return contract


def make_grant(contract: Contract, link: ProjectLink, participant: Participant, **values: Any) -> AccessGrant:
    """Access that was given."""
    defaults = {
        "desired": AccessGrant.Desired.GRANTED,
        "state": AccessGrant.State.GRANTED,
        "host_user_ref": str(next(_numbers)),
        "cause": "event 1 contract.started",
        "desired_at": timezone.now(),
        "granted_at": timezone.now(),
    }
    return AccessGrant.objects.create(
        contract=contract, link=link, participant=participant, **{**defaults, **values}
    )


def make_trainer_account(user: User, **values: Any) -> TrainerAccount:
    """The record that ``user`` is a trainer."""
    defaults = {"opentrain_user_id": f"usr_{next(_numbers)}", "created_by_us": True}
    return TrainerAccount.objects.create(user=user, **{**defaults, **values})


def make_endpoint(install: Install, **values: Any) -> WebhookEndpoint:
    """An active endpoint with a secret."""
    number, key = next(_numbers), values.pop("key", uuid.uuid4())
    defaults = {
        "opentrain_id": f"whe_{number}",
        "url": conf.absolute_url(f"/opentrain/webhooks/{key}/"),
        "event_types": list(catalog.EVENT_TYPES),
        "secret": f"whsec_{number:032d}",
        "status": WebhookEndpoint.Status.ACTIVE,
    }
    return WebhookEndpoint.objects.create(install=install, key=key, **{**defaults, **values})


def make_event(
    endpoint: WebhookEndpoint,
    type: str = catalog.CONTRACT_STARTED,  # noqa: A002 - OpenTrain's own name for it
    data: Mapping[str, Any] | None = None,
    **values: Any,
) -> WebhookEvent:
    """A verified delivery that waits to be processed. Its body is made of the other values, unless given."""
    number = next(_numbers)
    envelope = {
        "id": values.setdefault("event_id", str(number)),
        "type": type,
        "apiVersion": catalog.API_VERSION,
        "createdAt": timezone.now().isoformat(),
        "resourceId": values.setdefault("resource_id", f"res_{number}"),
        "jobId": values.setdefault("job_id", f"job_{number}"),
        "data": dict(data or {}),
    }
    body = values.pop("body", json.dumps(envelope).encode())
    digest = hashlib.sha256(body if body is not None else str(number).encode()).hexdigest()
    defaults = {
        "delivery_id": f"dlv_{number}",
        "digest": digest,
        "received_at": timezone.now(),
        "status": WebhookEvent.Status.PENDING,
    }
    return WebhookEvent.objects.create(endpoint=endpoint, type=type, body=body, **{**defaults, **values})


def make_usage(contract: Contract, work_date: date | None = None, **values: Any) -> DailyUsage:
    """A day's totals of the hired trainer that OpenTrain doesn't have yet; each on a day of its own."""
    day = work_date or date(2026, 1, 1) + timedelta(days=next(_numbers) % 300)
    defaults = {"total_seconds": 3600, "tasks_completed": 12, "labels_completed": 40}
    return DailyUsage.objects.create(contract=contract, work_date=day, **{**defaults, **values})


def make_work(grant: AccessGrant, at: datetime, **values: Any) -> WorkEntry:
    """What the trainer of this grant did; they had access for a year."""
    defaults = {
        "key": f"key {next(_numbers)}",
        "tenant": grant.tenant,
        "opentrain_user_id": grant.participant.opentrain_user_id,
        "external_project_id": grant.external_project_id,
        "object_id": f"task {next(_numbers)}",
        "kind": WorkEntry.Kind.SUBMITTED,
        "at": at,
        "work_date": at.date(),
        "duration": timedelta(minutes=5),
        "tasks": 1,
        "labels": 3,
        "access_since": at - timedelta(days=365),
        "observed_at": at,
    }
    return WorkEntry.objects.create(**{**defaults, **values})


def make_objection(contract: Contract, work_date: date | None = None, **values: Any) -> UsageObjection:
    """The hired trainer objects to a day."""
    trainer = contract.trainer.opentrain_user_id if contract.trainer else "usr_unknown"
    defaults = {"opentrain_user_id": trainer, "text": "I worked two hours more."}
    day = work_date or date(2026, 1, 1) + timedelta(days=next(_numbers) % 300)
    return UsageObjection.objects.create(contract=contract, work_date=day, **{**defaults, **values})
