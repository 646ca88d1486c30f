"""Observing: one INSERT at the moment at which a trainer acts.

Called in the host's request, so it never fails there, and waits for nothing but the database. The statement looks up
by itself whose account it is: people who are not trainers with access leave no trace, and cost no second statement.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db import IntegrityError, connections, transaction
from django.db.models import CharField, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from django_opentrain.conflicts import retried
from django_opentrain.fields import MAX_ID
from django_opentrain.models import WorkEntry
from django_opentrain.models.work import OLDEST_OBSERVED
from django_opentrain.platform.catalog import SECONDS_PER_DAY
from django_opentrain.platform.redaction import describe
from django_opentrain.services.access.accounts import grant_of
from django_opentrain.services.work.days import work_day
from django_opentrain.services.work.gains import Change, expression, gains, task_of, turn
from django_opentrain.time_limits import soft_time_limit
from django_opentrain.transactions import alias

logger = logging.getLogger(__name__)

Kind = WorkEntry.Kind

#: So many objects in one statement.
_BATCH: Final = 500
#: How often an action on a task is inserted, if others of the same trainer on it keep coming first.
_ATTEMPTS: Final = 3


def observe(
    user: object,
    external_project_id: object,
    kind: str,
    *,
    object_id: object = "",
    task_id: object = "",
    seconds: float = 0,
    tasks: int = 0,
    labels: int = 0,
    change: Change | None = None,
    is_label: bool = False,
    at: datetime | None = None,
    key: str = "",
) -> bool:
    """Record what ``user`` has just done in a project; returns whether it was a trainer's work and is stored now.

    :param user: the account of who acted: the user, or the host's id of them (what ``grant_access`` returns).
    :param kind: one of ``WorkEntry.Kind``.
    :param object_id: the host's id of what was worked on. It must never mean another object later: where a database
        uses the ids of deleted rows again, add when the row was created.
    :param task_id: the host's id of the task that the object belongs to, where a task can have several objects of one
        trainer: it is one task, and stands as long as one of them does. If empty, the object is the task.
    :param seconds: the time that *this* action took, up to ``at``. What another action claims, too, counts once.
    :param tasks: how many tasks this action has completed, and ``labels``, how many labels it has added. For
        SUBMITTED and CONFIRMED that is what the object has now: what was counted for it before isn't counted again.
        Negative is a counter-entry: no more is taken back than this trainer has gained on the object
        (``TAKE_BACK``: all of it).
    :param change: of an object that was there before and may be another's. A trainer who has neither submitted nor
        skipped it themselves has REVIEWED it, whatever ``kind`` says: that brings no task, and the labels added.
    :param is_label: the object is a single label of the task. A new one in the place of one that others have removed
        brings none: both would count for one that is there.
    :param at: when, if not now: at most a day ago.
    :param key: what makes this action unique, so that it is stored once however often it is observed.

    Part of the caller's transaction, if that is in the same database. Never raises: what fails is logged.
    """
    now = timezone.now()
    moment = min(max(at or now, now - OLDEST_OBSERVED), now)
    try:
        values: dict[str, Any] = {
            "external_project_id": _exact(external_project_id),
            "object_id": _exact(object_id),
            "task_id": _exact(task_id or object_id),
            "kind": Kind(kind),
            "at": moment,
            "duration": timedelta(seconds=min(max(seconds, 0), SECONDS_PER_DAY)),
            "observed_at": now,
        }
        counts = any((tasks, labels, change and change.added))
        values["key"] = _exact(key) or (turn(values) if counts else uuid.uuid4().hex)
        trainer = grant_of(user, values["external_project_id"])
        insert = _insert if key else _insert_in_turn
        new = change is None and min(tasks, labels) >= 0
        columns = {**values, **_WHOSE_GRANT, **gains(values, tasks, labels, change, is_label=is_label)}
        return insert(trainer.annotate(task=task_of(values, new=new)), columns) > 0
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - the host's request goes on
        _log("Work", external_project_id, error)
        return False


def has_access(user_id: object, external_project_id: str) -> bool:
    """Whether this account is a trainer's who has access to the project: whether ``observe`` records their work."""
    return grant_of(user_id, external_project_id).exists()


