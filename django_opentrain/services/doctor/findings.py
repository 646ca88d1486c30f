"""What can be found, and what to do then. ``docs/reference/doctor.md`` has an entry for each; conditions have
runbooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.functional import Promise

from django_opentrain.services.conditions import CONDITIONS, Severity, runbook
from django_opentrain.services.health import BEAT_SILENT, CLOCK_SET_BACK

#: By the id of each finding that is no condition of rows: what to do next.
_ADVICE: Final[Mapping[str, str]] = {
    # The site
    "database-unreachable": "Start the database, or correct DATABASES. Deliveries are answered 503 and retried.",
    "migrations-missing": "Run: manage.py migrate",
    "check-failed": "See docs/reference/checks.md for this id.",
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
    "install-unverified": "Retry later. If it keeps failing, give OpenTrain's support the request id.",
    "scopes-missing": "Let the customer connect again and grant them, or remove them from OPENTRAIN['SCOPES'].",
    "endpoint-differs": "Wait for the next check, which moves it, or run: manage.py opentrain_sync",
    # Stored data
    "retention-due": "Make sure that beat runs the purge each night. To purge now: manage.py opentrain_work",
    "secrets-undecryptable": "Put the lost key back at the end of ENCRYPTION_KEYS. If none is lost, rows were changed"
    " by hand: restore them. Or let these customers reconnect.",
    "secrets-unbound": "Run: manage.py opentrain_rotate_keys",
    "revocation-broken": "Trainers may keep access after it ends. Fix the adapter before the next contract ends.",
    "left-behind": "Look at each, and remove on this site what the trainers made. It is named for 30 days.",
    # The doctor itself
    "examination-failed": "This part could not be examined, the others were. Fix the error.",
}
#: By the id of each finding, the most basic first: what to do next.
ADVICE: Final[Mapping[str, str | Promise]] = {
    **_ADVICE,
    **{each.name: each.advice for each in CONDITIONS.values()},
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

    @property
    def page(self) -> str:
        """The document that says more."""
        has_runbook = self.id in CONDITIONS or self.id in (BEAT_SILENT, CLOCK_SET_BACK)
        return runbook(self.id) if has_runbook else f"docs/reference/doctor.md#{self.id}"


def error(
    name: str, title: str, details: Sequence[str] = (), advice: str | None = None, **data: Any
) -> Finding:
    """Something is broken."""
    return finding(Severity.ERROR, name, title, details, advice, **data)


def warning(
    name: str, title: str, details: Sequence[str] = (), advice: str | None = None, **data: Any
) -> Finding:
    """Something needs attention."""
    return finding(Severity.WARNING, name, title, details, advice, **data)


def finding(
    severity: Severity,
    name: str,
    title: str,
    details: Sequence[str] = (),
    advice: str | None = None,
    **data: Any,
) -> Finding:
    """A finding with the advice that belongs to its name, unless there is a better one."""
    return Finding(
        id=name,
        severity=severity,
        title=title,
        advice=advice or str(ADVICE[name]),
        details=details,
        data=data,
    )
