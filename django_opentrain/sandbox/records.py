"""Creates and changes records without events: the verbs emit those."""

from __future__ import annotations

import re
from decimal import Decimal

from django_opentrain.platform.catalog import (
    CONTRACT_HAS_ENDED,
    FIXED_PRICE,
    PAY_PER_HOUR,
    PAY_PER_LABEL,
    SECONDS_PER_DAY,
    WORK_EMAIL_DOMAIN,
)
from django_opentrain.sandbox import models
from django_opentrain.sandbox.budget import budget_of
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.errors import bad_request
from django_opentrain.sandbox.models import Contract, Freelancer, Job, Milestone, Organization, new_id
from django_opentrain.sandbox.store import Store

PAYMENT_TYPES = (PAY_PER_HOUR, PAY_PER_LABEL, FIXED_PRICE)

#: When a new trainer's Work Email comes out; an address instead means: this one, now.
NOW, LATER, NEVER = "now", "later", "never"


def new_job(store: Store, organization: Organization, title: str, payment_type: str | None) -> Job:
    job = Job(id=new_id("job"), organization_id=organization.id, title=title, payment_type=payment_type)
    store.put(job)
    return job


def new_freelancer(
    store: Store,
    name: str,
    base_url: str = "https://app.opentrain.ai",
    *,
    work_email: str = NOW,
    seconds: float | None = None,
    country: str = "BR",
) -> Freelancer:
    """An AI trainer.

    :param work_email: "now", "never", "later" (after ``seconds``, or when released), or an
        address to have now.
    """
    if work_email not in {NOW, LATER, NEVER} and "@" not in work_email:
        raise bad_request(f"A Work Email is {NOW}, {LATER}, {NEVER}, or an address")
    user_id = new_id("usr")
    release_at = store.clock.now()
    if work_email == LATER and seconds is not None:
        release_at += seconds
    hidden = work_email == NEVER or (work_email == LATER and seconds is None)
    handle = re.sub(r"[^a-z0-9]+", ".", name.lower()).strip(".") or "trainer"
    own = f"{handle[:40]}.{user_id[-6:]}@{WORK_EMAIL_DOMAIN}"
    freelancer = Freelancer(
        opentrain_user_id=user_id,
        display_name=name,
        country=country,
        profile_url=f"{base_url}/trainers/{user_id}",
        work_email=work_email if "@" in work_email else own,
        email_release_at=None if hidden else release_at,
    )
    store.put(freelancer)
    return freelancer


def new_contract(store: Store, freelancer: Freelancer | None, job: Job, days_ago: int = 0) -> Contract:
    """A contract that started so many days ago, by default now."""
    start = store.clock.now() - days_ago * SECONDS_PER_DAY
    contract = Contract(
        id=new_id("ctr"),
        job_id=job.id,
        title=job.title,
        payment_type=job.payment_type,
        start_date=iso(start),
        created_at=start,
    )
    if freelancer is not None:
        contract.freelancer_id = freelancer.opentrain_user_id
        contract.participant_ids.append(freelancer.opentrain_user_id)
    store.put(contract)
    return contract


def end_contract(store: Store, contract: Contract) -> None:
    contract.status = CONTRACT_HAS_ENDED
    contract.end_date = iso(store.clock.now())
    store.put(contract)


def new_milestone(
    store: Store, contract: Contract, amount_usd: Decimal, volume: Decimal | None, *, name: str | None = None
) -> Milestone:
    """A funded milestone, which completes those before."""
    earlier = store.owned(Milestone, contract.id)
    for each in earlier:
        each.status = models.MILESTONE_COMPLETED
        store.put(each)
    milestone = Milestone(
        id=new_id("mil"),
        contract_id=contract.id,
        name=name or f"Milestone {len(earlier) + 1}",
        amount_usd=amount_usd,
        volume=volume,
        funded_at=store.clock.now(),
    )
    store.put(milestone)
    contract.highest_fraction = budget_of(store, contract).fraction
    store.put(contract)
    return milestone
