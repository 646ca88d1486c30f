"""What a customer decides about one of their links."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conflicts import retried
from django_opentrain.errors import OperationRefused
from django_opentrain.models import Contract, ProjectLink
from django_opentrain.services.linking import generations
from django_opentrain.services.usage import withholding
from django_opentrain.services.workers.locks import install_lock, reread


def configure(
    link: ProjectLink,
    *,
    hours_tracked_elsewhere: bool | None = None,
    report_withheld_hours: bool = False,
) -> ProjectLink:
    """Set a link's switches; None leaves one as it is. Returns the link, after a reconnect the one that continues it.

    With ``hours_tracked_elsewhere`` its contracts' days are reported without hours. Once it is off, the days until
    then stay so, unless ``report_withheld_hours`` asks for them. Raises ``OperationRefused`` if the link was removed,
    ``BusyError`` if another install takes it over at this moment.
    """
    reread(link)
    link = generations.current(link)
    _set_hours(link, hours_tracked_elsewhere, report_withheld_hours=report_withheld_hours)
    link.refresh_from_db()
    return link


@retried
def _set_hours(link: ProjectLink, on: bool | None, *, report_withheld_hours: bool) -> None:
    with install_lock(link.install):
        was_on, contracts = _require_live(link).hours_tracked_elsewhere, Contract.objects.filter(links=link)
        is_on = was_on if on is None else on
        if is_on != was_on:
            ProjectLink.objects.filter(pk=link.pk).update(
                hours_tracked_elsewhere=is_on, updated_at=timezone.now()
            )
            change = withholding.begin if is_on else withholding.end
            change(contracts)
        if report_withheld_hours and not is_on:
            withholding.release(contracts)


def _require_live(link: ProjectLink) -> ProjectLink:
    """The link as it is stored now. Raises ``OperationRefused`` if it was removed."""
    stored = ProjectLink.objects.live().filter(pk=link.pk).first()
    if stored is None:
        raise OperationRefused(_("The project is no longer linked."))
    return stored
