"""What the models share."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar, cast

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_opentrain.fields import copying_ciphertext

AnyQuerySet = TypeVar("AnyQuerySet", bound=models.QuerySet[Any])


def manager_of(queryset: type[AnyQuerySet]) -> AnyQuerySet:
    """A manager with the methods of ``queryset``, whose type has them without a plugin, too (pyright, Pylance)."""
    return cast("AnyQuerySet", queryset.as_manager())


class SecretKeepingModel(models.Model):
    """A row with encrypted columns: it can be refreshed even if their key is lost."""

    class Meta:
        abstract = True

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        copying_ciphertext(partial(super().refresh_from_db, *args, **kwargs))


class TimestampedModel(SecretKeepingModel):
    """A row with the times at which it was created and last saved."""

    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        abstract = True
