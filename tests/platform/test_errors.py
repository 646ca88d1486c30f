from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable

import pytest

from django_opentrain.platform import errors
from django_opentrain.platform.catalog import ERROR_STATUSES
from django_opentrain.platform.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    MissingScope,
    OpenTrainAPIError,
    OpenTrainConnectionError,
    OpenTrainError,
    RateLimited,
    ServerError,
    UnusableResponse,
)

ANSWERED: list[type[OpenTrainAPIError]] = [
    OpenTrainAPIError,
    *errors.BY_STATUS.values(),
    ServerError,
    UnusableResponse,
]
EVERY_KIND: list[OpenTrainError] = [
    OpenTrainError("No."),
    InvalidRequest("limit must be from 1 to 200."),
    OpenTrainConnectionError("Unreachable.", outcome_unknown=False),
    OpenTrainConnectionError("Lost."),
    *(
        kind("No.", status=418, code="TEAPOT", request_id="req_1", details={"index": [3]}, retry_after=1.5)
        for kind in ANSWERED
    ),
    MissingScope("No scope.", scope="usage:write", status=403, request_id="req_2"),
]


def _pickled(error: OpenTrainError) -> OpenTrainError:
    twin = pickle.loads(pickle.dumps(error))
    assert isinstance(twin, OpenTrainError)
    return twin


@pytest.mark.parametrize("error", EVERY_KIND, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, _pickled])
def test_survives_copying_and_pickling(
    error: OpenTrainError, clone: Callable[[OpenTrainError], OpenTrainError]
) -> None:
    twin = clone(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)
    assert twin.outcome_unknown is error.outcome_unknown


def test_a_raised_outcome_survives_pickling() -> None:
    error = RateLimited("Slow down.", status=429)
    error.outcome_unknown = True  # an earlier attempt of the same operation was lost
    assert _pickled(error).outcome_unknown is True


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (InvalidRequest("x"), False),
        (OpenTrainConnectionError("x"), True),
        (OpenTrainConnectionError("x", outcome_unknown=False), False),
        (OpenTrainAPIError("x", status=302), False),
        (Conflict("x", status=409), False),
        (RateLimited("x", status=429), False),
        (ServerError("x", status=503), True),
        (UnusableResponse("x", status=200), True),
    ],
)
def test_whether_the_request_may_have_taken_effect(error: OpenTrainError, *, unknown: bool) -> None:
    assert error.outcome_unknown is unknown


def test_the_text_ends_with_the_request_id() -> None:
    assert str(Conflict("OpenTrain reports a conflict.", request_id="req_9")) == (
        "OpenTrain reports a conflict. (request req_9)"
    )
    assert str(Conflict("OpenTrain reports a conflict.")) == "OpenTrain reports a conflict."


def test_the_details_are_the_errors_own() -> None:
    details = {"index": 1}
    error = OpenTrainAPIError("No.", details=details)
    details["index"] = 2
    assert error.details == {"index": 1}


def test_what_is_refused_here_is_a_value_error_and_what_lacks_a_scope_is_forbidden() -> None:
    assert issubclass(InvalidRequest, ValueError)
    assert issubclass(MissingScope, Forbidden)


def test_every_documented_status_has_its_error() -> None:
    assert {status for status in ERROR_STATUSES.values() if status < 500} == set(errors.BY_STATUS)


_DRAWN = re.compile(r"^    ([│├└─ ]*)(\w+) .*?(\d{3}) +([A-Z]+_[A-Z]+|[A-Z]+)\b", re.MULTILINE)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    path: list[str] = []
    drawn: dict[str, tuple[str, int, str]] = {}
    for branches, name, http_status, code in _DRAWN.findall(errors.__doc__):
        path[len(branches) // 4 :] = [name]
        drawn[name] = (path[-2] if path[1:] else "Exception", int(http_status), code)
    defined = {
        name: (kind.__bases__[0].__name__, kind.http_status, kind.code)
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, OpenTrainError)
    }
    assert drawn == defined


@pytest.mark.parametrize("error", EVERY_KIND, ids=lambda error: type(error).__name__)
def test_every_error_carries_the_same_attributes(error: OpenTrainError) -> None:
    assert error.code
    assert 400 <= error.http_status < 600
    assert error.retry_after is None or error.retry_after == 1.5
    assert error.public
    assert not error.outcome_unknown or error.http_status == 503


@pytest.mark.parametrize("kind", ANSWERED)
def test_the_class_has_a_code_where_opentrain_sent_none(kind: type[OpenTrainAPIError]) -> None:
    by_proxy, by_opentrain = kind("No.", status=418), kind("No.", status=418, code="TEAPOT")
    assert (by_proxy.code, by_proxy.from_opentrain) == (kind.code, False)
    assert (by_opentrain.code, by_opentrain.from_opentrain) == ("TEAPOT", True)
    assert (by_opentrain.status, by_opentrain.http_status) == (418, kind.http_status)


def test_the_codes_are_the_documented_ones() -> None:
    documented = {status: code for code, status in ERROR_STATUSES.items()}
    assert {status: kind.code for status, kind in errors.BY_STATUS.items()} | {
        500: ServerError.code
    } == documented
