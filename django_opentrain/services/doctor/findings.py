"""What can be found, what it means, and what to do then. Conditions have runbooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.functional import Promise

from django_opentrain.services.conditions import CONDITIONS, Severity, runbook
from django_opentrain.services.health import BEAT_SILENT, CLOCK_SET_BACK

# What to do next, by the id of each finding that is no condition of rows. The comment above it says what it means,
# in Markdown: both are its entry in docs/reference/doctor.md. Those of the schedule have runbooks.

SITE: Final[Mapping[str, str]] = {
    #: The database refuses connections or can't be reached.
    "database-unreachable": "Start the database, or correct DATABASES. Deliveries are answered 503 and retried.",
    #: The package is newer than the tables.
    "migrations-missing": "Run: manage.py migrate",
    #: A system check fails; its id is in the data. Silenced ones are not reported.
    "check-failed": "See docs/reference/checks.md for this id.",
    #: The default cache raises an error.
    "cache-failing": "Fix the cache that CACHES['default'] names. Sessions may depend on it; this package doesn't.",
    #: A delivery was sent through your middleware, within the process, and didn't reach the receiver. The
    #: status says what stopped it: 302 a login or a redirect to https, 403 a CSRF check, 400 a host that
    #: `ALLOWED_HOSTS` lacks. Proxies in front of Django are not tested.
    "receiver-unreachable": "Let POSTs through to the URL name opentrain:webhook: no login, CSRF token or redirect.",
    #: The mail server that your settings name can't be reached, doesn't answer within 10 seconds, or refuses
    #: the login: no trainer gets the link for their first login.
    "mail-unreachable": "Start the mail server, or correct EMAIL_HOST and the settings beside it (or MAILERS).",
}
WORKERS: Final[Mapping[str, str]] = {
    #: Celery's broker refuses connections, or didn't answer within five seconds. Events wait, and a sweep
    #: finds them when it is back.
    "broker-unreachable": "Start the broker, or correct its URL. Until then run: manage.py opentrain_work",
    #: No worker answers; what beat answers doesn't count. It is a warning while sweeps continue: a worker
    #: with a single thread doesn't answer while it is busy. Workers can't be asked if your broker has no
    #: broadcast (SQS, or a database, as doccano's by default), or if Celery's `worker_enable_remote_control`
    #: is `False`.
    "worker-silent": "Start a worker: `celery --app <yours> worker`. Until then run: manage.py opentrain_work",
    "beat-silent": "Start celery beat (with our schedule) and a worker, or run opentrain_work from cron.",
    "clock-set-back": "Synchronise the clocks of all machines (NTP). The next sweep shortens what waits.",
}
OPENTRAIN: Final[Mapping[str, str]] = {
    #: OpenTrain's address doesn't answer from this machine, or its API fails. The title has the address, or
    #: the error and its request id.
    "opentrain-unreachable": "Check BASE_URL, DNS, proxies and firewalls. Nothing is lost: everything is retried.",
    #: OpenTrain's `Date` header and this machine's clock differ by more than 30 seconds; an error from
    #: `SIGNATURE_TOLERANCE` on, when signatures are refused.
    "clock-skewed": "Synchronise this machine's clock (NTP): signatures are refused when it is too far off.",
    #: OpenTrain's published OpenAPI document differs from what this package sends and reads: something breaks
    #: (an error) or is new (a warning); or it can't be compared.
    "spec-changed": "Run: manage.py opentrain_check_spec. Then look for a newer django-opentrain.",
    #: OpenTrain failed, or limits our calls for this customer, so its status is unknown.
    "install-unverified": "Retry later. If it keeps failing, give OpenTrain's support the request id.",
    #: The customer granted less than `SCOPES` asks for, or gave no PII consent though `participants:email` is
    #: among them.
    "scopes-missing": "Let the customer connect again and grant them, or remove them from OPENTRAIN['SCOPES'].",
    #: The endpoint has another address than `PUBLIC_URL`, or (a warning) subscribes to other events than
    #: `EVENT_TYPES`.
    "endpoint-differs": "Wait for the next check, which moves it, or run: manage.py opentrain_sync",
}
STORED: Final[Mapping[str, str]] = {
    #: Event bodies or personal data are kept more than two days longer than `EVENT_RETENTION_DAYS` and
    #: `PII_RETENTION_DAYS` promise.
    "retention-due": "Make sure that beat runs the purge each night. To purge now: manage.py opentrain_work",
    #: Some of the newest values that are still needed (200 of each encrypted column are tried; not bodies of
    #: processed events, nor secrets of endpoints that are refused) can't be decrypted with any of
    #: `ENCRYPTION_KEYS`, or were encrypted for another row.
    "secrets-undecryptable": "Put the lost key back at the end of ENCRYPTION_KEYS. If none is lost, rows were changed"
    " by hand: restore them. Or let these customers reconnect.",
    #: Some of the oldest values (200 of each encrypted column are tried) were encrypted by a version that
    #: didn't bind them to their row: anyone who can write to the database could copy them to another row.
    "secrets-unbound": "Run: manage.py opentrain_rotate_keys",
    #: The adapter's `check_revocation()` gave a canary account access, revoked it, and the account still gets
    #: in; or granting or revoking raised an error, for example because a token may create users but not
    #: remove them.
    "revocation-broken": "Trainers may keep access after it ends. Fix the adapter before the next contract ends.",
    #: A note: while trainers had access that has ended since, things were made on this site that outlast it,
    #: such as webhooks, and accounts that joined. Who made them isn't known: they may be yours. Where the
    #: [adapter](docs/how-to/adapter.md#the-methods) has `left_behind`, it is asked for 30 days after the end;
    #: when access ends, they are logged as well.
    "left-behind": "Look at each, and remove on this site what the trainers made. It is named for 30 days.",
}
DOCTOR: Final[Mapping[str, str]] = {
    #: One part raised an error, which is in the title. What it found before that, and the other parts, are
    #: reported.
    "examination-failed": "This part could not be examined, the others were. Fix the error.",
}
#: By the id of each finding, the most basic first: what to do next.
ADVICE: Final[Mapping[str, str | Promise]] = {
    **SITE,
    **WORKERS,
    **OPENTRAIN,
    **STORED,
    **DOCTOR,
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
