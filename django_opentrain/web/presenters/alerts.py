"""Alerts: what can't wait, at the top of a customer's page, each with a link to where it is resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy

from django_opentrain.models import AccessGrant, Contract, Install, TrainerAccount, WebhookEndpoint
from django_opentrain.web.presenters.connection import Connections

#: The list of contracts takes this as a status.
ATTENTION: Final = "attention"

_REMOVAL = Q(desired=AccessGrant.Desired.REVOKED)
_FAILING = ~Q(state=F("desired")) & Q(state=AccessGrant.State.FAILED)
_WAITING = Q(desired=AccessGrant.Desired.GRANTED, state=AccessGrant.State.WAITING_FOR_EMAIL)

_HELD = Q(desired=AccessGrant.Desired.GRANTED, state=AccessGrant.State.HELD)

_NO_MAIL = Q(
    Exists(
        TrainerAccount.objects.filter(
            opentrain_user_id=OuterRef("participant__opentrain_user_id"),
            invitation=TrainerAccount.Invitation.FAILED,
        )
    ),
    desired=AccessGrant.Desired.GRANTED,
    state=AccessGrant.State.GRANTED,
)

_ACTIVE = Q(status=Contract.Status.ACTIVE)
_LOW = _ACTIVE & Q(budget_state=Contract.BudgetState.LOW)
_DEPLETED = _ACTIVE & Q(budget_state=Contract.BudgetState.DEPLETED)

#: What is counted: the rows, the tone, and the text.
Kinds = tuple[tuple[Q, str, Promise], ...]

_GRANTS: Final[Kinds] = (
    (
        _FAILING & _REMOVAL,
        "bad",
        ngettext_lazy(
            "The access of %(count)d trainer could not be revoked.",
            "The access of %(count)d trainers could not be revoked.",
            "count",
        ),
    ),
    (
        _FAILING & ~_REMOVAL,
        "bad",
        ngettext_lazy(
            "%(count)d trainer could not be given access.",
            "%(count)d trainers could not be given access.",
            "count",
        ),
    ),
    (
        _NO_MAIL,
        "bad",
        ngettext_lazy(
            "%(count)d trainer could not be sent a login link.",
            "%(count)d trainers could not be sent a login link.",
            "count",
        ),
    ),
    (
        _HELD,
        "warn",
        ngettext_lazy(
            "The Work Email of %(count)d trainer has to be checked.",
            "The Work Emails of %(count)d trainers have to be checked.",
            "count",
        ),
    ),
    (
        _WAITING,
        "warn",
        ngettext_lazy(
            "%(count)d trainer waits for a Work Email.", "%(count)d trainers wait for a Work Email.", "count"
        ),
    ),
)
_CONTRACTS: Final[Kinds] = (
    (
        _DEPLETED,
        "bad",
        ngettext_lazy(
            "The budget of %(count)d contract is used up.",
            "The budgets of %(count)d contracts are used up.",
            "count",
        ),
    ),
    (
        _LOW,
        "warn",
        ngettext_lazy(
            "The budget of %(count)d contract is running low.",
            "The budgets of %(count)d contracts are running low.",
            "count",
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One thing that needs the customer's attention.

    :param action: the text of the link to ``url``.
    """

    tone: str
    text: str
    action: str
    url: str


def contracts_in_need() -> Q:
    """The contracts that the alerts are about."""
    grants = AccessGrant.objects.filter(_FAILING | _HELD | _WAITING | _NO_MAIL)
    return _LOW | _DEPLETED | Q(pk__in=grants.values("contract"))


def alerts(found: Connections, endpoints: Iterable[WebhookEndpoint]) -> list[Alert]:
    """What needs the customer's attention, the worst first."""
    rows = [*_of_install(found.current, endpoints)] if found.current else []
    if found.unfinished:
        rows.append(
            Alert(
                tone="wait",
                text=_("A connection is waiting for its token."),
                action=_("Paste the token"),
                url=reverse("opentrain:token", kwargs={"pk": found.unfinished.pk}),
            )
        )
    return sorted(rows, key=lambda alert: ("bad", "warn", "wait").index(alert.tone))


def _of_install(install: Install, endpoints: Iterable[WebhookEndpoint]) -> Iterator[Alert]:
    if held := install.removals_held:
        text = ngettext(
            "%(count)d removal of access waits for your confirmation.",
            "%(count)d removals of access wait for your confirmation.",
            held,
        )
        url = reverse("opentrain:confirm-removals", kwargs={"pk": install.pk})
        yield Alert(tone="bad", text=text % {"count": held}, action=_("Review"), url=url)
    yield from _counted(AccessGrant.objects.filter(contract__install=install), "participant", _GRANTS)
    if not install.is_live:
        return
    yield from _counted(Contract.objects.filter(install=install), "pk", _CONTRACTS)
    if any(endpoint.status == WebhookEndpoint.Status.DISABLED for endpoint in endpoints):
        text = _("OpenTrain has disabled its notifications.")
        yield Alert(tone="bad", text=text, action=_("Re-enable"), url="#news")


def _counted(rows: QuerySet[Any], what: str, kinds: Kinds) -> Iterator[Alert]:
    """An alert for each kind that there are rows of. One query."""
    columns = {
        f"kind{number}": Count(what, distinct=True, filter=kind[0]) for number, kind in enumerate(kinds)
    }
    counts = rows.aggregate(**columns)
    url = f"{reverse('opentrain:contracts')}?status={ATTENTION}"
    for name, (_condition, tone, words) in zip(columns, kinds, strict=True):
        if count := counts[name]:
            yield Alert(tone=tone, text=words % {"count": count}, action=_("Review"), url=url)
