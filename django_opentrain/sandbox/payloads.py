"""How OpenTrain writes its things in JSON, in API answers and in webhook bodies alike."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from django_opentrain.platform.catalog import PARTICIPANTS_EMAIL
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.models import App, Contract, Endpoint, Entity, Freelancer, Install, Link, Token

Json = dict[str, object]

_FOUR_DECIMALS = Decimal("0.0001")
INSTALL = ("id", "status", "scopes", "pii_consent", "organization_id", "created_at")
LINK = (
    *("id", "job_id", "external_project_id", "external_project_name", "external_project_url"),
    *("provisioning_mode", "created_at"),
)
#: What the list of contracts and the contract events have in common.
CONTRACT = ("id", "status", "job_id", "title", "start_date", "end_date")
FREELANCER = ("opentrain_user_id", "display_name", "country", "profile_url")
MILESTONE = ("id", "name", "amount_usd", "volume", "status")
#: Without its secret.
ENDPOINT = (
    *("id", "url", "event_types", "status", "created_at"),
    *("consecutive_failures", "disabled_at", "disabled_reason"),
)


def as_json(entity: Entity, names: Iterable[str]) -> Json:
    """These fields of an entity, in camelCase and as JSON has them."""
    return {camel(name): plain(name, getattr(entity, name)) for name in names}


def plain(name: str, value: Any) -> object:
    """The value of a field: times in ISO, amounts as numbers."""
    if isinstance(value, Decimal):
        return number(value)
    return iso(value) if name.endswith("_at") and value is not None else value


@functools.cache
def camel(name: str) -> str:
    """``work_email`` and ``type_`` as ``workEmail`` and ``type``."""
    first, *rest = name.rstrip("_").split("_")
    return first[0].lower() + first[1:] + "".join(word.capitalize() for word in rest)


def number(value: Decimal) -> int | float:
    """A JSON number with at most four decimals, cut."""
    cut = value.quantize(_FOUR_DECIMALS, rounding=ROUND_FLOOR)
    return int(cut) if cut == cut.to_integral_value() else float(cut)


def without_nulls(value: Any) -> Any:
    """``value`` without the keys, at any depth, that have none."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def install_json(install: Install, app: App, token: Token) -> Json:
    return {
        **as_json(install, INSTALL),
        "partnerApp": {"id": app.client_id, "slug": app.slug, "name": app.name},
        "token": as_json(token, ("id", "name", "scopes")),
    }


def link_json(link: Link) -> Json:
    return as_json(link, LINK)


def listed_contract_json(contract: Contract, links: list[Link]) -> Json:
    linked = [link.id for link in links if link.job_id == contract.job_id]
    return {**as_json(contract, (*CONTRACT, "created_at")), "projectLinkIds": linked}


def freelancer_json(freelancer: Freelancer, install: Install, now: float) -> Json:
    """A participant, with the Work Email only where ``install`` may see it and it is out."""
    released = freelancer.email_release_at is not None and freelancer.email_release_at <= now
    allowed = install.pii_consent and PARTICIPANTS_EMAIL in install.scopes
    return as_json(freelancer, (*FREELANCER, "work_email") if released and allowed else FREELANCER)


def endpoint_json(endpoint: Endpoint) -> Json:
    return as_json(endpoint, ENDPOINT)
