"""The breaker: an unusual number of removals at once is held until a person confirms it."""

from __future__ import annotations

from typing import Final

from django_opentrain import signals
from django_opentrain.conf import conf
from django_opentrain.models import Install

#: A breaker needs a handful of grants before a share of them means anything.
REMOVAL_BREAKER_MINIMUM: Final = 5


def is_unusual(removals: int, unrevoked: int) -> bool:
    """Whether so many of an install's grants, which are not revoked until now, are too many to go at once."""
    return removals > REMOVAL_BREAKER_MINIMUM and removals > unrevoked * conf.removal_breaker


def record(install: Install, held: int) -> None:
    """So many removals of this install are held, none if 0. An earlier confirmation is used up.

    The caller has locked it.
    """
    is_news = held > install.removals_held
    install.removals_held, install.removals_confirmed = held, False
    Install.objects.filter(pk=install.pk).update(removals_held=held, removals_confirmed=False)
    if is_news:
        signals.send_on_commit(signals.removals_held, Install, install=install)
