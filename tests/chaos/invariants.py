"""What has to hold once all is quiet: each check yields what doesn't, with the ids that it concerns."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.contrib.auth.models import User
from django.db.models import F

from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    ProjectLink,
    TrainerAccount,
    WebhookEndpoint,
    WebhookEvent,
)
from example_project.labelling.models import Seat
from tests.chaos.people import Customer
from tests.chaos.truth import Truth

_SECRETS: Final = re.compile(r"whsec_[\w-]{6,}|ot_ptk_[\w-]{6,}|[\w.+-]+@opentrain\.work")


@dataclass(frozen=True)
class Violation:
    """Something that must not be."""

    what: str
    ids: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.what} [{', '.join(each for each in self.ids if each)}]"


def check(
    truth: Truth, logs: Iterable[Path], ledgers: Iterable[Path], tokens: Iterable[str]
) -> list[Violation]:
    """All that is violated."""
    found = [violation for look in LOOKS for violation in look(truth)]
    found += ledger_violations(ledgers)
    found += secrets_in(logs, tokens)
    return found


# Connections ------------------------------------------------------------------------------------


def install_violations(truth: Truth) -> Iterator[Violation]:
    """Each grant that stands is ACTIVE here, and no other is."""
    here = {row.opentrain_id: row.status for row in Install.objects.exclude(opentrain_id=None)}
    for customer in truth.customers:
        install = truth.active_install(customer)
        left = here.get(install) == Install.Status.DISCONNECTED
        if install and not left and here.get(install) != Install.Status.ACTIVE:
            yield Violation(f"an install is {here.get(install)} here", (install, customer.name))
    for opentrain_id, status in here.items():
        if status == Install.Status.ACTIVE and not truth.is_active(str(opentrain_id)):
            yield Violation("a revoked install is ACTIVE here", (str(opentrain_id),))


def link_violations(truth: Truth) -> Iterator[Violation]:
    """The same links on both sides, one per project."""
    for install in _standing(truth):
        there = {each["id"]: each["externalProjectId"] for each in truth.links(str(install.opentrain_id))}
        mine = ProjectLink.objects.live().filter(install=install)
        here = {row.opentrain_id: row.external_project_id for row in mine}
        if there != here:
            yield Violation(f"links differ: {there} there, {here} here", (str(install.opentrain_id),))
        for project, number in Counter(there.values()).items():
            if number > 1:
                yield Violation(f"project {project} has {number} links", (str(install.opentrain_id),))


def endpoint_violations(truth: Truth) -> Iterator[Violation]:
    """One endpoint per install, ACTIVE on both sides; none is left over."""
    for install in _standing(truth):
        there = [(each["id"], each["status"]) for each in truth.endpoints(str(install.opentrain_id))]
        mine = WebhookEndpoint.objects.live().filter(install=install)
        here = [(row.opentrain_id, row.status) for row in mine]
        if len(there) != 1 or there != here or there[0][1] != "ACTIVE":
            yield Violation(f"endpoints: {there} there, {here} here", (str(install.opentrain_id),))


def _standing(truth: Truth) -> Iterator[Install]:
    """Installs that are connected on both sides."""
    for customer in truth.customers:
        found = Install.objects.filter(
            opentrain_id=truth.active_install(customer) or None, status=Install.Status.ACTIVE
        )
        yield from found


# Events -----------------------------------------------------------------------------------------


def event_violations(truth: Truth) -> Iterator[Violation]:
    """Whatever was delivered is stored, and whatever is stored has taken effect or says why not.

    What OpenTrain gave up after its five attempts is found by reconciliation: the other checks see to that.
    """
    endpoints = {row.opentrain_id: row for row in WebhookEndpoint.objects.select_related("install")}
    stored = {(row.endpoint_id, row.digest): row for row in WebhookEvent.objects.all()}
    standing = {row.pk for row in _standing(truth)}
    for delivery, event, digest in truth.deliveries():
        endpoint = endpoints.get(delivery["endpointId"])
        if endpoint is None:
            continue  # its creation was never answered: its secret is unknown here
        ids = (event["id"], event["resourceId"], str(endpoint.install.opentrain_id))
        row = stored.get((endpoint.pk, digest))
        if delivery["status"] == "DELIVERED" and row is None:
            yield Violation(f"{event['type']} was answered 2xx and is not stored", ids)
        elif row is None and delivery["status"] == "PENDING" and endpoint.install_id in standing:
            yield Violation(f"{event['type']} is {delivery['status']} and not stored", ids)
    for row in stored.values():
        yield from _unsettled(row)


def _unsettled(row: WebhookEvent) -> Iterator[Violation]:
    ids = (row.event_id[:40], row.resource_id[:40], f"row {row.pk}")
    if row.status in (WebhookEvent.Status.PENDING, WebhookEvent.Status.FAILED):
        yield Violation(f"{row.type} is {row.status}: {row.error}", ids)
    elif row.status == WebhookEvent.Status.IGNORED and not row.error:
        yield Violation(f"{row.type} was ignored without a reason", ids)


def effect_violations(_truth: Truth) -> Iterator[Violation]:
    """No event took effect twice, however many endpoints and deliveries brought it."""
    effects: defaultdict[tuple[int, str, str], list[int]] = defaultdict(list)
    processed = WebhookEvent.objects.filter(status=WebhookEvent.Status.PROCESSED).exclude(event_id="")
    for row in processed.select_related("endpoint"):
        effects[row.endpoint.install_id, row.event_id, row.type].append(row.pk)
    for (_, event_id, kind), rows in effects.items():
        if len(rows) > 1:
            yield Violation(f"{kind} took effect {len(rows)} times: rows {rows}", (event_id,))


# Access -----------------------------------------------------------------------------------------


def access_violations(truth: Truth) -> Iterator[Violation]:
    """Exactly those have access who should, and no other account is active."""
    seats = [seat for customer in _connected(truth) for seat in truth.seats(customer)]
    wanted = {seat.door: seat for seat in seats if seat.has_email}
    trainers = dict(TrainerAccount.objects.values_list("user_id", "opentrain_user_id"))
    inside = {
        (str(seat.project.team_id), str(seat.project_id), trainers.get(seat.user_id, ""))
        for seat in Seat.objects.select_related("project")
    }
    for door in wanted.keys() - inside:
        yield Violation("a trainer is locked out", (*door, wanted[door].contract, wanted[door].link))
    for door in inside - wanted.keys():
        yield Violation("a trainer still has access", door)
    yield from _account_violations({door[2] for door in wanted}, trainers)


def _account_violations(wanted: set[str], trainers: dict[int, str]) -> Iterator[Violation]:
    for user in User.objects.filter(pk__in=trainers):
        if user.is_active != (trainers[user.pk] in wanted):
            state = "open" if user.is_active else "closed"
            yield Violation(f"account {user.pk} is {state}", (trainers[user.pk],))


def grant_violations(truth: Truth) -> Iterator[Violation]:
    """Each seat has its grant; all other grants are gone; none is left to do."""
    connected = list(_connected(truth))
    seats = {(seat.contract, seat.link): seat for customer in connected for seat in truth.seats(customer)}
    grants = AccessGrant.objects.select_related("contract", "link", "participant")
    granted = {(row.contract.opentrain_id, row.link.opentrain_id or ""): row for row in grants}
    for key in seats.keys() - granted.keys():
        yield Violation("no grant", (*key, *seats[key].door))
    for key, row in granted.items():
        seat = seats.get(key)
        expected = {AccessGrant.State.REVOKED} if seat is None else {AccessGrant.State.GRANTED}
        if seat is not None and not seat.has_email:
            expected = {AccessGrant.State.WAITING_FOR_EMAIL}
        if row.state not in expected:
            ids = (*key, row.participant.opentrain_user_id, f"grant {row.pk}")
            text = f"a grant is {row.desired}/{row.state} ({row.cause}; {row.last_error})"
            yield Violation(f"{text}, should be {', '.join(expected)}", ids)


def _connected(truth: Truth) -> Iterator[Customer]:
    """Customers whose grant stands on OpenTrain, and who didn't leave here."""
    for customer in truth.customers:
        mine = Install.objects.filter(opentrain_id=truth.active_install(customer) or None)
        if mine.exclude(status=Install.Status.DISCONNECTED).exists():
            yield customer


