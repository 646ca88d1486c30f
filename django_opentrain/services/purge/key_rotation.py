"""Key rotation: re-encrypting everything with the first key, bound to its row, while the site runs.

It can be resumed: what is current is skipped, so an interrupted run is simply started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from django.apps import apps
from django.db import models
from django.db.models import Q
from django.utils import timezone

from django_opentrain import crypto
from django_opentrain.conflicts import retried
from django_opentrain.errors import UndecryptableError
from django_opentrain.fields import Ciphertext, EncryptedMixin
from django_opentrain.models import WebhookEndpoint, WebhookEvent
from django_opentrain.transactions import atomic

#: Rows re-encrypted in one transaction, so that no lock is held for long.
BATCH: Final = 200
MOST_PASSES: Final = 3


@dataclass(kw_only=True)
class Rotation:
    """What a run has done. The old keys may be removed once nothing is ``undecryptable`` or ``returning``."""

    rotated: int = 0
    current: int = 0
    undecryptable: int = 0
    #: Those that can't be decrypted either, and that nothing needs.
    expendable: int = 0
    #: Values that were encrypted with an old key in every pass: a process still uses it.
    returning: int = 0


def encrypted_columns() -> Iterator[tuple[type[models.Model], EncryptedMixin]]:
    """Each encrypted column of this package's models."""
    for model in apps.get_app_config("django_opentrain").get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedMixin):
                yield model, field


Progress = Callable[[str, int], None]


def _quiet(_column: str, _rows: int) -> None:
    """Report nothing."""


def rotate(progress: Progress = _quiet) -> Rotation:
    """Re-encrypt every secret with the first key. ``progress`` gets each column and how many rows are done.

    Repeated after a pass that re-encrypted something: a process that read a row before and saved it after has
    written the old ciphertext back.
    """
    total = _pass(progress)
    total.returning = total.rotated
    for _again in range(MOST_PASSES - 1):
        if not total.returning:
            break
        total.returning = _pass(_quiet).rotated
        total.rotated += total.returning
    return total


def _pass(progress: Progress) -> Rotation:
    total = Rotation()
    for model, field in encrypted_columns():
        done, last = 0, 0
        while batch := _rotate_batch(model, field, last, total):
            last, done = batch[-1], done + len(batch)
            progress(f"{model._meta.model_name}.{field.attname}", done)
    return total


def _rotate_batch(model: type[models.Model], field: EncryptedMixin, after: int, total: Rotation) -> list[int]:
    """Re-encrypt the next rows, in the order of their keys; returns these keys."""
    filled = model._default_manager.filter(pk__gt=after, **{f"{field.attname}__isnull": False}).order_by("pk")
    keys = list(filled.values_list("pk", flat=True)[:BATCH])
    batch = _rotate_rows(model, field, keys)
    total.rotated += batch.rotated
    total.current += batch.current
    total.undecryptable += batch.undecryptable
    total.expendable += batch.expendable
    return keys


@retried
def _rotate_rows(model: type[models.Model], field: EncryptedMixin, keys: list[int]) -> Rotation:
    batch = Rotation()
    with atomic():
        # In the order of their keys, as everywhere, so that there is no deadlock.
        rows = model._default_manager.select_for_update().filter(pk__in=keys).order_by("pk")
        only = rows.only("pk", *field.bound_to, field.attname)
        lost = [row.pk for row in only if not _rotate_row(row, field, batch)]
        batch.undecryptable = model._default_manager.filter(_needed(model), pk__in=lost).count()
        batch.expendable = len(lost) - batch.undecryptable
    return batch


def _needed(model: type[models.Model]) -> Q:
    """The rows whose secret is still used: not those of a refused endpoint, or of an event that was processed."""
    if model is WebhookEndpoint:
        return ~Q(retire_at__lte=timezone.now())
    if model is WebhookEvent:
        return Q(status__in=(WebhookEvent.Status.PENDING, WebhookEvent.Status.FAILED))
    return Q()


def _rotate_row(row: models.Model, field: EncryptedMixin, total: Rotation) -> bool:
    """Returns whether it could be decrypted."""
    ciphertext, place = field.ciphertext(row), field.place(row)
    if ciphertext is None or crypto.is_current(ciphertext, place):
        total.current += 1
        return True
    try:
        fresh = Ciphertext(field.encrypt(crypto.decrypt(ciphertext, place), place))
    except UndecryptableError:
        return False
    type(row)._default_manager.filter(pk=row.pk).update(**{field.attname: fresh})
    total.rotated += 1
    return True


def undecryptable(sample: int) -> dict[str, int]:
    """By column, how many of its newest ``sample`` values that are needed can't be decrypted; only where any are."""
    return _count("-pk", sample, _is_lost, among=_needed)


def unbound(sample: int) -> dict[str, int]:
    """By column, how many of its oldest ``sample`` values would decrypt in any row."""
    return _count("pk", sample, _is_unbound)


def _count(
    order: str,
    sample: int,
    counts: Callable[[models.Model, EncryptedMixin], bool],
    *,
    among: Callable[[type[models.Model]], Q] = lambda _model: Q(),
) -> dict[str, int]:
    found: dict[str, int] = {}
    for model, field in encrypted_columns():
        filled = model._default_manager.filter(among(model), **{f"{field.attname}__isnull": False}).order_by(
            order
        )
        rows = filled.only("pk", *field.bound_to, field.attname)[:sample]
        count = sum(counts(row, field) for row in rows)
        if count:
            found[f"{model._meta.model_name}.{field.attname}"] = count
    return found


def _is_unbound(row: models.Model, field: EncryptedMixin) -> bool:
    # What can't be decrypted at all can't in another row either.
    return not (crypto.is_bound(field.ciphertext(row) or b"") or _is_lost(row, field))


def _is_lost(row: models.Model, field: EncryptedMixin) -> bool:
    try:
        getattr(row, field.attname)
    except UndecryptableError:
        return True
    return False
