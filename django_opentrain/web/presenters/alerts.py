"""Alerts: what can't wait, at the top of a customer's page, each with a link to where it is resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Max, Min, Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    TrainerAccount,
    UsageObjection,
    WebhookEndpoint,
)
from django_opentrain.services.conditions import CONDITIONS, Condition, Severity
from django_opentrain.web.customers import manages, with_customer
from django_opentrain.web.presenters.connection import Connections, missing_permissions

#: The list of contracts takes this as a status; it takes a condition's name as well.
ATTENTION: Final = "attention"
TONES: Final[Mapping[Severity, str]] = {Severity.ERROR: "bad", Severity.WARNING: "warn"}

#: What customers read about, by name.
FOR_CUSTOMERS: Final[Mapping[str, Condition]] = {
    name: each for name, each in CONDITIONS.items() if each.for_customers
}
#: By model: the ways from its rows to their contract and install, and what is counted.
_COUNTED: Final[Mapping[type[Model], tuple[str, str, str]]] = {
    AccessGrant: ("contract", "contract__install", "participant"),
    Contract: ("pk", "install", "pk"),
    DailyUsage: ("contract", "contract__install", "pk"),
    UsageObjection: ("contract", "contract__install", "pk"),
}
#: The part of a contract's page that says more of a condition.
_BUDGET, _ACCESS, _WORK = "budget", "access", "work"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One thing that needs the customer's attention.

    :param action: the text of the link to ``url``; both are empty where only a manager can resolve it.
    """

    tone: str
    text: str
    action: str
    url: str


def contracts_in_need(installs: Sequence[int], name: str) -> Q:
    """The contracts of these installs that the alerts are about; ``name``: only those in this condition."""
    found = Q(pk__in=())
    for each in [FOR_CUSTOMERS[name]] if name in FOR_CUSTOMERS else FOR_CUSTOMERS.values():
        model, rows = _rows(each)
        contract, install, _what = _COUNTED[model]
        found |= Q(pk__in=rows.filter(**{f"{install}__in": installs}).values(contract))
    return found


def place_of(name: str) -> str:
    """The part of a contract's page that says more of the condition with this name; "" if there is none."""
    if name not in FOR_CUSTOMERS:
        return ""
    if name.startswith(f"{_BUDGET}-"):
        return _BUDGET
    model, _rows_of_it = _rows(FOR_CUSTOMERS[name])
    return _ACCESS if model is AccessGrant else _WORK


def alerts(request: HttpRequest, found: Connections, endpoints: Iterable[WebhookEndpoint]) -> list[Alert]:
    """What needs the customer's attention, the worst first."""
    rows = [*_of_install(request, found.current, endpoints)] if found.current else []
    rows += [_held(request, each) for each in found.held]
    if found.unfinished and manages(request):
        rows.append(
            Alert(
                tone="wait",
                text=_("A connection is waiting for its token."),
                action=_("Paste the token"),
                url=reverse("opentrain:token", kwargs={"pk": found.unfinished.pk}),
            )
        )
    return sorted(rows, key=lambda alert: ("bad", "warn", "wait").index(alert.tone))


def _of_install(
    request: HttpRequest, install: Install, endpoints: Iterable[WebhookEndpoint]
) -> Iterator[Alert]:
    if install.removals_held:
        yield _held(request, install)
    if any(endpoint.status == WebhookEndpoint.Status.DISABLED for endpoint in endpoints) and install.is_live:
        text = _("OpenTrain has disabled its notifications.")
        yield _for_managers(request, text, _("Re-enable"), "#news")
    for lack in missing_permissions(install):
        yield Alert(tone=lack.tone, text=lack.title, action=_("Review"), url="#missing")
    yield from _unsynced(install)
    yield from _counted(request, AccessGrant, install)
    yield from _counted(request, UsageObjection, install)
    if install.is_live:
        yield from _counted(request, Contract, install)
        yield from _counted(request, DailyUsage, install)


def _unsynced(install: Install) -> Iterator[Alert]:
    count = len(install.last_reconciliation.get("problems", ())) if install.is_live else 0
    if count:
        text = ngettext(
            "%(count)d item could not be synced with OpenTrain.",
            "%(count)d items could not be synced with OpenTrain.",
            count,
        )
        yield Alert(tone="warn", text=text % {"count": count}, action=_("Review"), url="#problems")


def _held(request: HttpRequest, install: Install) -> Alert:
    text = ngettext(
        "%(count)d removal of access waits for your confirmation.",
        "%(count)d removals of access wait for your confirmation.",
        install.removals_held,
    )
    url = reverse("opentrain:confirm-removals", kwargs={"pk": install.pk})
    return _for_managers(request, text % {"count": install.removals_held}, _("Review"), url)


def _for_managers(request: HttpRequest, text: str, action: str, url: str) -> Alert:
    if not manages(request):
        action = url = ""
    return Alert(tone="bad", text=text, action=action, url=url)


def _counted(request: HttpRequest, model: type[Model], install: Install) -> Iterator[Alert]:
    """An alert for each condition that rows of the install's are in. One query."""
    rows = {name: rows for name, each in FOR_CUSTOMERS.items() for of, rows in [_rows(each)] if of is model}
    contract, path, what = _COUNTED[model]
    own = Q(**{path: install})
    columns: dict[str, Any] = {}
    for number, each in enumerate(rows.values()):
        # A database may find all rows of a condition first: not those of all customers.
        found = Q(pk__in=each.filter(own).values("pk"))
        columns[f"count{number}"] = Count(what, distinct=True, filter=found)
        columns[f"first{number}"] = Min(contract, filter=found)
        columns[f"last{number}"] = Max(contract, filter=found)
    answers = model._default_manager.filter(own).aggregate(**columns)
    for number, name in enumerate(rows):
        count, first, last = (answers[f"{column}{number}"] for column in ("count", "first", "last"))
        condition = FOR_CUSTOMERS[name]
        if count and condition.for_customers:
            yield Alert(
                tone=TONES[condition.severity],
                text=condition.for_customers % {"count": count},
                action=_("Review"),
                url=_way(request, name, first if first == last else None),
            )


def _way(request: HttpRequest, name: str, contract: int | None) -> str:
    """To the rows in this condition: on the contract's page, or the list of those that have any."""
    if contract is None:
        return with_customer(request, reverse("opentrain:contracts"), status=name)
    return f"{reverse('opentrain:contract', kwargs={'pk': contract})}#{place_of(name)}"


def _rows(condition: Condition) -> tuple[type[Model], QuerySet[Any]]:
    """The rows; of accounts, which are of all customers, the access that they have."""
    if condition.model is not TrainerAccount:
        return condition.model, condition.rows()
    accounts = condition.rows().values("opentrain_user_id")
    granted = AccessGrant.objects.wanted().filter(
        state=AccessGrant.State.GRANTED, participant__opentrain_user_id__in=accounts
    )
    return AccessGrant, granted
