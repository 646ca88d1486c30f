"""What happens on OpenTrain's side: customers hire, fund, end and disconnect."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from django_opentrain.platform.catalog import (
    CONTRACT_ACTIVE,
    CONTRACT_ENDED,
    CONTRACT_HAS_ENDED,
    CONTRACT_STARTED,
    FIXED_PRICE,
    MILESTONE_FUNDED,
    PAY_PER_HOUR,
    PAY_PER_LABEL,
    WORK_EMAIL_DOMAIN,
)
from django_opentrain.sandbox import models
from django_opentrain.sandbox.errors import bad_request, conflict
from django_opentrain.sandbox.events import emit_contract, emit_milestone
from django_opentrain.sandbox.models import (
    Contract,
    Freelancer,
    Job,
    Milestone,
    Organization,
    new_id,
)
from django_opentrain.sandbox.store import Store

PAYMENT_TYPES = (PAY_PER_HOUR, PAY_PER_LABEL, FIXED_PRICE)

#: When a new trainer's Work Email comes out; an address instead means: this one, now.
NOW, LATER, NEVER = "now", "later", "never"


class Hired(NamedTuple):
    """A new contract, and who was hired (None: nobody yet)."""

    contract: Contract
    freelancer: Freelancer | None


def create_organization(store: Store, name: str) -> Organization:
    """A new customer, with the annotation-platform feature on."""
    with store.transaction():
        organization = Organization(id=new_id("org"), name=name)
        store.put(organization)
        return organization


def create_job(
    store: Store, organization: Organization, title: str, payment_type: str | None = PAY_PER_HOUR
) -> Job:
    with store.transaction():
        job = Job(
            id=new_id("job"),
            organization_id=organization.id,
            title=title,
            payment_type=payment_type,
        )
        store.put(job)
        return job


def create_freelancer(
    store: Store,
    name: str,
    *,
    work_email: str = NOW,
    seconds: float | None = None,
    country: str = "BR",
    base_url: str = "https://app.opentrain.ai",
) -> Freelancer:
    """A new AI trainer.

    :param work_email: "now", "never", "later" (after ``seconds``, or when released), or an
        address to have now.
    """
    if work_email not in {NOW, LATER, NEVER} and "@" not in work_email:
        raise bad_request(f"A Work Email is {NOW}, {LATER}, {NEVER}, or an address")
    user_id = new_id("usr")
    now = store.clock.now()
    release_at = now
    if work_email == LATER and seconds is not None:
        release_at = now + seconds
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
    with store.transaction():
        store.put(freelancer)
    return freelancer


def hire(store: Store, freelancer: Freelancer | None, job: Job) -> Hired:
    """Start a contract; emits ``contract.started`` for each link of the job.

    :param freelancer: None makes a contract with nobody hired yet.
    """
    with store.transaction():
        contract = new_contract(store, freelancer, job)
        emit_contract(store, contract, CONTRACT_STARTED)
        return Hired(contract, freelancer)


def new_contract(store: Store, freelancer: Freelancer | None, job: Job) -> Contract:
    """A contract that starts now. Nothing is emitted."""
    contract = Contract(
        id=new_id("ctr"),
        job_id=job.id,
        title=job.title,
        payment_type=job.payment_type,
        start_date=store.clock.today(),
        created_at=store.clock.now(),
    )
    if freelancer is not None:
        contract.freelancer_id = freelancer.opentrain_user_id
        contract.participant_ids.append(freelancer.opentrain_user_id)
    store.put(contract)
    return contract


def add_participant(store: Store, contract: Contract, freelancer: Freelancer) -> None:
    """Put one more trainer on a contract. Nothing is emitted."""
    with store.transaction():
        contract.participant_ids.append(freelancer.opentrain_user_id)
        store.put(contract)


def end(store: Store, contract: Contract) -> Contract:
    """End a contract; emits ``contract.ended`` for each link of its job."""
    with store.transaction():
        if contract.status != CONTRACT_ACTIVE:
            raise conflict("The contract has ended already")
        mark_ended(store, contract)
        emit_contract(store, contract, CONTRACT_ENDED)
        return contract


def mark_ended(store: Store, contract: Contract) -> None:
    """End a contract. Nothing is emitted."""
    contract.status = CONTRACT_HAS_ENDED
    contract.end_date = store.clock.today()
    store.put(contract)


def fund(
    store: Store,
    contract: Contract,
    amount_usd: Decimal,
    volume: Decimal | None = None,
    *,
    name: str | None = None,
) -> Milestone:
    """Fund a new milestone, which completes the one before; emits ``milestone.funded``.

    :param volume: hours or labels, by payment type; None for a fixed price.
    """
    if volume is None and contract.payment_type in {PAY_PER_HOUR, PAY_PER_LABEL}:
        raise bad_request(f"A {contract.payment_type} milestone needs a volume")
    with store.transaction():
        milestone = new_milestone(store, contract, amount_usd, volume, name=name)
        emit_milestone(store, contract, MILESTONE_FUNDED, milestone)
        return milestone


def new_milestone(
    store: Store,
    contract: Contract,
    amount_usd: Decimal,
    volume: Decimal | None,
    *,
    name: str | None = None,
) -> Milestone:
    """A funded milestone, which completes those before. Nothing is emitted."""
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
    )
    store.put(milestone)
    return milestone


def release_email(store: Store, contract: Contract) -> Freelancer:
    """Let the Work Email of a contract's trainer be seen from now on. Nothing is emitted."""
    with store.transaction():
        freelancer = store.get(Freelancer, contract.freelancer_id)
        if freelancer is None:
            raise conflict("Nobody is hired on this contract")
        freelancer.email_release_at = store.clock.now()
        store.put(freelancer)
        return freelancer