def note_removal(external_project_id: object, *object_ids: object) -> int:
    """Record that others have removed objects: it changes nothing of the trainers' work on them, and is shown.

    Not to a trainer who has just deleted it. The project itself, if none is named. Returns how many entries that
    makes: one for each trainer and object.
    Part of the caller's transaction; never raises: what fails is logged.
    """
    try:
        worked = WorkEntry.objects.filter(external_project_id=_exact(external_project_id))
        ids = [_exact(each) for each in object_ids]
        if not ids:
            return _note(worked, worked, object_id="", task_id="")
        same = worked.filter(object_id=OuterRef("object_id"))
        batches = (ids[begin : begin + _BATCH] for begin in range(0, len(ids), _BATCH))
        return sum(_note(worked.filter(object_id__in=batch), same) for batch in batches)
    except soft_time_limit():
        raise
    except Exception as error:  # noqa: BLE001 - the host's request goes on
        _log("A removal", external_project_id, error)
        return 0


def _note(worked: QuerySet[WorkEntry], same: QuerySet[WorkEntry], **values: str) -> int:
    """A note after the last entry of each trainer on the ``same`` object."""
    last = same.filter(opentrain_user_id=OuterRef("opentrain_user_id")).order_by("-pk").values("pk")[:1]
    now = timezone.now()
    kept = {name: F(name) for name in ("external_project_id", "object_id", "task_id", *_WHOSE)}
    key = Concat(Value(f"{uuid.uuid4().hex} "), Cast("pk", CharField()))
    noted = {"key": key, "kind": Kind.REMOVED, "at": now, "observed_at": now}
    others = worked.filter(pk=Subquery(last)).exclude(kind=Kind.DELETED)
    return _insert(others, {**kept, **noted, **values})


def _log(what: str, external_project_id: object, error: Exception) -> None:
    project = str(external_project_id)[:MAX_ID]
    logger.error(
        "%s in project %s could not be recorded: %s",
        what,
        project,
        describe(error),
        extra={"project": project},
    )


def _exact(value: object) -> str:
    """An id as text. Raises ``ValueError`` if it is too long: a part of it would be another one."""
    text = str(value)
    if len(text) > MAX_ID:
        raise ValueError(f"An id must have at most {MAX_ID} characters.")
    return text


#: The columns that say whose work it is.
_WHOSE: Final = ("tenant", "opentrain_user_id", "access_since")
#: The same, and the task, of a grant.
_WHOSE_GRANT: Final = {
    "tenant": F("link__install__tenant"),
    "opentrain_user_id": F("participant__opentrain_user_id"),
    "access_since": F("granted_at"),
    "task_id": F("task"),
}


def _insert_in_turn(trainer: QuerySet[Any], columns: Mapping[str, Any]) -> int:
    """Once another action on the task was committed, this one follows it, and knows what it has counted."""
    for _number in range(_ATTEMPTS):
        with suppress(IntegrityError):
            return _insert(trainer, columns)
    # Under REPEATABLE READ it can't be seen. It has counted the task.
    return _insert(trainer, {**columns, "key": uuid.uuid4().hex, "tasks": 0})


def _insert(rows: QuerySet[Any], values: Mapping[str, Any]) -> int:
    """``INSERT … SELECT``: an entry for each of ``rows``, with these values; returns how many are new."""
    connection = connections[alias()]
    columns = {**_DEFAULTS, "work_date": work_day(values["at"]), **values}
    selected = {f"new_{name}": expression(name, value) for name, value in columns.items()}
    query = rows.annotate(**selected).values_list(*selected).query
    sql, params = query.get_compiler(using=connection.alias).as_sql()
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, columns))
    statement = f"INSERT INTO {quote(WorkEntry._meta.db_table)} ({names}) {sql}"
    return retried(partial(_execute, statement, params, values["key"]))()


#: What the other columns have.
_DEFAULTS: Final = {"duration": timedelta(0), "tasks": 0, "labels": 0, "reason": "", "corrected_by": ""}


def _execute(statement: str, params: Any, key: object) -> int:
    connection = connections[alias()]
    # A transaction of the caller's needs a savepoint to survive what fails here.
    guard = transaction.atomic(using=connection.alias) if connection.in_atomic_block else nullcontext()
    try:
        with guard, connection.cursor() as cursor:
            cursor.execute(statement, params)
            return int(cursor.rowcount)
    except IntegrityError:
        known = WorkEntry.objects.using(connection.alias)
        if isinstance(key, Combinable) or not known.filter(key=key).exists():
            raise
        return 0
