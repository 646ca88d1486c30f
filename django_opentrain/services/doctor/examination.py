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
    workers.broker_and_workers,
    workers.sweeps,
    backlog.events,
    backlog.grants,
    backlog.usage_reports,
    backlog.reconciliation,
    backlog.links,
    retention.retention,
    retention.secrets,
    retention.revocation,
)


def examine(*, offline: bool = False, progress: Callable[[str], None] = lambda _part: None) -> list[Finding]:
    """Everything that is wrong, the worst first. ``offline``: without asking OpenTrain.

    Changes nothing but what an install's row says of its last call. ``progress`` is told each part's name.
    """
    broken = [*_part(site.database, progress)]
    if broken:
        return broken  # nothing else can be asked
    parts = LOCAL if offline else (*LOCAL, opentrain.opentrain)
    found = [each for part in parts for each in _part(part, progress)]
    order = list(ADVICE)
    return sorted(found, key=lambda each: (-each.severity, order.index(each.id)))


def _part(part: Part, progress: Callable[[str], None]) -> list[Finding]:
    name = part.__name__.replace("_", " ")
    progress(name)
    found: list[Finding] = []
    try:
        found.extend(part())
    except Exception as problem:  # noqa: BLE001 - the patient may be ill in any way, and the doctor has to go on
        found.append(
            error("examination-failed", f"Could not examine: {name}. {describe(problem)}", part=name)
        )
    return found
