"""A customer's site with something of everything in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    ProjectLink,
    UsageObjection,
    WebhookEndpoint,
)
from tests import factories


@dataclass(frozen=True)
class Scene:
    """The rows to which the pages' URLs lead."""

    install: Install
    pending: Install
    link: ProjectLink
    contract: Contract
    grant: AccessGrant
    endpoint: WebhookEndpoint
    objection: UsageObjection


def full_scene(tenant: str = "acme", *, contracts: int = 1) -> Scene:
    """A connected customer with a linked project, ``contracts`` hires, usage in every state, a disabled endpoint."""
    install = factories.make_install(
        tenant,
        removals_held=7,
        reconciled_at=timezone.now(),
        reconcile_summary={"held": ["contract ctr_9 (Boxes) has ended"], "problems": ["the list was cut"]},
    )
    pending = factories.make_install(
        tenant, status=Install.Status.PENDING, token=None, opentrain_id=None, expected_id="inst_expected"
    )
    link = factories.make_link(install, external_project_id=f"{tenant}-1", external_project_name="Invoices")
    grants = [_hire(install, link, number) for number in range(contracts)]
    endpoint = factories.make_endpoint(
        install, status=WebhookEndpoint.Status.DISABLED, disabled_reason="10 consecutive failures"
    )
    # Of today, whose page the tests open.
    objection = factories.make_objection(
        grants[0].contract, timezone.now().date(), status=UsageObjection.Status.WITHDRAWN, live=None
    )
    return Scene(install, pending, link, grants[0].contract, grants[0], endpoint, objection)


def _hire(install: Install, link: ProjectLink, number: int) -> AccessGrant:
    trainer = factories.make_participant(install, display_name=f"Trainer {number}")
    contract = factories.make_contract(
        install,
        [link],
        trainer=trainer,
        payment_type="PAY_PER_HOUR",
        funded_volume=Decimal(40),
        consumed_volume=Decimal("34.5"),
        consumed_fraction=Decimal("0.8625"),
        budget_state="LOW",
        budget_updated_at=timezone.now(),
    )
    for day, status in enumerate(DailyUsage.Status.values):
        factories.make_usage(
            contract,
            timezone.now().date() - timedelta(days=day),
            status=status,
            error="totalSeconds is out of range" if status == DailyUsage.Status.REFUSED else "",
            error_code="BAD_REQUEST" if status == DailyUsage.Status.REFUSED else "",
        )
    return factories.make_grant(
        contract,
        link,
        trainer,
        state=AccessGrant.State.FAILED,
        last_error="the account was deactivated here",
        last_error_code="CONFLICT",
        next_attempt_at=timezone.now() + timedelta(minutes=5),
    )
