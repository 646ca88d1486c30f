"""What an action adds to what has been counted of a trainer, as expressions of the statement that stores it.

They are evaluated where the statement is, on one row: the grant by which the trainer has access, with the ``task``.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.db import connections
from django.db.models import (
    Case,
    CharField,
    Exists,
    F,
    Field,
    Func,
    IntegerField,
    OuterRef,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Concat, Greatest, Least

from django_opentrain.models import WorkEntry
from django_opentrain.transactions import alias

Kind = WorkEntry.Kind

#: The most that one action adds or takes back.
_MOST: Final = 10**9
#: As ``tasks`` or ``labels``: all that this trainer's work on the object has brought.
TAKE_BACK: Final = -_MOST


class Change(NamedTuple):
    """How an object that was there before has been changed."""

    #: The labels that this action has added; negative: removed.
    added: int
    #: How many the object has now: the trainers together have brought no more of them.
    labels: int


#: Kinds that say what the object has now.
_LEVELS: Final = (Kind.SUBMITTED, Kind.CONFIRMED)
#: Kinds that end that.
_ENDS: Final = (Kind.SKIPPED, Kind.UNCONFIRMED, Kind.DELETED)
#: What only a trainer has who made the object.
_MADE: Final = (Kind.SUBMITTED, Kind.SKIPPED)
#: Kinds that bring tasks and labels, or take them back.
_COUNTING: Final = (*_LEVELS, *_ENDS, Kind.UPDATED, Kind.REVIEWED)


def gains(
    values: Mapping[str, Any], tasks: int, labels: int, change: Change | None, *, is_label: bool
) -> dict[str, Any]:
    """The columns that say how many tasks and labels this action brings, and what it was."""
    tasks_gained = _tasks_gained(tasks, values)
    if is_label and labels > 0:
        return {"tasks": tasks_gained, "labels": _labels_of_new_label(labels, values)}
    if change is None:
        return {"tasks": tasks_gained, "labels": _labels_gained(labels, values["kind"], values)}
    made = Exists(_of_trainer(values, object_id=values["object_id"], kind__in=_MADE))
    return {
        "kind": _either("kind", made, values["kind"], Kind.REVIEWED),
        "tasks": _either("tasks", made, tasks_gained, 0) if tasks else 0,
        "labels": _labels_of_change(labels, values, change, made),
    }


def task_of(values: Mapping[str, Any], *, new: bool) -> Combinable:
    """The task with which the trainer's work on the object began: on the host it may have been moved since."""
    named = expression("task_id", values["task_id"])
    if new or values["object_id"] in ("", values["task_id"]):
        return named
    first = _of_trainer(values, object_id=values["object_id"]).order_by("pk").values("task_id")[:1]
    return Coalesce(Subquery(first), named)


def turn(values: Mapping[str, Any]) -> Any:
    """A key which says that this action on the task follows the trainer's last one on it.

    Of two at once, in two tabs, both of which would count the same, only one can follow it.
    """
    if not values["task_id"] or values["kind"] not in _COUNTING:
        return uuid.uuid4().hex
    task = json.dumps([values["external_project_id"], values["task_id"]])
    actions = _of_trainer(values, task_id=OuterRef("task"), kind__in=_COUNTING)
    return Concat(
        Value(f"{hashlib.sha256(task.encode()).hexdigest()} "),
        Cast("participant_id", CharField()),
        Value(" "),
        Cast(_total("MAX", "pk", actions), CharField()),
        output_field=CharField(),
    )


def _labels_of_change(labels: int, values: Mapping[str, Any], change: Change, made: Exists) -> Combinable:
    kind = values["kind"]
    reviewed = _limited(change.added, Kind.REVIEWED, values, change)
    if kind in _ENDS:
        return _either("labels", made, _labels_gained(labels, kind, values), reviewed)
    if kind in _LEVELS:
        return _either("labels", made, _limited(labels, kind, values, change), reviewed)
    return reviewed


