"""A snapshot of what OpenTrain lists for an install, with few calls, and with what could not be listed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext_noop as _

from django_opentrain.lazy_messages import LazyMessage
from django_opentrain.models import Install, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import NotFound
from django_opentrain.platform.resources import ContractInfo, ProjectLinkInfo
from django_opentrain.services.workers.locks import Lease

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Snapshot:
    """OpenTrain's side at one moment. It may be outdated when it is used: events continue."""

    links: list[ProjectLinkInfo] = field(default_factory=list)
    #: Links of ours for which OpenTrain answers 404.
    missing_links: set[str] = field(default_factory=set)
    active: dict[str, ContractInfo] = field(default_factory=dict)
    ended: dict[str, ContractInfo] = field(default_factory=dict)
    #: When the contracts began to be listed: what was recorded since may be in no list.
    listed_at: datetime | None = None
    #: The ids of all contracts that were listed, also of those whose own status is another.
    listed: set[str] = field(default_factory=set)
    #: By status: OpenTrain's ids of the links of which only the newest contracts were listed.
    truncated: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: What could not be compared: truncated lists, missing scopes, contradictions.
    problems: list[LazyMessage] = field(default_factory=list)


def read_links(install: Install, remote: Snapshot, lease: Lease) -> None:
    """Read the project links. Raises ``OpenTrainError``."""
    if not install.has_scope(catalog.PROJECT_LINKS_READ):
        remote.problems.append(LazyMessage(_("Project links: the scope project-links:read is missing.")))
        return
    remote.links = install.client.list_project_links()
    remote.missing_links = set(_missing_links(install, remote.links, lease))


def read_contracts(install: Install, remote: Snapshot, lease: Lease) -> None:
    """Read the contracts: after missing links were created, since OpenTrain lists contracts of linked jobs only.

    Raises ``OpenTrainError``.
    """
    if not install.has_scope(catalog.CONTRACTS_READ):
        remote.problems.append(LazyMessage(_("Contracts: the scope contracts:read is missing.")))
        return
    remote.listed_at = timezone.now()
    for status, listed in (("active", remote.active), ("ended", remote.ended)):
        _list_contracts(install, remote, status, listed, lease)


def _missing_links(install: Install, listed: Iterable[ProjectLinkInfo], lease: Lease) -> Iterable[str]:
    """Absence from a list proves nothing: each missing link is requested by its id."""
    present = {info.id for info in listed}
    for link in ProjectLink.objects.active().filter(install=install).exclude(opentrain_id__in=present):
        lease.renew()
        try:
            install.client.get_project_link(str(link.opentrain_id))
        except NotFound as error:
            if not error.from_opentrain:
                raise
            yield str(link.opentrain_id)


def _list_contracts(
    install: Install, remote: Snapshot, status: str, listed: dict[str, ContractInfo], lease: Lease
) -> None:
    """All contracts with this status. OpenTrain's list has at most 200 and no second page: then link by link."""
    limit = catalog.MAX_CONTRACTS_PER_PAGE
    lease.renew()
    contracts = install.client.list_contracts(status=status, limit=limit)
    _take(contracts, status, listed, remote)
    if len(contracts) < limit:
        return
    for link in ProjectLink.objects.active().filter(install=install):
        lease.renew()
        contracts = install.client.list_contracts(
            project_link_id=link.opentrain_id, status=status, limit=limit
        )
        _take(contracts, status, listed, remote)
        if len(contracts) >= limit:
            text = LazyMessage(
                _("OpenTrain lists only the newest %(limit)d %(status)s contracts of project %(project)s."),
                {"limit": limit, "status": status, "project": link.external_project_id},
            )
            logger.error(
                "Install %s: %s [reconcile-incomplete]", install.opentrain_id, text, extra=install.log_fields
            )
            remote.problems.append(text)
            remote.truncated[status].add(str(link.opentrain_id))


def _take(
    contracts: Iterable[ContractInfo], status: str, listed: dict[str, ContractInfo], remote: Snapshot
) -> None:
    """Only those that say so themselves: an end is final, and a filter may be ignored."""
    for info in contracts:
        remote.listed.add(info.id)
        if info.status == status:
            listed[info.id] = info
        else:
            text = _("Contract %(id)s is listed as %(listed)s, and its own status is %(status)s.")
            values = {"id": info.id, "listed": status, "status": info.status or "-"}
            remote.problems.append(LazyMessage(text, values))
