"""Contracts that are paid by the hour on a site that measures no time: no hours of theirs are reported."""

from __future__ import annotations

from typing import Final

from django.conf import settings

from django_opentrain.adapters import get_adapter
from django_opentrain.conf import TIMER, conf
from django_opentrain.models.contracts import ContractQuerySet
from django_opentrain.platform import catalog
from django_opentrain.services.usage.withholding import tracked_elsewhere

_TIMER: Final = "django_opentrain.middleware.timer"


def measures_time() -> bool:
    """Whether this site measures how long trainers work: by itself, or by the timer."""
    has_timer = _TIMER in settings.MIDDLEWARE and TIMER in conf.pages
    return get_adapter().measures_time or has_timer


def unmeasured(contracts: ContractQuerySet) -> ContractQuerySet:
    """Those of them that are paid by the hour, while hours are measured neither here nor elsewhere."""
    if measures_time():
        return contracts.none()
    hourly = contracts.filter(payment_type=catalog.PAY_PER_HOUR)
    return hourly.exclude(pk__in=tracked_elsewhere(hourly).values("pk"))
