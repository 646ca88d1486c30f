"""Receivers inside a platform's own request, which goes on whatever becomes of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps

from django_opentrain.platform.redaction import describe
from django_opentrain.time_limits import soft_time_limit

logger = logging.getLogger(__name__)


def harmless(receiver: Callable[..., None]) -> Callable[..., None]:
    """What fails in it is logged: the platform's own request goes on."""

    @wraps(receiver)
    def guarded(**signal: object) -> None:
        try:
            receiver(**signal)
        except soft_time_limit():
            raise
        except Exception as error:  # noqa: BLE001 - the host's request goes on
            name = getattr(signal["sender"], "__name__", "row")
            text = "Work on a %s could not be recorded: %s"
            logger.error(text, name, describe(error), extra={"model": name})

    return guarded
