"""What OpenTrain lists for an install, asked with few calls and honest about what was cut."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.utils.translation import gettext_noop as _

from django_opentrain.lazy_messages import Phrase
from django_opentrain.models import Install, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import NotFound
from django_opentrain.platform.resources import ContractInfo, ProjectLinkInfo
from django_opentrain.services.workers.locks import Lease

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Snapshot:
    """OpenTrain's side at one moment. It may be old by the time it is used: events go on."""

    links: list[ProjectLinkInfo] = field(default_factory=list)
    #: Links of ours that OpenTrain, asked for each by its id, says don't exist.
    gone_links: set[str] = field(default_factory=set)
    active: dict[str, ContractInfo] = field(default_factory=dict)
    ended: dict[str, ContractInfo] = field(default_factory=dict)
    #: What could not be seen or believed, in words: lists that were cut, scopes that are missing, contradictions.
    unseen: list[Phrase] = field(default_factory=list)


def read_links(install: Install, seen: Snapshot, lease: Lease) -> None:
    """Look at the project links. Raises ``OpenTrainError``."""
    if not install.has_scope(catalog.PROJECT_LINKS_READ):
        seen.unseen.append(Phrase(_("Project links: the scope project-links:read is missing.")))
        return
    seen.links = install.client.list_project_links()
    seen.gone_links = set(_gone_links(install, seen.links, lease))


def read_contracts(install: Install, seen: Snapshot, lease: Lease) -> None:
    """Look at the contracts: after missing links were made, since only then they are listed with them.

    Raises ``OpenTrainError``.
    """
    if not install.has_scope(catalog.CONTRACTS_READ):
        seen.unseen.append(Phrase(_("Contracts: the scope contracts:read is missing.")))
        return
    for status, found in (("active", seen.active), ("ended", seen.ended)):
        _list_contracts(install, seen, status, found, lease)


def _gone_links(install: Install, listed: Iterable[ProjectLinkInfo], lease: Lease) -> Iterable[str]:
    """Being absent from a list proves nothing: ask for each missing link by its id."""
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
    install: Install, seen: Snapshot, status: str, found: dict[str, ContractInfo], lease: Lease
) -> None:
    """All contracts with this status. OpenTrain's list ends at 200 and has no second page: then link by link."""
    limit = catalog.MAX_CONTRACTS_PER_PAGE
    lease.renew()
    contracts = install.client.list_contracts(status=status, limit=limit)
    found.update({info.id: info for info in contracts})
    if len(contracts) < limit:
        return
    for link in ProjectLink.objects.active().filter(install=install):
        lease.renew()
        contracts = install.client.list_contracts(
            project_link_id=link.opentrain_id, status=status, limit=limit
        )
        found.update({info.id: info for info in contracts})
        if len(contracts) >= limit:
            text = Phrase(
                _("OpenTrain lists only the newest %(limit)d %(status)s contracts of project %(project)s."),
                {"limit": limit, "status": status, "project": link.external_project_id},
            )
            logger.error("Install %s: %s", install.opentrain_id, text)
            seen.unseen.append(text)
