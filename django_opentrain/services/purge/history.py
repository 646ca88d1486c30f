"""Trainers' names in the history of Django's admin, which keeps what a row was called when it was changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet

from django_opentrain.models import AccessGrant, Participant


def replace_names(participants: QuerySet[Participant]) -> None:
    """Replace the names of these trainers, and of their grants, by the ids of the trainers."""
    if not apps.is_installed("django.contrib.admin"):
        return
    ids = participants.values_list("pk", "opentrain_user_id")
    _rename(Participant, dict(ids))
    grants = AccessGrant.objects.filter(participant__in=participants)
    _rename(AccessGrant, dict(grants.values_list("pk", "participant__opentrain_user_id")))


def _rename(model: type[Model], names: Mapping[Any, str]) -> None:
    entries: Any = apps.get_model("admin", "LogEntry")._default_manager
    kind = ContentType.objects.get_for_model(model)
    named = list(entries.filter(content_type=kind, object_id__in=[str(key) for key in names]))
    for entry in named:
        entry.object_repr = names[model._meta.pk.to_python(entry.object_id)]
    entries.bulk_update(named, ["object_repr"], batch_size=500)
