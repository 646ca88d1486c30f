"""The control API: what happens on OpenTrain's side, as JSON for demos, scripts and chaos.

``POST /control/api/{verb}`` with a JSON object; ``GET /control/api/state`` tells everything but
tokens and webhook secrets. Keys are the facade's arguments in camelCase.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django_opentrain.platform.catalog import EVENT_TYPES, PAY_PER_HOUR, SCOPES
from django_opentrain.sandbox import actions, faults
from django_opentrain.sandbox.budget import budget_of, number
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.errors import not_found
from django_opentrain.sandbox.marketplace import Marketplace
from django_opentrain.sandbox.models import KINDS, Contract, Entity
from django_opentrain.sandbox.payloads import Json
from django_opentrain.sandbox.validation import Fields

SECRET_FIELDS = {"digest", "secret"}


def run(market: Marketplace, verb: str, body: Fields) -> Json:
    """Do ``verb``; 404 for one that doesn't exist."""
    action = VERBS.get(verb)
    if action is None:
        raise not_found(f"Verbs are {', '.join(VERBS)}")
    with market.store.transaction():
        return action(market, body)


def state(market: Marketplace) -> Json:
    """Everything, by kind, oldest first; and each contract's budget."""
    store = market.store
    with store.transaction():
        everything: Json = {
            _plural(name): [dump(entity) for entity in store.all(kind)] for name, kind in KINDS.items()
        }
        budgets = {each.id: budget_of(store, each).as_json() for each in store.all(Contract)}
    return {"now": iso(store.clock.now()), "speed": store.clock.speed, **everything, "budgets": budgets}


def dump(entity: Entity) -> Json:
    """An entity's fields in camelCase, times in ISO, without secrets."""
    fields = vars(entity).items()
    return {_camel(name): _plain(name, value) for name, value in fields if name not in SECRET_FIELDS}


def _plain(key: str, value: Any) -> object:
    if isinstance(value, Decimal):
        return number(value)
    if key == "attempts":
        return [{**vars(each), "at": iso(each.at)} for each in value]
    return iso(value) if key.endswith("_at") and value is not None else value


@functools.cache
def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first[0].lower() + first[1:] + "".join(word.capitalize() for word in rest)


def _plural(kind: str) -> str:
    return {"Delivery": "deliveries", "Usage": "usage"}.get(kind, _camel(kind) + "s")


# The verbs --------------------------------------------------------------------------------------


def create_organization(market: Marketplace, body: Fields) -> Json:
    name = body.text("name", required=True)
    body.finish()
    return {"organization": dump(market.create_organization(str(name)))}


def create_job(market: Marketplace, body: Fields) -> Json:
    title = body.text("title", required=True)
    organization_id = body.text("organizationId")
    payment_type = body.text("paymentType", choices=actions.PAYMENT_TYPES)
    body.finish()
    job = market.create_job(
        str(title),
        organization_id=organization_id,
        payment_type=payment_type or PAY_PER_HOUR,
    )
    return {"job": dump(job)}


def create_app(market: Marketplace, body: Fields) -> Json:
    slug, name = body.text("slug", required=True), body.text("name")
    redirect_uris = body.texts("redirectUris")
    body.finish()
    return {"app": dump(market.create_app(str(slug), name=name, redirect_uris=redirect_uris or ()))}


def set_app(market: Marketplace, body: Fields) -> Json:
    slug, active = body.text("slug"), body.flag("active")
    scopes = body.texts("scopes", choices=SCOPES)
    redirect_uris, link_limit = body.texts("redirectUris"), body.integer("linkLimit")
    body.finish()
    app = market.set_app(
        slug, active=active, scopes=scopes, redirect_uris=redirect_uris, link_limit=link_limit
    )
    return {"app": dump(app)}


def set_organization(market: Marketplace, body: Fields) -> Json:
    organization_id = body.text("organizationId")
    enabled = body.flag("featureEnabled", default=True)
    body.finish()
    organization = market.set_organization(organization_id, feature_enabled=bool(enabled))
    return {"organization": dump(organization)}


def set_install(market: Marketplace, body: Fields) -> Json:
    install_id, status = body.text("installId"), body.text("status")
    scopes, pii_consent = body.texts("scopes", choices=SCOPES), body.flag("piiConsent")
    body.finish()
    install = market.set_install(install_id, status=status, scopes=scopes, pii_consent=pii_consent)
    return {"install": dump(install)}


