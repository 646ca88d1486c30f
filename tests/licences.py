"""The licences of what an installation of the package brings along, as the metadata of its distributions say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE: Final = "django-opentrain"

#: What may be installed beside a package that is published under the MIT licence, and used unchanged.
COMPATIBLE: Final = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
)

#: What distributions call a licence that don't call it as SPDX does, in small letters.
SPDX: Final = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "new bsd": "BSD-3-Clause",
    "python software foundation license": "PSF-2.0",
}
_CLASSIFIER: Final = "License :: OSI Approved :: "


def dependencies() -> dict[str, str]:
    """The licence of each distribution that the package needs here, its extras included, by name."""
    return {name: licence_of(distribution(name)) for name in sorted(_needed() - {PACKAGE})}


def is_compatible(licence: str) -> bool:
    """Whether one of the licences from which a user may choose is: ``A OR B AND C``, without parentheses."""
    choices = (set(choice.split(" AND ")) for choice in licence.split(" OR "))
    return any(choice <= COMPATIBLE for choice in choices)


def licence_of(found: Distribution) -> str:
    """As an SPDX expression, where that is what the distribution says; else its own words."""
    metadata = found.metadata
    for field in ("License-Expression", "License"):
        said = metadata.get(field, "")
        # Some have the licence's whole text there.
        if said and "\n" not in said and is_compatible(expression := _expression(said)):
            return expression
    classifiers = metadata.get_all("Classifier") or ()
    named = [each.removeprefix(_CLASSIFIER) for each in classifiers if each.startswith(_CLASSIFIER)]
    return _expression(" OR ".join(named))


def _expression(said: str) -> str:
    """``said`` with the licences' names as SPDX has them."""
    return " ".join(
        SPDX.get(word.lower(), word) for word in re.split(r" (?=OR |AND )|(?<=OR) |(?<=AND) ", said)
    )


def _needed() -> set[str]:
    """The names of all that is installed because of the package."""
    found: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [(PACKAGE, ("metrics", "spectacular"))]
    done = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            waiting += _requirements(distribution(name), extras)
        except PackageNotFoundError:
            continue  # an extra that isn't installed here
        found.add(name)
    return found


def _requirements(of: Distribution, extras: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What it needs on this Python, with these extras."""
    for line in of.requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(requirement.name), tuple(sorted(requirement.extras))
