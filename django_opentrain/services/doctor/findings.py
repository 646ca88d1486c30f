"""What can be found, and what is to be done then. ``docs/doctor.md`` has an entry for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final


class Severity(IntEnum):
    """How bad it is; also the exit status of ``opentrain_doctor``."""

    WARNING = 1
    ERROR = 2


#: By the id of each finding: what to do next.
ADVICE: Final[Mapping[str, str]] = {
    # The site
    "database-unreachable": "Start the database, or correct DATABASES. Deliveries are answered 503 and repeated.",
    "migrations-missing": "Run: manage.py migrate",
    "check-failed": "See docs/checks.md for this id.",
    "cache-failing": "Mend the cache that CACHES['default'] names. Sessions may depend on it; nothing of ours does.",
    "receiver-unreachable": "Let POSTs through to the URL name opentrain:webhook: no login, CSRF token or redirect.",
    # Workers
    "broker-unreachable": "Start the broker, or correct its URL. Until then run: manage.py opentrain_work",
    "worker-silent": "Start a worker: celery --app <yours> worker. Until then run: manage.py opentrain_work",
    "beat-silent": "Start celery beat (with our schedule) and a worker, or run opentrain_work every minute by cron.",
    # OpenTrain
    "opentrain-unreachable": "Check BASE_URL, DNS, proxies and firewalls. Nothing is lost: all of it is tried again.",
    "clock-skewed": "Synchronise this machine's clock (NTP): signatures are refused when it is too far off.",
    "spec-changed": "Run: manage.py opentrain_check_spec. Then look for a newer django-opentrain.",
    "install-refused": "The customer has to connect again: their page and the admin say so.",
    "install-unverified": "Try again in a while. If it stays, give OpenTrain's support the request id.",
    "scopes-missing": "The customer has to connect again and grant them, or take them out of OPENTRAIN['SCOPES'].",
    "endpoint-missing": "Run: manage.py opentrain_sync. It subscribes one, and finds what was missed.",
    "endpoint-disabled": "Run: manage.py opentrain_sync. It enables the endpoint, and finds what was missed.",
    "endpoint-differs": "Wait for the next check, which moves it, or run: manage.py opentrain_sync",
    "endpoint-failing": "Look for the receiver's answers in the access log, and them up in docs/operations.md.",
    # What waits
    "events-waiting": "See to it that a worker and beat run; at once: manage.py opentrain_work",
    "events-failed": "Mend what their errors say, then run: manage.py opentrain_replay",
    "removal-failing": "Somebody who should be gone still has access. Lock their account by hand, then mend what the"
    " error says, and run: manage.py opentrain_sync",
    "grant-failing": "A trainer waits for access. Mend what the error says, then run: manage.py opentrain_sync",
    "grant-waiting": "OpenTrain tells no Work Email: has the customer given the PII consent, and participants:email?",
    "usage-unreported": "Mend what the error says; it is tried again. OpenTrain pays only for what it was told.",
    "usage-refused": "Correct these days: a change is reported by itself.",
    "removals-held": "Look at them: manage.py opentrain_sync --dry-run. If they are right, confirm them on the"
    " customer's page, or: manage.py opentrain_sync --confirm-removals --install ID",
    "comparison-incomplete": "What could not be seen could not be compared. Events still work.",
    "reconcile-late": "See to it that beat runs; at once: manage.py opentrain_sync",
    "links-unfinished": "Mend what the error says. They are completed once OpenTrain takes them.",
    # What is kept
    "retention-due": "See to it that beat runs the purge each night; at once: manage.py opentrain_work",
    "secrets-undecryptable": "Put the lost key back at the end of ENCRYPTION_KEYS, or let these customers reconnect.",
    "revocation-broken": "Removed trainers may still get in. Mend the adapter before the next contract ends.",
    # The doctor itself
    "examination-failed": "This part could not be examined, the others were. Mend what the error says.",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is not as it should be. Holds no secret, and no Work Email."""

    #: A key of ``ADVICE``.
    id: str
    severity: Severity
    title: str
    #: What to do next.
    advice: str
    #: Which ones, and what is wrong with each; a line for each, and not for all when there are many.
    details: Sequence[str] = ()
    #: For machines: ids, counts, ages in seconds. Serialisable as JSON.
    data: Mapping[str, Any] = field(default_factory=dict)


def error(
    name: str, title: str, details: Sequence[str] = (), advice: str | None = None, **data: Any
) -> Finding:
    """Something is broken."""
    return _finding(Severity.ERROR, name, title, details, advice, data)


def warning(
    name: str, title: str, details: Sequence[str] = (), advice: str | None = None, **data: Any
) -> Finding:
    """Something wants looking at."""
    return _finding(Severity.WARNING, name, title, details, advice, data)


def _finding(
    severity: Severity,
    name: str,
    title: str,
    details: Sequence[str],
    advice: str | None,
    data: Mapping[str, Any],
) -> Finding:
    return Finding(
        id=name, severity=severity, title=title, advice=advice or ADVICE[name], details=details, data=data
    )
