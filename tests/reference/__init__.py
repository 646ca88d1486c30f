"""What the documents list of the code: settings, checks, commands, hooks, … To renew all of it:

DJANGO_SETTINGS_MODULE=tests.settings python -m django shell -c "from tests.reference import renew; renew()"

A page says in comments where such a part begins and ends; what is outside of them was written by hand::

    <!-- made from the code: settings -->
    …
    <!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tests.reference import api, checks
from tests.reference.code import reference
from tests.reference.commands import commands
from tests.reference.doors import modules
from tests.reference.findings import conditions, findings
from tests.reference.markdown import ROOT, linked
from tests.reference.metrics import metrics
from tests.reference.sandbox import readings
from tests.reference.settings import settings
from tests.reference.signals import signals

#: By the name that a page gives a part: what makes its Markdown.
PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "commands": commands,
    "conditions": conditions,
    "errors of settings": checks.errors,
    "errors of the API": api.errors,
    "findings about OpenTrain": partial(findings, "OPENTRAIN"),
    "findings about stored data": partial(findings, "STORED"),
    "findings about the doctor": partial(findings, "DOCTOR"),
    "findings about the site": partial(findings, "SITE"),
    "findings about workers": partial(findings, "WORKERS"),
    "metrics": metrics,
    "modules": modules,
    "readings of the sandbox": readings,
    "reference": reference,
    "settings": settings,
    "signals": signals,
    "warnings about settings": checks.warnings,
}
PART: Final = re.compile(
    r"(?P<begin><!-- made from the code: (?P<name>.+?) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)


def parts_of(page: Path) -> list[str]:
    """The names of the parts that this page has."""
    return [found["name"] for found in PART.finditer(page.read_text(encoding="utf-8"))]


def pages() -> list[Path]:
    """Those that have such a part."""
    return [page for page in sorted((ROOT / "docs").rglob("*.md")) if parts_of(page)]


def renewed(page: Path) -> str:
    """The page as it has to be."""

    def made(found: re.Match[str]) -> str:
        return f"{found['begin']}\n{linked(PARTS[found['name']]().strip(), page)}\n\n{found['end']}"

    return PART.sub(made, page.read_text(encoding="utf-8"))


def renew() -> None:
    """Write all of them."""
    for page in pages():
        page.write_text(renewed(page), encoding="utf-8")
