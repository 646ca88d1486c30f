"""Creating and removing project links on OpenTrain, so that a lost response never causes a second one.

The row is written before the call. If there is no response, the link is looked up (OpenTrain allows one per project)
and adopted, or the next reconciliation retries the call.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.adapters import get_adapter
from django_opentrain.adapters.base import exact_text
from django_opentrain.conflicts import retried
from django_opentrain.errors import (
    BusyError,
    LinkConflict,
    LinkError,
    ReconnectRequired,
    ServiceError,
    UndecryptableError,
)
from django_opentrain.explanations import Reason
from django_opentrain.models import Contract, Install, ProjectLink
from django_opentrain.platform import catalog
from django_opentrain.platform.errors import Conflict, NotFound, OpenTrainAPIError, OpenTrainError
from django_opentrain.platform.resources import ProjectLinkInfo
from django_opentrain.services.linking import generations, jobs, records
from django_opentrain.services.usage import runs
from django_opentrain.services.workers import retries
from django_opentrain.services.workers.locks import install_lock, lease, lock_all, reread
from django_opentrain.transactions import atomic, durable

logger = logging.getLogger(__name__)


@durable
def link(
    install: Install,
    external_project_id: str,
    job_id: str | None = None,
    name: str | None = None,
    url: str | None = None,
    provisioning_mode: str = catalog.PARTNER_WEBHOOK,
) -> ProjectLink:
    """Link one of the tenant's projects to one of the customer's OpenTrain jobs, named by its id or its URL there.

    Link before hiring: OpenTrain sends no events for contracts that started earlier (the reconciliation that follows
    reads them once). If the link is returned PENDING, OpenTrain didn't answer in time, and the workers complete it.
    Raises ``LinkConflict``, ``LinkError``, ``ReconnectRequired``, ``BusyError``, ``UndecryptableError``,
    ``AdapterError``, or the ``OpenTrainError`` with which OpenTrain refused.
    """
    if not install.is_live:
        raise ReconnectRequired
    job_id = jobs.job_id(job_id or "")
    external_project_id = exact_text(external_project_id, "external_project_id")
    project = get_adapter().get_project(install.tenant, external_project_id)
    if project is None:
        raise LinkError(_("That project is not one of yours."))
    if provisioning_mode not in catalog.PROVISIONING_MODES:
        raise LinkError(_("Unknown provisioning mode."), field="provisioning_mode")
    try:
        row = _insert(
            install,
            external_project_id=external_project_id,
            external_project_name=(name or project.name)[: catalog.MAX_EXTERNAL_PROJECT_NAME],
            external_project_url=url or project.url,
            job_id=job_id,
            provisioning_mode=provisioning_mode,
        )
    except IntegrityError:
        raise _conflict(install, external_project_id) from None
    return _create_now(row)


@retried
def _insert(install: Install, **values: str) -> ProjectLink:
    with atomic():
        # All of the customer's: another connection may be linking the same project now.
        lock_all(Install.objects.filter(tenant=install.tenant))
        with install_lock(install):
            _refuse_second_connection(install, values["external_project_id"])
            return ProjectLink.objects.create(install=install, **values)


def _refuse_second_connection(install: Install, external_project_id: str) -> None:
    """A tenant may have several OpenTrain organizations; a project belongs to one: whose trainers work in it pays.

    A link that is being removed gives no access any more, also where OpenTrain can't be notified of it.
    """
    others = ProjectLink.objects.live().filter(
        install__tenant=install.tenant,
        install__status__in=Install.LIVE,
        external_project_id=external_project_id,
        removal_requested_at=None,
    )
    other = others.exclude(install=install).select_related("install").first()
    if other is not None:
        text = _("This project is linked through another connection, %(connection)s. Unlink it there first.")
        raise LinkConflict(text % {"connection": other.install.opentrain_id})


def _conflict(install: Install, external_project_id: str) -> ServiceError:
    live = ProjectLink.objects.live()
    existing = live.filter(install=install, external_project_id=external_project_id).first()
    if existing is None:
        return BusyError()  # it went in the meantime
    if existing.removal_requested_at:
        return LinkConflict(_("The old link of this project is still being removed. Try again in a minute."))
    if existing.job_id:
        text = _("This project is linked to job %(job)s already. Unlink it first.")
        return LinkConflict(text % {"job": existing.job_id})
    return LinkConflict(_("This project is linked already. Unlink it first."))


def _create_now(row: ProjectLink) -> ProjectLink:
    """The first attempt, while the caller waits: a definite refusal leaves no row."""
    try:
        complete(row)
    except (LinkConflict, OpenTrainError, UndecryptableError) as error:
        if not _is_definite(error):
            retries.request_reconcile(row.install)
            return row
        # Only an unchanged row: deleting one with grants would delete the record of access.
        ProjectLink.objects.filter(pk=row.pk, opentrain_id=None).delete()
        raise
    retries.request_reconcile(row.install)
    return row


def _is_definite(error: Exception) -> bool:
    """Whether OpenTrain has refused, and a retry would not change that; or nothing was sent."""
    if isinstance(error, OpenTrainAPIError):
        return error.from_opentrain and 400 <= error.status < 500 and error.status != 429
    return isinstance(error, (ValueError, UndecryptableError))


def complete(row: ProjectLink, existing: Sequence[ProjectLinkInfo] | None = None) -> ProjectLink:
    """Create a PENDING link on OpenTrain, or adopt the one that an unanswered attempt has created.

    ``existing`` is OpenTrain's list, if the caller has it. Raises ``LinkConflict`` or ``OpenTrainError``, which
    is also stored as the row's ``last_error``.
    """
    try:
        info = _find(row, existing) if existing is not None else None
        _adopt(row, info or _create(row))
    except (LinkConflict, OpenTrainError) as error:
        _keep_error(row, error)
        raise
    return row


def _keep_error(row: ProjectLink, error: Exception) -> None:
    # Not save(): a concurrent attempt that was refused may have deleted the row.
    reason = Reason.of(error)
    reason.put(row, "last_error")
    ProjectLink.objects.filter(pk=row.pk).update(**reason.columns("last_error"), updated_at=timezone.now())


def _create(row: ProjectLink) -> ProjectLinkInfo:
    try:
        return row.install.client.create_project_link(
            external_project_id=row.external_project_id,
            external_project_name=row.external_project_name or None,
            external_project_url=row.external_project_url or None,
            job_id=row.job_id or None,
            provisioning_mode=row.provisioning_mode,
        )
    except OpenTrainError as error:
        if not (error.outcome_unknown or isinstance(error, Conflict)):
            raise
        info = _find(row, row.install.client.list_project_links())
        if info is None:
            raise
        return info


def _find(row: ProjectLink, existing: Sequence[ProjectLinkInfo]) -> ProjectLinkInfo | None:
    """OpenTrain's link of this project. Raises ``LinkConflict`` if it is to another job than ours."""
    for info in existing:
        if info.external_project_id == row.external_project_id:
            if row.job_id and info.job_id and info.job_id != row.job_id:
                raise LinkConflict(
                    _("On OpenTrain this project is linked to job %(job)s already.") % {"job": info.job_id}
                )
            return info
    return None


