"""Names of groups: one per customer and project, distinct on every database."""

from __future__ import annotations

import hashlib
import string
from typing import Final

#: What Django's ``Group.name`` takes.
LONGEST_NAME: Final = 150
PREFIX: Final = "opentrain"

_PLAIN: Final = frozenset((string.ascii_lowercase + string.digits + "-_.").encode())


def group_name(tenant: str, external_project_id: str) -> str:
    """The name of the group of this customer's project.

    Two projects never share a name, whatever their ids contain: all but lower-case letters, digits and ``-_.`` is
    escaped, since for MySQL ``A`` and ``a`` are equal. A name that would be too long becomes its hash.
    """
    name = f"{PREFIX}:{_escaped(tenant)}:{_escaped(external_project_id)}"
    if len(name) <= LONGEST_NAME:
        return name
    # It has one colon less than any name above, so it can't be another project's.
    return f"{PREFIX}:{hashlib.sha256(name.encode()).hexdigest()}"


def _escaped(text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in data)
