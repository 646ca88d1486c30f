"""What a customer decides about one of their links."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conflicts import retried
from django_opentrain.errors import OperationRefused
from django_opentrain.models import AccessGrant, Contract, ProjectLink
from django_opentrain.services.access import grants
from django_opentrain.services.linking import generations
from django_opentrain.services.usage import withholding
from django_opentrain.services.workers.locks import install_lock, reread


def configure(
    link: ProjectLink,
    *,
    hours_tracked_elsewhere: bool | None = None,
    report_withheld_hours: bool = False,
    stop_when_depleted: bool | None = None,
) -> ProjectLink:
    """Set a link's switches; None leaves one as it is. Returns the link, after a reconnect the one that continues it.

    With ``hours_tracked_elsewhere`` its contracts' days are reported without hours. Once it is off, the days until
    then stay so, unless ``report_withheld_hours`` asks for them. With ``stop_when_depleted`` trainers have no access
    while their contract's budget is used up. Raises ``OperationRefused`` if the link was removed, ``BusyError`` if
    another install takes it over at this moment.
    """
    reread(link)
    link = generations.current(link)
    _configure(
        link,
        hours_elsewhere=hours_tracked_elsewhere,
        report_withheld_hours=report_withheld_hours,
        stop_when_depleted=stop_when_depleted,
    )
    link.refresh_from_db()
    return link


@retried
def _configure(
    link: ProjectLink,
    *,
    hours_elsewhere: bool | None,
    report_withheld_hours: bool,
    stop_when_depleted: bool | None,
) -> None:
    with install_lock(link.install):
        stored = _require_live(link)
        if stop_when_depleted is not None:
            _set(stored, stop_when_depleted=stop_when_depleted)
            grants.follow_budgets(AccessGrant.objects.filter(link=link))
        if hours_elsewhere not in (None, stored.hours_tracked_elsewhere):
            _set(stored, hours_tracked_elsewhere=hours_elsewhere)
            change = withholding.begin if hours_elsewhere else withholding.end
            change(Contract.objects.filter(links=link))
        if report_withheld_hours:
            withholding.release(Contract.objects.filter(links=link))


def _set(link: ProjectLink, **switches: bool | None) -> None:
    ProjectLink.objects.filter(pk=link.pk).update(**switches, updated_at=timezone.now())


def _require_live(link: ProjectLink) -> ProjectLink:
    """The link as it is stored now. Raises ``OperationRefused`` if it was removed."""
    stored = ProjectLink.objects.live().filter(pk=link.pk).first()
    if stored is None:
        raise OperationRefused(_("The project is no longer linked."))
    return stored
