"""doccano: what trainers confirm, label and delete, by the signals of its models.

Whoever makes the request has done it, not whom a row names: ``django_opentrain.middleware.acting_user``. Imports,
copies of projects and auto-labelling save rows in bulk, which sends no signal: no person made those here. Nothing of
doccano is imported: Django finds its models by name, once the site runs.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

from django.apps import apps
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_delete

from django_opentrain.models import WorkEntry
from django_opentrain.observers.guard import harmless
from django_opentrain.services import work

logger = logging.getLogger(__name__)

Kind = WorkEntry.Kind
#: One of doccano's models by its name. Any: doccano has no types.
model: Callable[[str], Any] = apps.get_model

LABELS: Final = ("BoundingBox", "Category", "Relation", "Segmentation", "Span", "TextLabel")


#: In a queryset that is being deleted: its examples are noted.
_NOTED: Final = "_opentrain_noted"


def connect() -> None:
    """Observe doccano's work in this process, if it is one of doccano's."""
    if not apps.is_installed("examples"):
        return
    state = model("examples.ExampleState")
    post_save.connect(_confirmed, sender=state)
    post_delete.connect(_unconfirmed, sender=state)
    for label in _label_models():
        post_save.connect(_labelled, sender=label)
        post_delete.connect(_label_deleted, sender=label)
    pre_delete.connect(_example_removed, sender=model("examples.Example"))
    pre_delete.connect(_project_removed, sender=model("projects.Project"))


def _label_models() -> tuple[Any, ...]:
    return tuple(model(f"labels.{name}") for name in LABELS)


@harmless
def _confirmed(instance: Any, created: bool, raw: bool, **_signal: object) -> None:
    user = work.acting_user()
    if created and user is not None and not raw:
        example = instance.example
        work.observe(user, example.project_id, Kind.CONFIRMED, object_id=_example_id(example), tasks=1)


@harmless
def _unconfirmed(instance: Any, origin: object, **_signal: object) -> None:
    """By doccano's button, which takes back what *any* member has confirmed."""
    # With an example or a project that is deleted, that is noted.
    if not _is_of(origin, model("examples.ExampleState")):
        return
    user, example = work.acting_user(), instance.example
    if user is not None and user.pk == instance.confirmed_by_id:
        it = _example_id(example)
        work.observe(user, example.project_id, Kind.UNCONFIRMED, object_id=it, tasks=work.TAKE_BACK)
    else:
        work.note_removal(example.project_id, _example_id(example))


@harmless
def _labelled(instance: Any, created: bool, raw: bool, **_signal: object) -> None:
    user = work.acting_user()
    if user is not None and not raw:
        _observe_label(user, instance, Kind.UPDATED, int(created))


@harmless
def _label_deleted(instance: Any, origin: object, **_signal: object) -> None:
    if _is_of(origin, model("examples.Example"), model("projects.Project")):
        return  # that is noted
    user = work.acting_user()
    if user is not None and user.pk == instance.user_id:
        _observe_label(user, instance, Kind.DELETED, work.TAKE_BACK)
    elif _is_of(origin, *_label_models()):
        work.note_removal(instance.example.project_id, _label_id(instance))


def _observe_label(user: Any, label: Any, kind: str, labels: int) -> None:
    example = label.example
    it, task = _label_id(label), _example_id(example)
    work.observe(user, example.project_id, kind, object_id=it, task_id=task, labels=labels, is_label=True)


@harmless
def _example_removed(instance: Any, origin: Any, **_signal: object) -> None:
    """Once for all that are deleted together: there may be many."""
    if origin is instance:
        _note_examples([instance])
    elif _is_of(origin, model("examples.Example")) and _NOTED not in vars(origin):
        vars(origin)[_NOTED] = True
        _note_examples(origin.only("pk", "project_id", "created_at"))


def _note_examples(examples: Iterable[Any]) -> None:
    by_project: defaultdict[int, list[str]] = defaultdict(list)
    for example in examples:
        by_project[example.project_id].append(_example_id(example))
    for project, ids in by_project.items():
        work.note_removal(project, *ids)


@harmless
def _project_removed(instance: Any, **_signal: object) -> None:
    work.note_removal(instance.pk)


def _is_of(origin: Any, *models: type[Model]) -> bool:
    """Whether that is what was deleted: a row of these models, or a queryset of them; all else goes with it."""
    kind = type(origin) if isinstance(origin, Model) else getattr(origin, "model", None)
    return isinstance(kind, type) and issubclass(kind, models)


def _example_id(example: Any) -> str:
    # SQLite uses the ids of deleted rows again.
    return f"example {example.pk} {example.created_at.isoformat()}"


def _label_id(label: Any) -> str:
    return f"{label._meta.model_name} {label.uuid}"
