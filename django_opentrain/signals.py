"""Signals, for any code of the host's that wants to be notified. Decisions are the adapter's.

Each is sent after commit, when what it announces is true. If the process dies in between, it is not sent: what must
not be missed belongs in the adapter. A receiver that raises is logged (by Django, as ``django.dispatch``) and stops
nothing; Celery's soft time limit ends the task there as anywhere else.

The comments are the table of docs/how-to/adapter.md, in Markdown (``tests/reference``).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import models, router, transaction
from django.dispatch import Signal

from django_opentrain.time_limits import soft_time_limit

__all__ = [
    "access_failed",
    "access_granted",
    "access_paused",
    "access_revoked",
    "budget_changed",
    "contract_ended",
    "contract_started",
    "event_received",
    "install_connected",
    "install_revoked",
    "link_created",
    "link_removed",
    "removals_held",
    "usage_refused",
    "work_email_missing",
]

#: A customer's token was captured. Arguments: ``install``.
install_connected = Signal()
#: The install no longer works: revoked on OpenTrain, or disconnected here. Arguments: ``install``.
install_revoked = Signal()
#: A project is linked: OpenTrain has the link. Not again after a reconnect, or when the link is restored.
#: Arguments: ``link``, ``actor``.
link_created = Signal()
#: A project is no longer linked: OpenTrain no longer has the link. Its access ends. Arguments: ``link``,
#: ``actor``.
link_removed = Signal()
#: More removals than before [wait to be confirmed](docs/runbooks/removals-held.md): ``install.removals_held``
#: says how many. Arguments: ``install``.
removals_held = Signal()
#: A contract is found to be active. Arguments: ``contract``.
contract_started = Signal()
#: A contract is found to have ended. Arguments: ``contract``.
contract_ended = Signal()
#: The adapter has granted access. Arguments: ``grant``.
access_granted = Signal()
#: The adapter has revoked access until the contract is funded again. Arguments: ``grant``.
access_paused = Signal()
#: The adapter has revoked access. Arguments: ``grant``.
access_revoked = Signal()
#: The adapter failed to grant or revoke access; it will be retried. Arguments: ``grant``, ``error`` (text).
access_failed = Signal()
#: Access begins to wait, because OpenTrain has no Work Email of the trainer's. Arguments: ``grant``.
work_email_missing = Signal()
#: OpenTrain refused a day's totals (``usage.error`` says why). Not again for the same totals. Arguments:
#: ``usage``.
usage_refused = Signal()
#: A budget crossed a threshold, or was funded. Arguments: ``contract``, ``previous_state``.
budget_changed = Signal()
#: A webhook event took effect, or was ignored. Arguments: ``event``.
event_received = Signal()


def send_on_commit(signal: Signal, sender: type[models.Model], **arguments: Any) -> None:
    """Send once the transaction that surrounds the caller has committed."""
    send = partial(_send, signal, sender, arguments)
    transaction.on_commit(send, using=router.db_for_write(sender))


def _send(signal: Signal, sender: type, arguments: dict[str, Any]) -> None:
    for _receiver, response in signal.send_robust(sender, **arguments):
        if isinstance(response, soft_time_limit()):
            raise response  # of the task, not of the receiver that it hit
