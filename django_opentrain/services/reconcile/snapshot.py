"""A snapshot of what OpenTrain lists for an install, with few calls, and with what could not be listed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from django_opentrain.lazy_messages import LazyMessage
from django_opentrain.models import Install, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import NotFound
from django_opentrain.platform.resources import ContractInfo, ProjectLinkInfo
from django_opentrain.services.workers.locks import Lease

logger = logging.getLogger(__name__)

#: In an install's ``reconcile_summary``: one list of OpenTrain's is too short for all of its contracts.
TOO_MANY: Final = "too_many_for_one_list"

_STATUSES: Final = (catalog.CONTRACT_ACTIVE, catalog.CONTRACT_HAS_ENDED)


@dataclass(kw_only=True)
class Snapshot:
    """OpenTrain's side at one moment. It may be outdated when it is used: events continue."""

    #: With which it is read.
    client: PlatformClient
    links: list[ProjectLinkInfo] = field(default_factory=list)
    #: Our rows of the links that are listed, or should be; None once they may have changed.
    rows: list[ProjectLink] | None = None
    #: Links of ours for which OpenTrain answers 404.
    missing_links: set[str] = field(default_factory=set)
    active: dict[str, ContractInfo] = field(default_factory=dict)
    ended: dict[str, ContractInfo] = field(default_factory=dict)
    #: When the contracts began to be listed: what was recorded since may be in no list.
    listed_at: datetime | None = None
    #: The ids of all contracts that were listed, also of those whose own status is another.
    listed: set[str] = field(default_factory=set)
    #: Whether one list has not been enough for all contracts.
    too_many: bool = False
    #: By status: OpenTrain's ids of the links of which only the newest contracts were listed.
    truncated: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: What could not be compared: truncated lists, missing scopes, contradictions.
    problems: list[LazyMessage] = field(default_factory=list)

    def link_rows(self, install: Install) -> list[ProjectLink]:
        """Our rows of the listed links, and of all that exist or are being created."""
        if self.rows is None:
            listed = Q(opentrain_id__in=[info.id for info in self.links])
            self.rows = list(install.project_links.filter(listed | Q(live=True)).order_by("pk"))
            for row in self.rows:
                row.install = install
        return self.rows

    def active_rows(self, install: Install) -> list[ProjectLink]:
        """Those of them that exist and are not being removed."""
        return [row for row in self.link_rows(install) if row.is_active]


def read_links(install: Install, remote: Snapshot, lease: Lease) -> None:
    """Read the project links. Raises ``OpenTrainError``."""
    if not install.has_scope(catalog.PROJECT_LINKS_READ):
        remote.problems.append(LazyMessage(_("Project links: the scope project-links:read is missing.")))
        return
    lease.keep()
    remote.links = remote.client.list_project_links()
    remote.missing_links = set(_missing_links(install, remote, lease))


def read_contracts(install: Install, remote: Snapshot, lease: Lease) -> None:
    """Read the contracts: after missing links were created, since OpenTrain lists contracts of linked jobs only.

    Raises ``OpenTrainError``.
    """
    if not install.has_scope(catalog.CONTRACTS_READ):
        remote.problems.append(LazyMessage(_("Contracts: the scope contracts:read is missing.")))
        return
    if install.has_scope(catalog.PROJECT_LINKS_READ) and not remote.links and not remote.link_rows(install):
        return  # only contracts of linked jobs are listed
    remote.listed_at = timezone.now()
    # What one list has been too short for, it will be again.
    if not install.reconcile_summary.get(TOO_MANY) and _list_contracts(remote, lease):
        return
    remote.too_many = True
    links = remote.active_rows(install)
    for link in links:
        # Of an only link the list would be the same.
        if len(links) == 1 or not _list_contracts(remote, lease, link):
            for status in _STATUSES:
                _list_by_status(install, remote, lease, link, status)


def _missing_links(install: Install, remote: Snapshot, lease: Lease) -> Iterator[str]:
    """Absence from a list proves nothing: each missing link is requested by its id."""
    present = {info.id for info in remote.links}
    for link in remote.active_rows(install):
        if link.opentrain_id in present:
            continue
        lease.keep()
        try:
            remote.client.get_project_link(str(link.opentrain_id))
        except NotFound as error:
            if not error.from_opentrain:
                raise
            yield str(link.opentrain_id)


def _list_by_status(install: Install, remote: Snapshot, lease: Lease, link: ProjectLink, status: str) -> None:
    """The contracts of one link with one status: of more than 200, OpenTrain lists the newest."""
    if _list_contracts(remote, lease, link, status):
        return
    text = LazyMessage(
        _("OpenTrain lists only the newest %(limit)d %(status)s contracts of project %(project)s."),
        {
            "limit": catalog.MAX_CONTRACTS_PER_PAGE,
            "status": status,
            "project": link.external_project_id,
        },
    )
    logger.error(
        "Install %s: %s [reconcile-incomplete]", install.opentrain_id, text, extra=install.log_fields
    )
    remote.problems.append(text)
    remote.truncated[status].add(str(link.opentrain_id))


def _list_contracts(
    remote: Snapshot, lease: Lease, link: ProjectLink | None = None, status: str | None = None
) -> bool:
    """One list of contracts; returns whether it has all of them: it has 200 at most, and no second page."""
    limit = catalog.MAX_CONTRACTS_PER_PAGE
    lease.keep()
    contracts = remote.client.list_contracts(
        project_link_id=None if link is None else link.opentrain_id, status=status, limit=limit
    )
    for info in contracts:
        _take(info, status, remote)
    return len(contracts) < limit


def _take(info: ContractInfo, status: str | None, remote: Snapshot) -> None:
    """Only if it says so itself: an end is final, and a filter may be ignored."""
    remote.listed.add(info.id)
    by_status = {catalog.CONTRACT_ACTIVE: remote.active, catalog.CONTRACT_HAS_ENDED: remote.ended}
    if info.status in by_status and status in (None, info.status):
        by_status[info.status][info.id] = info
        return
    text = _("Contract %(id)s is listed as %(listed)s, and its own status is %(status)s.")
    values = {"id": info.id, "listed": status or "-", "status": info.status or "-"}
    remote.problems.append(LazyMessage(text, values))
