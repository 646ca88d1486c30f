"""What all resources have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """What all have in common: the JSON object that they were read from."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
