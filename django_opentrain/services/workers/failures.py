"""What goes wrong for one customer: it is told, and keeps no other customer waiting."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from django_opentrain.errors import EXPECTED
from django_opentrain.models import Install
from django_opentrain.platform.redaction import describe


def log_failure(logger: logging.Logger, doing: str, install: Install, error: Exception) -> None:
    """Log ``error``. One that is not to be expected is the host's fault or ours: with the place where it came from.

    Not its traceback, which error reporters send with everything that the functions held.
    """
    if isinstance(error, EXPECTED):
        logger.warning("%s install %s failed: %s", doing, install.opentrain_id, describe(error))
        return
    last = traceback.extract_tb(error.__traceback__)[-1]
    logger.error(
        "%s install %s failed: %s (%s, line %s)",
        doing,
        install.opentrain_id,
        describe(error),
        Path(last.filename).name,
        last.lineno,
    )
