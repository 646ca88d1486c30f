"""Failures for one customer: they are logged, and don't keep other customers waiting."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from django_opentrain.conflicts import is_conflict
from django_opentrain.errors import EXPECTED
from django_opentrain.models import Install
from django_opentrain.platform.redaction import describe


def log_failure(logger: logging.Logger, doing: str, install: Install, error: Exception) -> None:
    """Log ``error``. An unexpected one is a bug of the host's or ours: it is logged with its place in the code.

    Not with a traceback, which error reporters send with the values of all local variables.
    """
    if isinstance(error, EXPECTED) or is_conflict(error):
        logger.warning(
            "%s install %s failed: %s", doing, install.opentrain_id, describe(error), extra=install.log_fields
        )
        return
    last = traceback.extract_tb(error.__traceback__)[-1]
    logger.error(
        "%s install %s failed: %s (%s, line %s)",
        doing,
        install.opentrain_id,
        describe(error),
        Path(last.filename).name,
        last.lineno,
        extra=install.log_fields,
    )
