"""Webhook endpoints: one that works for each install.

Source: OpenTrain's documentation, "Webhook endpoints". Only the response to the creation has the secret: an endpoint
whose response was lost is deleted and created again. All of this happens with the install's lease held.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from django.db.models import DateTimeField, Exists, OuterRef, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.conf import conf
from django_opentrain.conflicts import statements_retried
from django_opentrain.errors import BusyError, OperationRefused, UndecryptableError
from django_opentrain.explanations import NO_REASON, Reason
from django_opentrain.fields import encrypted
from django_opentrain.models import Install, WebhookEndpoint
from django_opentrain.models.webhooks import WebhookEndpointQuerySet
from django_opentrain.platform import catalog
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import NotFound, OpenTrainError
from django_opentrain.platform.resources import Redelivery, WebhookEndpointInfo
from django_opentrain.services.workers import failures, retries, turns
from django_opentrain.services.workers.locks import exclusive_lease, reread
from django_opentrain.time_limits import soft_time_limit
from django_opentrain.transactions import durable

logger = logging.getLogger(__name__)

Status = WebhookEndpoint.Status

#: How long deliveries are accepted of an endpoint that was replaced or removed: OpenTrain's last retry comes 156
#: minutes after the first attempt.
RETIREMENT: Final = timedelta(hours=3)


# On request -----------------------------------------------------------------------------------


@durable
def subscribe(install: Install) -> WebhookEndpoint:
    """Ensure that the install has a working endpoint.

    Raises ``BusyError``, ``ReconnectRequired``, ``UndecryptableError`` or ``OpenTrainError``.
    """
    with exclusive_lease(install):
        return ensure(install)


@durable
def rotate_secret(endpoint: WebhookEndpoint, *, compromised: bool = False) -> WebhookEndpoint:
    """Replace an endpoint by one with a new secret; returns the new one.

    OpenTrain can't change a secret, so this makes a second endpoint. Both are accepted until the old one's retries
    are over; an event that comes through both takes effect once. With ``compromised``, nothing that is signed with
    the old secret takes effect from now on, even if the new endpoint can't be created now: a reconciliation finds
    what is lost with it. Raises ``BusyError``, ``ReconnectRequired``, ``UndecryptableError``, ``OpenTrainError``, or
    ``OperationRefused`` for one that is being replaced.
    """
    if compromised:
        return _replace_compromised(endpoint)
    with _alone(endpoint):
        if endpoint.status == Status.RETIRING:
            raise OperationRefused(_("This endpoint is being replaced already."))
        successor = _create(endpoint.install)
        _retire(endpoint)
        return successor


def _replace_compromised(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    now = timezone.now()
    # Before anything that may have to wait or can fail.
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        status=Status.REMOVED,
        secret=None,
        compromised_at=now,
        retire_at=now,
        updated_at=now,
        **Reason.note(_("Its secret was compromised.")).columns("last_error"),
    )
    logger.warning(
        "The secret of webhook endpoint %s is compromised: it is refused.",
        endpoint.key,
        extra=endpoint.install.log_fields,
    )
    retries.request_reconcile(endpoint.install)
    with exclusive_lease(endpoint.install):
        return ensure(endpoint.install)


@durable
def recover(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Re-enable an endpoint, have its failed deliveries sent again, and reconcile to find what was missed.

    Raises ``BusyError``, ``ReconnectRequired``, ``UndecryptableError``, ``OpenTrainError``, or ``OperationRefused``
    for one that OpenTrain hasn't confirmed.
    """
    with _alone(endpoint):
        _recover(endpoint)
    return endpoint


