"""One examination: all parts, in the order in which they depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django_opentrain.platform.redaction import describe
from django_opentrain.services.doctor import backlog, opentrain, retention, site, workers
from django_opentrain.services.doctor.findings import ADVICE, Finding, error

Part = Callable[[], Iterable[Finding]]

LOCAL: tuple[Part, ...] = (
    site.system_checks,
    site.cache,
    site.receiver,
    site.mail_server,
    workers.broker_and_workers,
    workers.sweeps,
    backlog.conditions,
    retention.retention,
    retention.secrets,
    retention.revocation,
    retention.left_behind,
)


def examine(*, offline: bool = False, progress: Callable[[str], None] = lambda _part: None) -> list[Finding]:
    """Everything that is wrong, the worst first. ``offline``: without asking OpenTrain.

    Changes nothing but the time and error of an install's last call. ``progress`` is called with each part's name.
    """
    broken = [*_part(site.database, progress)]
    if broken:
        return broken  # nothing else can be examined
    parts = LOCAL if offline else (*LOCAL, opentrain.opentrain)
    findings = [each for part in parts for each in _part(part, progress)]
    order = list(ADVICE)
    return sorted(findings, key=lambda each: (-each.severity, order.index(each.id)))


def _part(part: Part, progress: Callable[[str], None]) -> list[Finding]:
    name = part.__name__.replace("_", " ")
    progress(name)
    findings: list[Finding] = []
    try:
        findings.extend(part())
    except Exception as problem:  # noqa: BLE001 - anything may be broken, and the other parts have to be examined
        findings.append(
            error("examination-failed", f"Could not examine: {name}. {describe(problem)}", part=name)
        )
    return findings
