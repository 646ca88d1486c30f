"""Observing: one INSERT at the moment at which a trainer acts.

Called in the host's request, so it never fails there, and waits for nothing but the database. The statement looks up
by itself whose account it is: people who are not trainers with access leave no trace, and cost no second statement.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db import IntegrityError, connections, transaction
from django.db.models import CharField, F, Field, IntegerField, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Concat, Greatest, Least
from django.utils import timezone

from django_opentrain.conflicts import retried
from django_opentrain.fields import MAX_ID
from django_opentrain.models import AccessGrant, WorkEntry
from django_opentrain.models.work import OLDEST_OBSERVED
from django_opentrain.platform.redaction import describe
from django_opentrain.services.work.days import work_day
from django_opentrain.transactions import alias

logger = logging.getLogger(__name__)

Kind = WorkEntry.Kind

#: The most that one action adds or takes back.
_MOST: Final = 10**9
#: As ``tasks`` or ``labels``: all that this trainer's work on the object has brought.
TAKE_BACK: Final = -_MOST
_A_DAY: Final = timedelta(days=1)
#: So many objects in one statement.
_BATCH: Final = 500


def observe(
    user: object,
    external_project_id: object,
    kind: str,
    *,
    object_id: object = "",
    seconds: float = 0,
    tasks: int = 0,
    labels: int = 0,
    at: datetime | None = None,
    key: str = "",
) -> bool:
    """Record what ``user`` has just done in a project; returns whether it was a trainer's work and is stored now.

    :param user: the account of who acted: the user, or the host's id of them (what ``grant_access`` returns).
    :param kind: one of ``WorkEntry.Kind``.
    :param object_id: the host's id of what was worked on. It must never mean another object later: where a database
        uses the ids of deleted rows again, add when the row was created.
    :param seconds: the time that *this* action took, up to ``at``. What another action claims, too, counts once.
    :param tasks: how many tasks this action has completed, and ``labels``, how many labels it has added. For
        SUBMITTED and CONFIRMED that is what the object has now: what was counted for it before isn't counted again.
        Negative is a counter-entry: no more is taken back than this trainer has gained on the object
        (``TAKE_BACK``: all of it).
    :param at: when, if not now: at most a day ago.
    :param key: what makes this action unique, so that it is stored once however often it is observed.

    Part of the caller's transaction, if that is in the same database. Never raises: what fails is logged.
    """
    now = timezone.now()
    moment = min(max(at or now, now - OLDEST_OBSERVED), now)
    try:
        values: dict[str, Any] = {
            "key": _exact(key or uuid.uuid4().hex),
            "external_project_id": _exact(external_project_id),
            "object_id": _exact(object_id),
            "kind": Kind(kind),
            "at": moment,
            "duration": min(max(timedelta(seconds=min(seconds, _MOST)), timedelta(0)), _A_DAY),
            "observed_at": now,
        }
        trainer = _trainer(_exact(getattr(user, "pk", user)), values["external_project_id"])
        return _insert(trainer, {**values, **_amounts(values, tasks, labels)}) > 0
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - the host's request goes on
        _log("Work", external_project_id, error)
        return False


def has_access(user_id: object, external_project_id: str) -> bool:
    """Whether this account is a trainer's who has access to the project: whether ``observe`` records their work."""
    return _trainer(_exact(user_id), external_project_id).exists()


def is_trainer(user_id: object) -> bool:
    """Whether this account is a trainer's who has access to any project."""
    ref = _exact(user_id)
    granted = AccessGrant.objects.filter(host_user_ref=ref, state=AccessGrant.State.GRANTED)
    return ref != "" and granted.exists()


def note_removal(external_project_id: object, *object_ids: object) -> int:
    """Record that others have removed objects: it changes nothing of the trainers' work on them, and is shown.

    The project itself, if none is named. Returns how many entries that makes: one for each trainer and object.
    Part of the caller's transaction; never raises: what fails is logged.
    """
    try:
        worked = WorkEntry.objects.filter(external_project_id=_exact(external_project_id))
        ids = [_exact(each) for each in object_ids]
        if not ids:
            return _note(worked, worked, object_id="")
        same = worked.filter(object_id=OuterRef("object_id"))
        batches = (ids[begin : begin + _BATCH] for begin in range(0, len(ids), _BATCH))
        return sum(_note(worked.filter(object_id__in=batch), same) for batch in batches)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - the host's request goes on
        _log("A removal", external_project_id, error)
        return 0