@durable
def pause(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """An operator disables an endpoint on purpose: it is not re-enabled automatically.

    Raises ``BusyError``, ``ReconnectRequired``, ``UndecryptableError``, ``OpenTrainError``, or ``OperationRefused``
    for one that OpenTrain hasn't confirmed.
    """
    with _alone(endpoint):
        before = endpoint.status
        # First here: who disabled an endpoint, OpenTrain doesn't say, and what it disabled itself is re-enabled.
        _mark_paused(endpoint, Status.PAUSED)
        try:
            info = endpoint.install.client.update_webhook_endpoint(
                endpoint.opentrain_id, status=catalog.ENDPOINT_DISABLED
            )
        except OpenTrainError as error:
            if not error.outcome_unknown:
                _mark_paused(endpoint, before)
            raise
        _remember(endpoint, info, Status.PAUSED)
    return endpoint


def _mark_paused(endpoint: WebhookEndpoint, status: str) -> None:
    rows = WebhookEndpoint.objects.live().exclude(status=Status.RETIRING)
    rows.filter(pk=endpoint.pk).update(status=status, updated_at=timezone.now())


@durable
def redeliver(endpoint: WebhookEndpoint, delivery_id: str | None = None) -> Redelivery:
    """Have the failed deliveries, or the one that is named, sent again.

    Raises ``BusyError``, ``ReconnectRequired``, ``UndecryptableError``, ``OpenTrainError``, or ``OperationRefused``
    for an endpoint that is off.
    """
    with _alone(endpoint):
        if endpoint.status not in (Status.ACTIVE, Status.RETIRING):
            raise OperationRefused(_("OpenTrain redelivers only to an active endpoint: re-enable it."))
        return endpoint.install.client.redeliver(endpoint.opentrain_id, delivery_id)


@contextmanager
def _alone(endpoint: WebhookEndpoint) -> Iterator[None]:
    """Hold the lease of the endpoint's install, with both as they are by now.

    Raises as ``exclusive_lease``, and ``OperationRefused`` for an endpoint that OpenTrain doesn't know.
    """
    with exclusive_lease(endpoint.install):
        reread(endpoint)
        if endpoint.status == Status.REMOVED:
            raise BusyError
        if not endpoint.opentrain_id:
            raise OperationRefused(_("OpenTrain hasn't confirmed this endpoint yet."))
        yield


# Keeping one working --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What OpenTrain lists for an install, and what is stored of it."""

    install: Install
    remote: Mapping[str, WebhookEndpointInfo]
    rows: Sequence[WebhookEndpoint]

    @property
    def is_own(self) -> bool:
        """Whether it is proven to be this install's: one of its endpoints is listed, and no one else has that."""
        return any(row.opentrain_id in self.remote for row in self.rows if row.opentrain_id)


def look(install: Install, client: PlatformClient) -> Listing:
    """List the install's endpoints. Raises ``OpenTrainError``."""
    remote = {info.id: info for info in client.list_webhook_endpoints()}
    rows = list(WebhookEndpoint.objects.filter(install=install).order_by("pk"))
    for row in rows:
        row.install = install
    return Listing(install=install, remote=remote, rows=rows)


def ensure(install: Install) -> WebhookEndpoint:
    """Compare with OpenTrain's list and fix what differs. Raises ``OpenTrainError``."""
    return repair(look(install, install.client))


def repair(listing: Listing) -> WebhookEndpoint:
    """Fix what differs; returns the endpoint that works now. Raises ``OpenTrainError``."""
    _note_foreign(listing)
    _remove_strays(listing)
    working = None
    for endpoint in (row for row in listing.rows if row.status not in (Status.PENDING, Status.REMOVED)):
        info = listing.remote.get(endpoint.opentrain_id)
        if info is None:
            _mark_removed(endpoint, _("It no longer existed on OpenTrain."))
        elif endpoint.status == Status.RETIRING:
            _finish_retirement(endpoint)
        elif not _has_secret(endpoint):
            _delete(endpoint)
        elif working is None:
            working = endpoint
            _repair(endpoint, info)
        else:
            _retire(endpoint)
    return working or _create(listing.install)


@statements_retried()
def check_all(*, doubtful: bool = False, stopping: Callable[[], bool] = bool) -> int:
    """Check and repair the endpoints of every callable install, until ``stopping()`` is true.

    With ``doubtful``, only those of which our rows say that there is something to do: each reconciliation looks at
    the others. Returns how many installs were checked.
    """
    installs, checked = Install.objects.callable_at(timezone.now()), 0
    for install in (installs.filter(_doubtful()) if doubtful else installs).order_by("pk"):
        if stopping():
            break
        if not install.has_scope(catalog.WEBHOOKS_MANAGE):
            continue
        try:
            subscribe(install)
        except BusyError:
            continue
        except soft_time_limit():
            raise
        except Exception as error:  # noqa: BLE001 - no failure of one customer's may delay other customers
            failures.log_failure(logger, "Checking the endpoints of", install, error)
        checked += 1
    return checked


def _doubtful() -> Q:
    """Installs without a working endpoint, with another one, or whose endpoint has the site's former URL."""
    endpoints = WebhookEndpoint.objects.live().filter(install=OuterRef("pk"))
    right = Q(url__startswith=_receiver_prefix())
    # One that a person has paused stays so.
    doubtful = endpoints.exclude(WebhookEndpoint.WORKING & right).exclude(right, status=Status.PAUSED)
    return ~Q(Exists(endpoints)) | Q(Exists(doubtful))


def _note_foreign(listing: Listing) -> None:
    """Remember the other sites at which this install has endpoints: then they use its token, too.

    A URL that was ours until ``PUBLIC_URL`` changed is none of theirs. Of theirs only the origin is kept: a path can
    hold a secret.
    """
    install = listing.install
    known = {row.opentrain_id: row.url for row in listing.rows}
    here = f"{conf.public_url}/"
    foreign = {
        "{0.scheme}://{0.netloc}".format(urlsplit(info.url))
        for info in listing.remote.values()
        if not info.url.startswith(here) and info.url != known.get(info.id)
    }
    if foreign == set(install.foreign_endpoints):
        return
    if foreign:
        logger.warning(
            "OpenTrain lists webhook endpoints of this connection at other sites: %s.",
            ", ".join(sorted(foreign)),
            extra=install.log_fields,
        )
    install.foreign_endpoints = sorted(foreign)
    Install.objects.filter(pk=install.pk).update(foreign_endpoints=install.foreign_endpoints)


def _remove_strays(listing: Listing) -> None:
    """Delete endpoints of ours without a live row here: usually the response to their creation was lost."""
    own = {row.opentrain_id for row in listing.rows if row.status != Status.REMOVED}
    known = {row.opentrain_id for row in listing.rows}
    ours = _receiver_prefix()
    for info in listing.remote.values():
        if info.id not in own and (info.id in known or info.url.startswith(ours)):
            listing.install.client.delete_webhook_endpoint(info.id)
    for endpoint in (row for row in listing.rows if row.status == Status.PENDING):
        _mark_removed(endpoint, _("OpenTrain didn't answer its creation."))


def _receiver_prefix() -> str:
    blank = WebhookEndpoint()
    return blank.expected_url.split(str(blank.key))[0]


def _has_secret(endpoint: WebhookEndpoint) -> bool:
    try:
        return bool(endpoint.secret)
    except UndecryptableError:
        return False


def _create(install: Install) -> WebhookEndpoint:
    endpoint = WebhookEndpoint(install=install, event_types=list(conf.event_types))
    endpoint.url = endpoint.expected_url
    endpoint.save()
    try:
        created = install.client.create_webhook_endpoint(url=endpoint.url, event_types=endpoint.event_types)
    except OpenTrainError as error:
        if error.outcome_unknown:
            WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
                **Reason.of(error).columns("last_error"), updated_at=timezone.now()
            )
        else:
            endpoint.delete()
        raise
    endpoint.secret = created.secret
    _remember(endpoint, created.endpoint, Status.ACTIVE, secret=encrypted(endpoint, "secret"))
    # What happened before it was there is sent to no one, and found only by lists that are read from now on.
    turns.distrust(install)
    retries.request_reconcile(install)
    return endpoint


