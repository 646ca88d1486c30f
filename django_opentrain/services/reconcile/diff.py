"""The difference between a snapshot and this database, as changes that can be shown or made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from django_opentrain.conflicts import retried
from django_opentrain.lazy_messages import LazyMessage
from django_opentrain.models import AccessGrant, Contract, Install, Participant, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.platform.resources import ContractInfo, ParticipantInfo, ProjectLinkInfo
from django_opentrain.services import linking
from django_opentrain.services.access import contracts, grants, participants
from django_opentrain.services.linking import records
from django_opentrain.services.reconcile.snapshot import Snapshot
from django_opentrain.services.workers.locks import install_lock

CAUSE: Final = "reconcile"
#: Unknown contracts that ended longer ago are history.
RECENT_END: Final = timedelta(days=30)
#: Ids that one statement looks for.
BATCH: Final = 500


@dataclass(frozen=True, kw_only=True)
class Change:
    """One difference, and the step that resolves it."""

    #: "+" is added, "-" is removed, "~" differs.
    sign: str
    text: LazyMessage
    make: Callable[[], object]
    #: The trainers whose grants it revokes, one for each grant.
    loses: Sequence[str] = ()
    #: OpenTrain's id of the contract that it ends.
    ends: str = ""
    #: What is done instead if the breaker holds it. Without it the change waits until it is confirmed.
    instead: Change | None = None
    #: OpenTrain's lists don't prove it: it is held until a person confirms it.
    doubtful: bool = False

    @property
    def removes(self) -> int:
        """How many grants it revokes."""
        return len(self.loses)

    @property
    def line(self) -> LazyMessage:
        """With its sign, as in a diff."""
        return LazyMessage("%(sign)s %(text)s", {"sign": self.sign, "text": self.text})

    def __str__(self) -> str:
        return str(self.line)


def link_changes(install: Install, remote: Snapshot) -> Iterator[Change]:
    """The changes of links: removals first, since a project has one link at a time."""
    rows = remote.link_rows(install)
    by_id = {row.opentrain_id: row for row in rows}
    for row in rows:
        if row.is_active and row.opentrain_id in remote.missing_links:
            yield _missing_link(row, remote)
    for row in rows:
        if row.live and not row.is_active:
            yield _unfinished_link(row, remote)
    for info in remote.links:
        if info.id in by_id:
            yield from _listed_link(by_id[info.id], info, remote)
        else:
            yield Change(
                sign="+",
                text=LazyMessage(
                    _("link %(link)s of project %(project)s to job %(job)s"),
                    {"link": info.id, "project": info.external_project_id, "job": info.job_id or "-"},
                ),
                make=partial(records.save, install, info),
            )


def _listed_link(row: ProjectLink, info: ProjectLinkInfo, remote: Snapshot) -> Iterator[Change]:
    if not row.live:
        return
    contradiction = records.contradicts(row, info)
    if contradiction:
        remote.problems.append(contradiction)
    elif info.job_id not in ("", row.job_id):
        yield Change(
            sign="~",
            text=LazyMessage(
                _("link %(link)s of project %(project)s is now to job %(job)s"),
                {"link": info.id, "project": row.external_project_id, "job": info.job_id},
            ),
            make=partial(records.adopt_job, row, info.job_id),
        )


def _missing_link(row: ProjectLink, remote: Snapshot) -> Change:
    """One that was removed on OpenTrain; or one that this install never had there, which is only wrong here."""
    about = {"link": row.opentrain_id, "project": row.external_project_id}
    again = Change(
        sign="~",
        text=LazyMessage(
            _(
                "link %(link)s of project %(project)s no longer exists on OpenTrain, but trainers work"
                " there: it is created again (if you don't want that, unlink the project here)"
            ),
            about,
        ),
        make=partial(_link_again, row, remote),
    )
    # The id is an earlier install's of this customer.
    same_id = ProjectLink.objects.filter(opentrain_id=row.opentrain_id, install__tenant=row.install.tenant)
    if same_id.exclude(pk=row.pk).exists():
        return again
    return Change(
        sign="-",
        text=LazyMessage(_("link %(link)s of project %(project)s no longer exists on OpenTrain"), about),
        make=partial(records.mark_removed, row, f"{CAUSE}: the link no longer exists on OpenTrain"),
        loses=_losing(AccessGrant.objects.unrevoked().filter(link=row)),
        instead=again,
    )


def _losing(rows: QuerySet[AccessGrant]) -> list[str]:
    named = rows.order_by("pk").values_list("participant__display_name", "participant__opentrain_user_id")
    return [f"{name} ({user_id})" if name else user_id for name, user_id in named]


def _link_again(row: ProjectLink, remote: Snapshot) -> None:
    records.forget_id(row)
    linking.complete(row, remote.links)


def _unfinished_link(row: ProjectLink, remote: Snapshot) -> Change:
    if row.removal_requested_at:
        return Change(
            sign="~",
            text=LazyMessage(
                _("project %(project)s still has to be unlinked"), {"project": row.external_project_id}
            ),
            make=partial(linking.finish_removal, row),
        )
    return Change(
        sign="~",
        text=LazyMessage(
            _("project %(project)s still has to be linked to job %(job)s"),
            {"project": row.external_project_id, "job": row.job_id or "-"},
        ),
        make=partial(linking.complete, row, remote.links),
    )


def contract_changes(install: Install, remote: Snapshot) -> Iterator[Change]:
    """The changes of contracts. One that is unchanged and has its grants takes no query."""
    rows = _rows(install, [*remote.active, *remote.ended])
    records = {row.opentrain_id: row for row in remote.link_rows(install) if row.live}
    done = _done(install, records.values())
    for info in remote.ended.values():
        yield from _ended(install, rows.get(info.id), info)
    for info in remote.active.values():
        if info.id in remote.ended:
            continue  # it ended between the two lists
        row = rows.get(info.id)
        if row is None or row.status == Contract.Status.ACTIVE:
            listed = (records[link_id] for link_id in info.project_link_ids if link_id in records)
            missing = any((info.id, link.pk, link.grants_access) not in done for link in listed)
            yield from _active(install, row, info, missing=missing)
    yield from _unlisted(install, remote)


def _unlisted(install: Install, remote: Snapshot) -> Iterator[Change]:
    """Contracts that may have ended unnoticed: all active ones are listed, and only the newest of those that ended.

    Absence from a list proves nothing, and OpenTrain has no other place that says it: a person has to.
    """
    ends_unlisted = remote.truncated[catalog.CONTRACT_HAS_ENDED] - remote.truncated[catalog.CONTRACT_ACTIVE]
    if not ends_unlisted:
        return
    rows = Contract.objects.active().filter(install=install, created_at__lt=remote.listed_at)
    uncertain = rows.filter(links__in=install.project_links.filter(opentrain_id__in=ends_unlisted))
    uncertain = uncertain.exclude(
        links__in=install.project_links.filter(opentrain_id__in=remote.truncated[catalog.CONTRACT_ACTIVE])
    )
    unlisted = (row for row in uncertain.distinct().order_by("pk") if row.opentrain_id not in remote.listed)
    for row in unlisted:
        if loses := _losing(AccessGrant.objects.unrevoked().filter(contract=row)):
            yield Change(
                sign="-",
                text=LazyMessage(
                    _("contract %(id)s (%(title)s) is no longer listed as active"),
                    {"id": row.opentrain_id, "title": row.title},
                ),
                make=partial(contracts.end, row, f"{CAUSE}: no longer listed as active, and confirmed"),
                loses=loses,
                ends=row.opentrain_id,
                doubtful=True,
            )


def _rows(install: Install, listed: Sequence[str]) -> dict[str, Contract]:
    """Our rows of the listed contracts only: there may be many old ones."""
    rows: dict[str, Contract] = {}
    for start in range(0, len(listed), BATCH):
        some = install.contracts.filter(opentrain_id__in=listed[start : start + BATCH])
        rows.update({row.opentrain_id: row for row in some})
    return rows


def _done(install: Install, links: Iterable[ProjectLink]) -> set[tuple[str, int, bool]]:
    """Active contracts that need no change: each with a link, and whether that gives access.

    A link that doesn't give access has to be recorded, one that does has to have a grant.
    """
    active = {"contract__install": install, "contract__status": Contract.Status.ACTIVE}
    granted = AccessGrant.objects.filter(**active).exclude(grants.REVIVABLE)
    done = {
        (contract, link, True) for contract, link in granted.values_list("contract__opentrain_id", "link")
    }
    silent = [link.pk for link in links if not link.grants_access]
    if silent:
        recorded = Contract.links.through.objects.filter(projectlink__in=silent, **active)
        done.update(
            (contract, link, False)
            for contract, link in recorded.values_list("contract__opentrain_id", "projectlink")
        )
    return done


def _ended(install: Install, row: Contract | None, info: ContractInfo) -> Iterator[Change]:
    if row is None:
        recent = info.end_date is None or info.end_date >= timezone.localdate() - RECENT_END
        if recent:
            yield Change(
                sign="+",
                text=_about(_("contract %(id)s (%(title)s), ended"), info),
                make=partial(record_ended, install, info),
            )
    elif row.status == Contract.Status.ACTIVE:
        yield Change(
            sign="-",
            text=_about(_("contract %(id)s (%(title)s) has ended"), info),
            make=partial(_end, install, info),
            loses=_losing(AccessGrant.objects.unrevoked().filter(contract=row)),
            ends=info.id,
        )


def _about(template: str, info: ContractInfo) -> LazyMessage:
    return LazyMessage(template, {"id": info.id, "title": info.title})


def _end(install: Install, info: ContractInfo) -> None:
    contracts.end(contracts.save(install, info), f"{CAUSE}: OpenTrain lists the contract as ended")


def record_ended(install: Install, info: ContractInfo) -> None:
    """A contract whose start and end were missed, or whose row was deleted: any access it gave must be revoked."""
    contract = contracts.save(install, info)
    trainers = participants.fetch(contract, at_work=False)
    _remember_and_end(install, info, contract, trainers)


@retried
def _remember_and_end(
    install: Install, info: ContractInfo, contract: Contract, trainers: Sequence[Participant]
) -> None:
    with install_lock(install):
        for link in install.project_links.filter(opentrain_id__in=info.project_link_ids):
            contract.links.add(link)
            for trainer in trainers:
                grants.remember(contract, link, trainer, CAUSE)
        _end(install, info)


def _active(install: Install, row: Contract | None, info: ContractInfo, *, missing: bool) -> Iterator[Change]:
    if row is None or missing:
        new = _("contract %(id)s (%(title)s), active")
        lacking = _("contract %(id)s (%(title)s), active: access is missing")
        yield Change(
            sign="+",
            text=_about(new if row is None else lacking, info),
            make=partial(start, install, info),
        )
    elif _differs(row, info):
        yield Change(
            sign="~",
            text=_about(_("contract %(id)s: title, job or dates"), info),
            make=partial(contracts.save, install, info),
        )


def _differs(row: Contract, info: ContractInfo) -> bool:
    return any(getattr(info, name) not in ("", None, getattr(row, name)) for name in contracts.DETAILS)


def start(install: Install, info: ContractInfo) -> None:
    """An active contract is new here, or lacks grants: fetch its participants, and grant them access."""
    listed = install.project_links.filter(opentrain_id__in=info.project_link_ids)
    grant_participants(install, contracts.save(install, info), listed)


def grant_participants(install: Install, contract: Contract, links: QuerySet[ProjectLink]) -> None:
    """Fetch the participants of an active contract, and grant them access to these projects."""
    _grant(install, contract, links, participants.fetch(contract))


def grant_listed(
    install: Install,
    contract: Contract,
    links: QuerySet[ProjectLink],
    infos: Iterable[ParticipantInfo],
) -> None:
    """Grant these participants of an active contract access to these projects, as OpenTrain has listed them."""
    _grant(install, contract, links, participants.save_listed(contract, infos))


@retried
def _grant(
    install: Install, contract: Contract, links: QuerySet[ProjectLink], trainers: Sequence[Participant]
) -> None:
    with install_lock(install):
        Contract.objects.filter(pk=contract.pk).update(participants_read_at=timezone.now())
        contract.refresh_from_db()
        install.refresh_from_db()
        if contract.status == Contract.Status.ENDED or contract.install != install or not install.is_live:
            return  # an event, or the customer, was faster than this poll
        for link in links:
            contract.links.add(link)
            if link.grants_access:
                for trainer in trainers:
                    grants.grant(contract, link, trainer, CAUSE)