# Usage ------------------------------------------------------------------------------------------


def usage_violations(truth: Truth) -> Iterator[Violation]:
    """Every second that was worked for a connected customer is on OpenTrain, which takes it for linked jobs only."""
    there = truth.usage()
    for install in _standing(truth):
        linked = [link["jobId"] for link in truth.links(str(install.opentrain_id))]
        mine = DailyUsage.objects.filter(contract__install=install, contract__job_id__in=linked)
        for row in mine.select_related("contract"):
            contract = row.contract.opentrain_id
            key = (contract, row.worker_id or truth.hired[contract], row.work_date.isoformat())
            here = (row.total_seconds or 0, row.labels_completed or 0)
            if there.get(key, (0, 0)) != here:
                text = f"usage: {here} here ({row.status} {row.error}), {there.get(key)} there"
                yield Violation(text, (*key, str(install.opentrain_id)))


def ledger_violations(ledgers: Iterable[Path]) -> Iterator[Violation]:
    """What several writers added at once is all there."""
    sums: Counter[int] = Counter()
    for ledger in ledgers:
        for line in ledger.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            sums[entry["usage"]] += entry["total_seconds"]
    here = dict(DailyUsage.objects.values_list("pk", "total_seconds"))
    for pk, seconds in sums.items():
        if here.get(pk) != seconds:
            yield Violation(f"{seconds} seconds were added, {here.get(pk)} are kept", (f"usage {pk}",))