def _note(worked: QuerySet[WorkEntry], same: QuerySet[WorkEntry], **values: str) -> int:
    """A note after the last entry of each trainer on the ``same`` object."""
    last = same.filter(opentrain_user_id=OuterRef("opentrain_user_id")).order_by("-pk").values("pk")[:1]
    now = timezone.now()
    kept = {name: F(name) for name in ("external_project_id", "object_id", *_WHOSE)}
    key = Concat(Value(f"{uuid.uuid4().hex} "), Cast("pk", CharField()))
    noted = {"key": key, "kind": Kind.REMOVED, "at": now, "observed_at": now}
    return _insert(worked.filter(pk=Subquery(last)), {**kept, **noted, **values})


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


def _trainer(host_user_ref: str, external_project_id: str) -> QuerySet[AccessGrant]:
    """The grant by which this account has had access to the project for longest; none if it has none."""
    given = AccessGrant.objects.filter(
        host_user_ref=host_user_ref,
        opened_project_id=external_project_id,
        state=AccessGrant.State.GRANTED,
        granted_at__isnull=False,
    )
    return given.exclude(host_user_ref="").order_by("granted_at", "pk")[:1]


def _amounts(values: Mapping[str, Any], tasks: int, labels: int) -> dict[str, Any]:
    """The columns that say whose work it is, and how much this action adds to what the object has brought them."""
    whose = {
        "tenant": F("link__install__tenant"),
        "opentrain_user_id": F("participant__opentrain_user_id"),
        "access_since": F("granted_at"),
    }
    return {
        **whose,
        "tasks": _gain("tasks", tasks, values),
        "labels": _gain("labels", labels, values),
    }


#: Kinds that say what the object has now.
_LEVELS: Final = (Kind.SUBMITTED, Kind.CONFIRMED)


def _gain(column: str, number: int, values: Mapping[str, Any]) -> Any:
    number = min(max(number, TAKE_BACK), _MOST)
    again = values["kind"] in _LEVELS and number > 0
    if not values["object_id"] or not (again or number < 0):
        return max(number, 0)
    same = WorkEntry.objects.filter(
        object_id=values["object_id"],
        external_project_id=values["external_project_id"],
        opentrain_user_id=OuterRef("participant__opentrain_user_id"),
    )
    sums = same.order_by().values("opentrain_user_id").annotate(sum=Sum(column)).values("sum")
    before = Coalesce(Subquery(sums), Value(0), output_field=IntegerField())
    if again:
        return Greatest(Value(number) - before, Value(0), output_field=IntegerField())
    return Least(Greatest(Value(number), -before), Value(0), output_field=IntegerField())


def _insert(rows: QuerySet[Any], values: Mapping[str, Any]) -> int:
    """``INSERT … SELECT``: an entry for each of ``rows``, with these values; returns how many are new."""
    connection = connections[alias()]
    columns = {**_DEFAULTS, "work_date": work_day(values["at"]), **values}
    selected = {f"new_{name}": _expression(name, value) for name, value in columns.items()}
    query = rows.annotate(**selected).values_list(*selected).query
    sql, params = query.get_compiler(using=connection.alias).as_sql()
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, columns))
    statement = f"INSERT INTO {quote(WorkEntry._meta.db_table)} ({names}) {sql}"
    return retried(partial(_execute, statement, params, values["key"]))()


#: What the other columns have.
_DEFAULTS: Final = {"duration": timedelta(0), "tasks": 0, "labels": 0, "reason": "", "corrected_by": ""}


def _field(name: str) -> Field[Any, Any]:
    # No foreign keys: a field's name is its column's.
    return next(field for field in WorkEntry._meta.concrete_fields if field.name == name)


def _expression(name: str, value: Any) -> Combinable:
    if isinstance(value, Combinable):
        return value
    field = _field(name)
    # PostgreSQL takes what it selects for text.
    if connections[alias()].vendor == "postgresql":
        return Cast(Value(value, output_field=field), output_field=field)
    return Value(value, output_field=field)


def _execute(statement: str, params: Any, key: object) -> int:
    connection = connections[alias()]
    # A transaction of the caller's needs a savepoint to survive what fails here.
    guard = transaction.atomic(using=connection.alias) if connection.in_atomic_block else nullcontext()
    try:
        with guard, connection.cursor() as cursor:
            cursor.execute(statement, params)
            return int(cursor.rowcount)
    except IntegrityError:
        if not WorkEntry.objects.using(connection.alias).filter(key=key).exists():
            raise
        return 0
