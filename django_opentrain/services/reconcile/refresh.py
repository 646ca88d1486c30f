"""Fetching what has no event (who joined, a new Work Email), and budgets that were not updated for long.

Most of it says nothing new: then all of it takes a few statements, whatever the number of contracts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import product
from typing import Final, TypeAlias, TypeVar

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from django_opentrain.lazy_messages import LazyMessage
from django_opentrain.models import AccessGrant, Contract, Install, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.resources import BudgetInfo, ParticipantInfo
from django_opentrain.services.access import contracts, grants, participants
from django_opentrain.services.reconcile.diff import grant_listed
from django_opentrain.services.workers.locks import Lease

#: Budgets and participants that were not updated for this long are fetched.
REFRESH_AGE: Final = timedelta(days=1)
#: A budget that is low or used up, sooner: new funding sends only one event.
WARNED_BUDGET_AGE: Final = timedelta(hours=1)
#: Contracts that are refreshed in one run.
CONTRACTS_AT_ONCE: Final = 150
#: Of so many the answers are saved together: none is used long after it was given.
PAGE: Final = 25

_BUDGET: Final = _("budget of contract %(id)s")
_PARTICIPANTS: Final = _("participants of contract %(id)s")

T = TypeVar("T")
#: What OpenTrain has answered, each about a contract.
Answers: TypeAlias = list[tuple[Contract, T]]


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """One run's."""

    install: Install
    client: PlatformClient
    held: Lease
    #: Takes one step, named by a text for people; what OpenTrain refuses is noted.
    attempt: Callable[[LazyMessage, Callable[[], object]], bool]

    def run(self) -> None:
        """Fetch and save what is outdated. Raises ``OpenTrainError`` if OpenTrain would refuse all else, too."""
        budgets, unread = _outdated(self.install)
        keys = list(dict.fromkeys([*budgets, *unread]))
        for begin in range(0, len(keys), PAGE):
            self._page(keys[begin : begin + PAGE], budgets, unread)

    def _page(self, keys: Sequence[int], budgets: Container[int], unread: Container[int]) -> None:
        asked_at = timezone.now()
        rows = Contract.objects.in_bulk(keys)
        for contract in rows.values():
            contract.install = self.install
        fetched_budgets: Answers[BudgetInfo] = []
        fetched_participants: Answers[list[ParticipantInfo]] = []
        page = [rows[key] for key in keys if key in rows]
        old, unknown = ([row for row in page if row.pk in wanted] for wanted in (budgets, unread))
        try:
            self._ask(old, _BUDGET, self.client.get_budget, fetched_budgets)
            self._ask(unknown, _PARTICIPANTS, self.client.list_participants, fetched_participants)
        finally:
            # Also if OpenTrain fails at a later one: with a low limit the same ones would be fetched again and again.
            contracts.save_budgets(fetched_budgets, asked_at=asked_at)
            self._save_participants(fetched_participants)

    def _ask(self, rows: Iterable[Contract], text: str, ask: Callable[[str], T], answers: Answers[T]) -> None:
        for contract in rows:
            self.held.keep()
            what = LazyMessage(text, {"id": contract.opentrain_id})
            self.attempt(what, partial(_take, answers, contract, ask))

    def _save_participants(self, answers: Answers[list[ParticipantInfo]]) -> None:
        if not answers:
            return
        new = _with_news(self.install, answers)
        old = [contract.pk for contract, _infos in answers if contract.pk not in new]
        # Not after a reconnect: then they belong to the install that took over.
        own = Contract.objects.filter(install=self.install)
        own.filter(pk__in=old).update(participants_read_at=timezone.now())
        for contract, infos in answers:
            if contract.pk in new:
                self.held.renew()
                what = LazyMessage(_PARTICIPANTS, {"id": contract.opentrain_id})
                links = ProjectLink.objects.live().filter(contracts=contract)
                self.attempt(what, partial(grant_listed, self.install, contract, links, infos))


def _take(answers: Answers[T], contract: Contract, ask: Callable[[str], T]) -> None:
    answers.append((contract, ask(contract.opentrain_id)))


def _with_news(install: Install, answers: Answers[list[ParticipantInfo]]) -> set[int]:
    """The contracts whose participants aren't as stored, or lack a grant."""
    known = participants.seen(install, [info for _contract, infos in answers for info in infos])
    keys = [contract.pk for contract, _infos in answers]
    given = AccessGrant.objects.filter(contract__in=keys).exclude(grants.REVIVABLE)
    have = set(given.values_list("contract", "link", "participant"))
    open_links = defaultdict(list)
    linked = Contract.links.through.objects.filter(contract__in=keys, projectlink__live=True)
    for each in linked.select_related("projectlink"):
        if each.projectlink.grants_access:
            open_links[each.contract_id].append(each.projectlink_id)
    new = set()
    for contract, infos in answers:
        hired = contract.trainer_id is None and len(infos) == 1
        wanted = product([contract.pk], open_links[contract.pk], map(known.get, infos))
        if hired or not known.keys() >= set(infos) or not have.issuperset(wanted):
            new.add(contract.pk)
    return new


def _outdated(row: Install) -> tuple[list[int], list[int]]:
    """The contracts whose budget, and those whose participants are unknown or old, the oldest first."""
    ok, now = Contract.BudgetState.OK, timezone.now()
    long_ago, lately = now - REFRESH_AGE, now - WARNED_BUDGET_AGE
    old = Q(budget_updated_at=None) | Q(budget_updated_at__lte=long_ago)
    old |= ~Q(budget_state=ok) & Q(budget_updated_at__lte=lately)
    unread = Q(participants_read_at=None) | Q(participants_read_at__lte=long_ago)
    linked = Contract.objects.active().linked().filter(old | unread, install=row)
    columns = "pk", "budget_state", "budget_updated_at", "participants_read_at"
    ages = list(linked.values_list(*columns, named=True))
    budgets = {
        each.pk: each.budget_updated_at
        for each in ages
        if _is_old(each.budget_updated_at, long_ago if each.budget_state == ok else lately)
    }
    unread_ages = {
        each.pk: each.participants_read_at for each in ages if _is_old(each.participants_read_at, long_ago)
    }
    return (
        _oldest(budgets) if row.has_scope(catalog.CONTRACTS_READ) else [],
        _oldest(unread_ages) if row.has_scope(catalog.PARTICIPANTS_READ) else [],
    )


def _is_old(at: datetime | None, since: datetime) -> bool:
    return at is None or at <= since


def _oldest(ages: Mapping[int, datetime | None]) -> list[int]:
    return sorted(ages, key=lambda key: (ages[key] is not None, ages[key], key))[:CONTRACTS_AT_ONCE]