def _repair(endpoint: WebhookEndpoint, info: WebhookEndpointInfo) -> None:
    client = endpoint.install.client
    wanted_url, wanted_types = endpoint.expected_url, conf.event_types
    if info.url != wanted_url or set(info.event_types) != set(wanted_types):
        info = client.update_webhook_endpoint(info.id, url=wanted_url, event_types=list(wanted_types))
        turns.distrust(endpoint.install)
    disabled = info.status == catalog.ENDPOINT_DISABLED
    if disabled and endpoint.status not in (Status.PAUSED, Status.DISABLED):
        logger.error(
            "Webhook endpoint %s is disabled on OpenTrain: re-enabling it. [endpoint-disabled]",
            endpoint.key,
            extra=endpoint.install.log_fields,
        )
        _remember(endpoint, info, Status.DISABLED)
        turns.distrust_all()
    if endpoint.status == Status.DISABLED:
        # Even if it is active again: its recovery was interrupted before the failed deliveries were sent again.
        _recover(endpoint)
    else:
        _remember(endpoint, info, Status.PAUSED if disabled else Status.ACTIVE)


def _recover(endpoint: WebhookEndpoint) -> None:
    """In this order: OpenTrain redelivers only to an active endpoint."""
    client = endpoint.install.client
    info = client.update_webhook_endpoint(endpoint.opentrain_id, status=catalog.ENDPOINT_ACTIVE)
    client.redeliver(endpoint.opentrain_id)
    turns.distrust(endpoint.install)
    retries.request_reconcile(endpoint.install)
    _remember(endpoint, info, Status.ACTIVE)


