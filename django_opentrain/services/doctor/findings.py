"""What can be found, and what to do then. ``docs/doctor.md`` has an entry for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final


class Severity(IntEnum):
    """How bad it is; also the exit status of ``opentrain_doctor``."""

    NOTE = 0
    WARNING = 1
    ERROR = 2


#: By the id of each finding: what to do next.
ADVICE: Final[Mapping[str, str]] = {
    # The site
    "database-unreachable": "Start the database, or correct DATABASES. Deliveries are answered 503 and retried.",
    "migrations-missing": "Run: manage.py migrate",
    "check-failed": "See docs/checks.md for this id.",
    "cache-failing": "Fix the cache that CACHES['default'] names. Sessions may depend on it; this package doesn't.",
    "receiver-unreachable": "Let POSTs through to the URL name opentrain:webhook: no login, CSRF token or redirect.",
    "mail-unreachable": "Start the mail server, or correct EMAIL_HOST and the settings beside it (or MAILERS).",
    # Workers
    "broker-unreachable": "Start the broker, or correct its URL. Until then run: manage.py opentrain_work",
    "worker-silent": "Start a worker: celery --app <yours> worker. Until then run: manage.py opentrain_work",
    "beat-silent": "Start celery beat (with our schedule) and a worker, or run opentrain_work from cron.",
    "clock-set-back": "Synchronise the clocks of all machines (NTP). The next sweep shortens what waits.",
    # OpenTrain
    "opentrain-unreachable": "Check BASE_URL, DNS, proxies and firewalls. Nothing is lost: everything is retried.",
    "clock-skewed": "Synchronise this machine's clock (NTP): signatures are refused when it is too far off.",
    "spec-changed": "Run: manage.py opentrain_check_spec. Then look for a newer django-opentrain.",
    "install-refused": "The customer has to connect again: their page and the admin say so.",
    "install-unverified": "Retry later. If it keeps failing, give OpenTrain's support the request id.",
    "scopes-missing": "Let the customer connect again and grant them, or remove them from OPENTRAIN['SCOPES'].",
    "endpoint-missing": "Run: manage.py opentrain_sync. It creates one, and finds what was missed.",
    "endpoint-disabled": "Run: manage.py opentrain_sync. It re-enables the endpoint, and finds what was missed.",
    "endpoint-differs": "Wait for the next check, which moves it, or run: manage.py opentrain_sync",
    "endpoint-failing": "Find the receiver's status codes in the access log; docs/operations.md explains them.",
    # Queued work
    "events-waiting": "Make sure that a worker and beat run. To process them now: manage.py opentrain_work",
    "events-failing": "Fix what their errors say. They are retried automatically, or at once: opentrain_replay --now"
    " --event ID",
    "events-failed": "Fix what their errors say, then run: manage.py opentrain_replay",
    "removal-failing": "This trainer should have no access and still has it. Lock the account by hand, fix the error,"
    " then run: manage.py opentrain_sync",
    "grant-failing": "A trainer waits for access. Fix the error, then run: manage.py opentrain_sync",
    "email-held": "Check them with the customer. Accept them in the admin, or add the domain to WORK_EMAIL_DOMAINS.",
    "removed-by-hand": "Nothing, if that was meant. Give access again on the contract's page, or in the admin.",
    "grant-waiting": "OpenTrain shares no Work Email: check the customer's PII consent and participants:email.",
    "mail-failing": "These trainers have access and can't log in. Fix the error; it is retried automatically.",
    "login-expired": "Find out whether mails reach these trainers. A contract's page can send another link.",
    "usage-uncollected": "Fix the error; it is retried automatically, at most an hour later.",
    "usage-unreported": "Fix the error; it is retried automatically. OpenTrain pays only for reported work.",
    "usage-refused": "Correct these days: a correction is reported automatically.",
    "removals-held": "Review them: manage.py opentrain_sync --dry-run. If they are right, confirm them on the"
    " customer's page, or: manage.py opentrain_sync --confirm-removals --install ID",
    "reconcile-incomplete": "What OpenTrain didn't list could not be compared. Events still work.",
    "reconcile-late": "Make sure that beat runs. To reconcile now: manage.py opentrain_sync",
    "links-unfinished": "Fix the error. They are completed once OpenTrain accepts them.",
    # Stored data
    "retention-due": "Make sure that beat runs the purge each night. To purge now: manage.py opentrain_work",
    "secrets-undecryptable": "Put the lost key back at the end of ENCRYPTION_KEYS. If none is lost, rows were changed"
    " by hand: restore them. Or let these customers reconnect.",
    "secrets-unbound": "Run: manage.py opentrain_rotate_keys",
    "revocation-broken": "Trainers may keep access after it ends. Fix the adapter before the next contract ends.",
    # The doctor itself
    "examination-failed": "This part could not be examined, the others were. Fix the error.",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong. Holds no secret, and no Work Email."""

    #: A key of ``ADVICE``.
    id: str
    severity: Severity
    title: str
    #: What to do next.
    advice: str
    #: What is wrong with each row: a line for each, or for the first ones when there are many.
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
    """Something needs attention."""
    return _finding(Severity.WARNING, name, title, details, advice, data)


def note(
    name: str, title: str, details: Sequence[str] = (), advice: str | None = None, **data: Any
) -> Finding:
    """Something is worth knowing."""
    return _finding(Severity.NOTE, name, title, details, advice, data)


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