def budget_violations(_truth: Truth) -> Iterator[Violation]:
    """The host's code knows each budget's state."""
    untold = Contract.objects.active().exclude(budget_state=F("announced_budget_state"))
    for contract in untold:
        yield Violation("a budget's state was not announced", (contract.opentrain_id,))


# Mail -------------------------------------------------------------------------------------------


def mail_violations(mails: Iterable[str]) -> Iterator[Violation]:
    """Each trainer with access to an account that was created for them was sent their link."""
    reached = {line[4:].strip() for mail in mails for line in mail.splitlines() if line.startswith("To: ")}
    accounts = TrainerAccount.objects.with_access().filter(created_by_us=True).select_related("user")
    for account in accounts:
        ids = (account.opentrain_user_id, f"account {account.user_id}")
        if account.invitation != TrainerAccount.Invitation.SENT:
            yield Violation(f"a first-login mail is {account.invitation or 'not due'}", ids)
        elif account.user.email not in reached:
            yield Violation("a first-login mail counts as sent, and was not accepted", ids)


# Secrets ----------------------------------------------------------------------------------------


def secrets_in(logs: Iterable[Path], tokens: Iterable[str]) -> Iterator[Violation]:
    """Nothing secret was ever written to a log."""
    known = tuple(tokens)
    for log in logs:
        text = log.read_text(encoding="utf-8", errors="replace")
        found = _SECRETS.search(text)
        if found or any(token in text for token in known):
            shown = found.group()[:12] if found else "a token"
            yield Violation(f"{log.name} holds a secret: {shown}…")


LOOKS: Final[tuple[Callable[[Truth], Iterator[Violation]], ...]] = (
    install_violations,
    link_violations,
    endpoint_violations,
    event_violations,
    effect_violations,
    access_violations,
    grant_violations,
    usage_violations,
    budget_violations,
)
