"""Our own errors: what they carry, and how each of them and of OpenTrain's is shown."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from django_opentrain import errors
from django_opentrain.api.exceptions import CODES
from django_opentrain.errors import (
    AdapterError,
    LinkError,
    ServiceError,
    StillNeededError,
    UndecryptableError,
)
from django_opentrain.explanations import explain
from django_opentrain.platform.errors import MissingScope, OpenTrainError, RateLimited

E = TypeVar("E", bound=Exception)


def kinds_of(kind: type[E]) -> Iterator[type[E]]:
    """A class of the package and those below it."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.startswith("django_opentrain."):
            yield from kinds_of(below)


OURS = list(kinds_of(ServiceError))
EVERY_KIND = [*OURS, *kinds_of(OpenTrainError)]


def _pickled(error: ServiceError) -> ServiceError:
    twin = pickle.loads(pickle.dumps(error))
    assert isinstance(twin, ServiceError)
    return twin


@pytest.mark.parametrize(
    "error",
    [
        *(kind() for kind in OURS),
        AdapterError("No seats."),
        LinkError("No.", field="job_id"),
        StillNeededError("a", "b"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, _pickled])
def test_survives_copying_and_pickling(
    error: ServiceError, clone: Callable[[ServiceError], ServiceError]
) -> None:
    twin = clone(error)
    assert (type(twin), str(twin), twin.args) == (type(error), str(error), error.args)
    assert (twin.code, twin.field) == (error.code, error.field)


def test_all_that_is_still_needed_is_said() -> None:
    error = StillNeededError("a contract", "two days")
    assert (error.reasons, str(error)) == (["a contract", "two days"], "a contract, two days")


def test_the_docstring_draws_the_tree() -> None:
    rows = re.findall(r"^ *[│├└─ ]*(\w+) +(\d{3}) +([A-Z_]+)", errors.__doc__ or "", re.MULTILINE)
    assert rows == [(kind.__name__, str(kind.http_status), kind.code) for kind in OURS]


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_each_kind_is_explained_with_a_documented_code_and_its_status(kind: type[ServiceError]) -> None:
    explanation = explain(kind("Why."))
    assert CODES[explanation.code] == explanation.http_status == kind.http_status
    assert explanation.title


def test_what_is_not_for_customers_is_not_told() -> None:
    class InternalError(AdapterError):
        public = False

    assert explain(InternalError("10.0.0.7 is down")).text == "Ask this site's administrators for details."
    explanation = explain(UndecryptableError())
    assert "ENCRYPTION_KEYS" not in f"{explanation.text} {explanation.advice}"
    assert explanation.reconnect


def test_what_opentrain_said_is_passed_on() -> None:
    explanation = explain(RateLimited("Slowly.", status=429, retry_after=150, request_id="req_1"))
    assert (explanation.retry_after, explanation.request_id, explanation.advice) == (
        150,
        "req_1",
        "Try again in 3 minutes.",
    )
    assert explain(RateLimited("Slowly.", status=429)).retry_after == 60
    assert explain(MissingScope("No.", scope="usage:write")).details == {"scope": "usage:write"}
