"""Types of the commands' arguments."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Final

DAY_SECONDS: Final = 86_400


def seconds(text: str) -> float:
    """A time to wait. Raises ``ArgumentTypeError``."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= DAY_SECONDS:
        raise ArgumentTypeError(f"0 to {DAY_SECONDS} seconds, not {text}")
    return value
