"""The control API: what happens on OpenTrain's side, as JSON for demos, scripts and chaos.

``POST /control/api/{verb}`` with a JSON object; ``GET /control/api/state`` shows everything but
tokens and webhook secrets. Verbs and keys are the marketplace's methods and their arguments, in camelCase.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from django_opentrain.sandbox.budget import Budget, budget_of
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.errors import not_found
from django_opentrain.sandbox.marketplace import VERBS, Funded, Hired, Marketplace, Worked
from django_opentrain.sandbox.models import KINDS, Contract, Entity
from django_opentrain.sandbox.payloads import Json, as_json, camel, plain
from django_opentrain.sandbox.schema import Schema, issues_of, refuse

SECRET_FIELDS = {"digest", "secret"}
#: What the result of a verb is called in the answer where it is neither an entity nor several things.
RESULTS = {"redeliver": "requeued", "advance": "now", "clear_faults": "cleared"}

MAX_NUMBER = 2**31 - 1
_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\u0000]+$"}
_NUMBER: Schema = {"type": "number", "minimum": 0, "maximum": MAX_NUMBER}
_SCHEMAS: dict[object, Schema] = {
    str: _TEXT,
    bool: {"type": "boolean"},
    int: {**_NUMBER, "type": "integer"},
    float: _NUMBER,
    Decimal: _NUMBER,
    Mapping[str, object]: {"type": "object"},
}


def run(market: Marketplace, verb: str, body: Json) -> Json:
    """Do ``verb``; 404 for one that doesn't exist, 400 for arguments that it doesn't take."""
    if verb not in VERBS:
        raise not_found(f"Verbs are {', '.join(VERBS)}")
    refuse(list(issues_of(body, schema_of(verb))))
    names = inspect.signature(VERBS[verb]).parameters
    arguments: dict[str, Any] = {name: body[camel(name)] for name in names if camel(name) in body}
    with market.store.transaction():
        result = VERBS[verb](market, **arguments)
        return _answer(verb, result)


def run_form(market: Marketplace, verb: str, form: Mapping[str, str]) -> Json:
    """Do ``verb`` with what a form sends: text, also where the verb takes something else."""
    types = schema_of(verb)["properties"] if verb in VERBS else {}
    return run(market, verb, {key: _typed(types.get(key, {}).get("type"), form[key]) for key in form})


def _typed(kind: str | None, text: str) -> object:
    """What ``text`` means; what means nothing stays text, to be refused."""
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind not in {"number", "integer"}:
        return text
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() else value


@functools.cache
def schema_of(verb: str) -> Schema:
    """The arguments of ``verb`` as JSON Schema, from its signature."""
    hints = get_type_hints(VERBS[verb], include_extras=True)
    _market, *parameters = inspect.signature(VERBS[verb]).parameters.values()
    return {
        "type": "object",
        "properties": {camel(each.name): _schema(hints[each.name]) for each in parameters},
        "required": [camel(each.name) for each in parameters if each.default is inspect.Parameter.empty],
    }


def _schema(hint: Any) -> Schema:
    if get_origin(hint) in {Union, UnionType}:
        return _schema(next(each for each in get_args(hint) if each is not NoneType))
    if get_origin(hint) is Sequence:
        return {"type": "array", "minItems": 1, "items": _schema(*get_args(hint))}
    if get_origin(hint) is Annotated:
        kind, *keywords = get_args(hint)
        return {key: value for key, value in {**_schema(kind), **dict(keywords)}.items() if value is not None}
    return _SCHEMAS[hint]


def _answer(verb: str, result: Any) -> Json:
    if isinstance(result, Entity):
        return {camel(type(result).__name__): dump(result)}
    if verb in RESULTS:
        return {RESULTS[verb]: result}
    fields = result._asdict() if isinstance(result, (Hired, Funded, Worked)) else vars(result)
    return {camel(name): _shown(name, value) for name, value in fields.items()}


def state(market: Marketplace) -> Json:
    """Everything, by kind, oldest first; and each contract's budget."""
    store = market.store
    with store.transaction():
        everything: Json = {
            _plural(name): [dump(entity) for entity in store.all(kind)] for name, kind in KINDS.items()
        }
        budgets = {each.id: budget_of(store, each).shown() for each in store.all(Contract)}
    return {"now": iso(store.clock.now()), "speed": store.clock.speed, **everything, "budgets": budgets}


def dump(entity: Entity) -> Json:
    """An entity's fields, without secrets."""
    shown = as_json(entity, [name for name in vars(entity) if name not in SECRET_FIELDS])
    attempts = getattr(entity, "attempts", None)
    if attempts is not None:
        shown["attempts"] = [{**vars(each), "at": iso(each.at)} for each in attempts]
    return shown


def _shown(name: str, value: Any) -> object:
    if isinstance(value, Entity):
        return dump(value)
    return value.shown() if isinstance(value, Budget) else plain(name, value)


def _plural(kind: str) -> str:
    return {"Delivery": "deliveries", "Usage": "usage"}.get(kind, camel(kind) + "s")
