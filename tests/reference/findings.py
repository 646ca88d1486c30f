"""What the doctor can find, from the declarations of conditions and of all else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django_opentrain.services.conditions import CONDITIONS, Condition
from django_opentrain.services.doctor import findings as doctor_findings
from tests.reference.markdown import PACKAGE, comments_of_items, literal, table

#: Alerts with words and a link of their own.
OWN_ALERTS: Final = {"removals-held", "endpoint-disabled"}


def findings(group: str) -> str:
    """An entry for each of the dict of this name, but those with runbooks: what it means, and what to do next."""
    advice: Mapping[str, str] = getattr(doctor_findings, group)
    said = comments_of_items(PACKAGE / "services" / "doctor" / "findings.py", group)
    own = [name for name in advice if doctor_findings.error(name, "").page.endswith(f"doctor.md#{name}")]
    return "\n\n".join(f"### {name}\n\n{said[name]}\n\n→ {literal(advice[name])}" for name in own)


def conditions() -> str:
    """A row for each."""
    return table(
        "Condition", "In the doctor", "Rows", "Customers are alerted", rows=map(_row, CONDITIONS.values())
    )


def _row(condition: Condition) -> tuple[str, ...]:
    return (
        f"[{condition.name}]({condition.name}.md)",
        condition.severity.name.lower() if condition.for_operators else "no",
        f"`{condition.model.__name__}`: {condition.title}",
        "yes" if condition.for_customers or condition.name in OWN_ALERTS else "",
    )