@retried
def _adopt(row: ProjectLink, info: ProjectLinkInfo) -> None:
    with atomic():
        adopted = records.save(row.install, info)
    if adopted is None or adopted.pk != row.pk:
        raise LinkConflict(
            _("Another link of this project exists on OpenTrain. This will be resolved automatically.")
        )
    row.refresh_from_db()


@durable
def unlink(link: ProjectLink, cause: str = "operator") -> ProjectLink:
    """Remove a link. The access that it gave ends in any case, even while OpenTrain can't be reached.

    The usage that is still due is reported first. While a worker holds this customer's lease, the removal is left to
    it. Raises ``OpenTrainError`` or ``UndecryptableError`` if OpenTrain could not be notified yet: the workers retry.
    Raises ``BusyError``, and does nothing, if another install is taking the link over.
    """
    reread(link)
    link = generations.current(link)
    records.request_removal(link, f"{cause}: project unlinked")
    reread(link)
    if not link.install.is_live:
        records.mark_removed(link, f"{cause}: project unlinked")
        link.refresh_from_db()
        return link
    with lease(link.install.pk) as held:
        return link if held is None else finish_removal(link, cause)


def finish_removal(row: ProjectLink, cause: str = "operator") -> ProjectLink:
    """Delete on OpenTrain a link whose removal was requested; one that no longer exists there is fine.

    Callers hold the install's lease.
    """
    try:
        if row.install.has_scope(catalog.USAGE_WRITE):
            runs.report_last(Contract.objects.filter(links=row))
        if row.opentrain_id is None:
            _delete_unanswered(row)
        else:
            row.install.client.delete_project_link(row.opentrain_id)
    except OpenTrainError as error:
        if not (isinstance(error, NotFound) and error.from_opentrain):
            _keep_error(row, error)
            raise
        logger.info(
            "Project link %s no longer existed on OpenTrain.", row.opentrain_id, extra=row.install.log_fields
        )
    records.mark_removed(row, f"{cause}: project unlinked")
    row.refresh_from_db()
    return row


def _delete_unanswered(row: ProjectLink) -> None:
    """A link whose creation was not answered may exist nevertheless. One to another job is not ours to delete."""
    client = row.install.client
    for info in client.list_project_links():
        if (info.external_project_id, info.job_id) == (row.external_project_id, row.job_id):
            client.delete_project_link(info.id)