def approve(market: Marketplace, body: Fields) -> Json:
    arguments: dict[str, Any] = {
        "organization_id": body.text("organizationId"),
        "app_slug": body.text("appSlug"),
        "scopes": body.texts("scopes", choices=SCOPES),
        "pii_consent": bool(body.flag("piiConsent", default=True)),
        "redirect_uri": body.url("redirectUri"),
        "state": body.text("state", max_length=2000),
        "external_project_id": body.text("externalProjectId"),
    }
    body.finish()
    approval = market.approve(**arguments)
    return {
        "install": dump(approval.install),
        "installId": approval.install.id,
        "token": approval.token,
        "returnUrl": approval.return_url,
    }


def disconnect(market: Marketplace, body: Fields) -> Json:
    install_id = body.text("installId")
    body.finish()
    return {"install": dump(market.disconnect(install_id))}


def hire(market: Marketplace, body: Fields) -> Json:
    """``workEmail``: "now" (default), "never", "later" (with ``seconds``, or until released), or
    an address. ``hired: false`` makes a contract with nobody hired."""
    name = body.text("name") or "Maria S."
    arguments: dict[str, Any] = {
        "job_id": body.text("jobId"),
        "work_email": body.text("workEmail") or actions.NOW,
        "seconds": body.number("seconds"),
        "opentrain_user_id": body.text("opentrainUserId"),
        "country": body.text("country") or "BR",
    }
    hired = body.flag("hired", default=True)
    body.finish()
    contract, freelancer = market.hire(name if hired else None, **arguments)
    return {
        "contract": dump(contract),
        "freelancer": None if freelancer is None else dump(freelancer),
    }


def add_participant(market: Marketplace, body: Fields) -> Json:
    contract_id, name = body.text("contractId", required=True), body.text("name", required=True)
    work_email = body.text("workEmail") or actions.NOW
    body.finish()
    freelancer = market.add_participant(str(contract_id), str(name), work_email=work_email)
    return {"freelancer": dump(freelancer)}


def end(market: Marketplace, body: Fields) -> Json:
    contract_id = body.text("contractId", required=True)
    body.finish()
    return {"contract": dump(market.end(str(contract_id)))}


def fund(market: Marketplace, body: Fields) -> Json:
    contract_id = body.text("contractId", required=True)
    amount, volume = body.number("amountUsd"), body.number("volume")
    name = body.text("name")
    body.finish()
    milestone = market.fund(str(contract_id), 100 if amount is None else amount, volume, name=name)
    return {
        "milestone": dump(milestone),
        "budget": market.budget(str(contract_id)).as_json(),
    }


def release_email(market: Marketplace, body: Fields) -> Json:
    contract_id = body.text("contractId", required=True)
    body.finish()
    return {"freelancer": dump(market.release_email(str(contract_id)))}


def emit(market: Marketplace, body: Fields) -> Json:
    event_type = body.text("type", required=True, choices=EVENT_TYPES)
    arguments: dict[str, Any] = {
        "install_id": body.text("installId"),
        "contract_id": body.text("contractId"),
        "link_id": body.text("linkId"),
        "data": body.mapping("data"),
        "raw_body": body.raw_text("rawBody"),
    }
    body.finish()
    return {"event": dump(market.emit(str(event_type), **arguments))}


def redeliver(market: Marketplace, body: Fields) -> Json:
    endpoint_id, delivery_id = body.text("endpointId", required=True), body.text("deliveryId")
    body.finish()
    return {"requeued": market.redeliver(str(endpoint_id), delivery_id)}


def advance(market: Marketplace, body: Fields) -> Json:
    seconds = body.number("seconds", required=True)
    body.finish()
    market.advance(seconds or 0)
    return {"now": iso(market.clock.now())}


def fault(market: Marketplace, body: Fields) -> Json:
    kind = body.text("kind", required=True, choices=faults.KINDS)
    arguments: dict[str, Any] = {
        "match": body.text("match") or ".*",
        "times": body.integer("times") or 1,
        "status": body.integer("status"),
        "seconds": body.number("seconds") or 0.0,
        "retry_after": body.text("retryAfter"),
    }
    body.finish()
    return {"fault": dump(market.faults.add(str(kind), **arguments))}


def clear_faults(market: Marketplace, body: Fields) -> Json:
    body.finish()
    market.faults.clear()
    return {"cleared": True}


VERBS: dict[str, Callable[[Marketplace, Fields], Json]] = {
    verb.__name__: verb
    for verb in (
        create_organization,
        create_job,
        create_app,
        set_app,
        set_organization,
        set_install,
        approve,
        disconnect,
        hire,
        add_participant,
        end,
        fund,
        release_email,
        emit,
        redeliver,
        advance,
        fault,
        clear_faults,
    )
}