def _labels_of_new_label(number: int, values: Mapping[str, Any]) -> Combinable:
    """None where it takes the place of one that has counted and that others have removed."""
    actions = WorkEntry.objects.filter(external_project_id=values["external_project_id"])
    ended = actions.filter(object_id=OuterRef("object_id"), kind__in=(Kind.DELETED, Kind.REMOVED))
    of_task = actions.filter(task_id=values["task_id"])
    there = of_task.filter(~Exists(ended), kind=Kind.UPDATED)
    free = (
        Value(number) + _total("COUNT", "object_id", there, distinct=True) - _total("SUM", "labels", of_task)
    )
    return Least(Value(number), Greatest(free, Value(0)), output_field=IntegerField())


def _limited(number: int, kind: str, values: Mapping[str, Any], change: Change) -> Combinable:
    """Of labels that others had taken off, or have added, none is gained or lost."""
    gained = expression("labels", _labels_gained(number, kind, values))
    everyones = WorkEntry.objects.filter(
        object_id=values["object_id"], external_project_id=values["external_project_id"]
    )
    free = Value(min(change.labels, _MOST)) - _total("SUM", "labels", everyones)
    if number < 0:
        return Greatest(gained, Least(free, Value(0)), output_field=IntegerField())
    return Least(gained, Greatest(free, Value(0)), output_field=IntegerField())


def _either(name: str, condition: Exists, then: Any, default: Any) -> Case:
    columns = expression(name, then), expression(name, default)
    return Case(When(condition, then=columns[0]), default=columns[1], output_field=_field(name))


def _of_trainer(values: Mapping[str, Any], **conditions: Any) -> QuerySet[WorkEntry]:
    """Entries of the trainer who acts now, in this project."""
    return WorkEntry.objects.filter(
        opentrain_user_id=OuterRef("participant__opentrain_user_id"),
        external_project_id=values["external_project_id"],
        **conditions,
    )


def _total(function: str, column: str, entries: QuerySet[WorkEntry], *, distinct: bool = False) -> Combinable:
    """Of all of them; 0 of none. Django's own aggregates would be of groups, and take twice as long to build."""
    values = "DISTINCT %(expressions)s" if distinct else "%(expressions)s"
    total = Func(F(column), function=function, template=f"COALESCE(%(function)s({values}), 0)")
    return Subquery(entries.values_list(total), output_field=IntegerField())


def _labels_gained(number: int, kind: str, values: Mapping[str, Any]) -> Any:
    """What it adds to the object's, of this trainer; at most all of them are taken back."""
    number = min(max(number, TAKE_BACK), _MOST)
    if not values["object_id"] or not (number < 0 or kind in _LEVELS):
        return max(number, 0)
    return _gained(number, _total("SUM", "labels", _of_trainer(values, object_id=values["object_id"])))


def _tasks_gained(number: int, values: Mapping[str, Any]) -> Any:
    """A task is one, with however many objects; it is taken back with the last of them."""
    number = min(max(number, TAKE_BACK), _MOST)
    task, it = values["task_id"], values["object_id"]
    if not task or not (number < 0 or values["kind"] in _LEVELS):
        return max(number, 0)
    gained = _gained(number, _total("SUM", "tasks", _of_trainer(values, task_id=OuterRef("task"))))
    if number >= 0 or task == it:
        return gained
    ended = WorkEntry.objects.filter(
        opentrain_user_id=OuterRef("opentrain_user_id"),
        external_project_id=OuterRef("external_project_id"),
        object_id=OuterRef("object_id"),
        kind__in=_ENDS,
        pk__gt=OuterRef("pk"),
    )
    finished = _of_trainer(values, task_id=OuterRef("task"), kind__in=_LEVELS).exclude(object_id=it)
    return _either("tasks", Exists(finished.filter(~Exists(ended))), 0, gained)


def _gained(number: int, before: Combinable) -> Combinable:
    """Up to ``number``, a level, or down by it; but not below zero."""
    if number >= 0:
        return Greatest(Value(number) - before, Value(0), output_field=IntegerField())
    return Least(Greatest(Value(number), -before), Value(0), output_field=IntegerField())


def _field(name: str) -> Field[Any, Any]:
    # No foreign keys: a field's name is its column's.
    return next(field for field in WorkEntry._meta.concrete_fields if field.name == name)


def expression(name: str, value: Any) -> Combinable:
    if isinstance(value, Combinable):
        return value
    field = _field(name)
    # PostgreSQL takes what it selects for text.
    if connections[alias()].vendor == "postgresql":
        return Cast(Value(value, output_field=field), output_field=field)
    return Value(value, output_field=field)