def _remember(endpoint: WebhookEndpoint, info: WebhookEndpointInfo, status: str, **more: object) -> None:
    """Save the endpoint as OpenTrain has it. One that is being replaced stays so."""
    values = {
        "opentrain_id": info.id,
        "url": info.url or endpoint.url,
        "event_types": list(info.event_types) or endpoint.event_types,
        "consecutive_failures": info.consecutive_failures,
        "disabled_at": info.disabled_at,
        "disabled_reason": info.disabled_reason,
        "status": Status.RETIRING if endpoint.status == Status.RETIRING else status,
        "checked_at": timezone.now(),
        **NO_REASON.columns("last_error"),
        "updated_at": timezone.now(),
        **more,
    }
    # A reconnect waits for no lease: an endpoint that it has removed stays removed.
    if not WebhookEndpoint.objects.live().filter(pk=endpoint.pk).update(**values):
        endpoint.refresh_from_db(fields=list(values))
        return
    for name, value in values.items():
        if name not in more:
            setattr(endpoint, name, value)


def _retire(endpoint: WebhookEndpoint) -> None:
    WebhookEndpoint.objects.live().filter(pk=endpoint.pk).update(
        status=Status.RETIRING, retire_at=timezone.now() + RETIREMENT, updated_at=timezone.now()
    )


def _finish_retirement(endpoint: WebhookEndpoint) -> None:
    if endpoint.retire_at is None or endpoint.retire_at <= timezone.now():
        _delete(endpoint)
        retries.request_reconcile(endpoint.install)


def _delete(endpoint: WebhookEndpoint) -> None:
    try:
        endpoint.install.client.delete_webhook_endpoint(endpoint.opentrain_id)
    except NotFound as error:
        if not error.from_opentrain:
            raise
        logger.info(
            "Webhook endpoint %s no longer existed on OpenTrain.",
            endpoint.key,
            extra=endpoint.install.log_fields,
        )
    _mark_removed(endpoint, "")


def _mark_removed(endpoint: WebhookEndpoint, reason: str) -> None:
    _end(WebhookEndpoint.objects.filter(pk=endpoint.pk), **Reason.note(reason).columns("last_error"))


def give_up(install: Install) -> None:
    """A reconnect has ended the install, and its endpoints at OpenTrain with it."""
    _end(WebhookEndpoint.objects.live().filter(install=install))


def _end(endpoints: WebhookEndpointQuerySet, **more: object) -> None:
    # The rows stay, with their secrets: events hang on them, and deliveries that are on their way are still taken. Of
    # one that was replaced, for as long as was said then.
    now = timezone.now()
    retire_at = Coalesce("retire_at", Value(now + RETIREMENT, output_field=DateTimeField()))
    endpoints.update(status=Status.REMOVED, retire_at=retire_at, updated_at=now, **more)


def remove_all(install: Install) -> None:
    """Delete every endpoint of an install that is being disconnected. Raises ``OpenTrainError``."""
    if WebhookEndpoint.objects.filter(install=install, status=Status.PENDING).exists():
        _remove_strays(look(install, install.client))
    for endpoint in WebhookEndpoint.objects.live().filter(install=install).exclude(opentrain_id=""):
        _delete(endpoint)
