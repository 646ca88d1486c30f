"""Tracebacks without secrets: error reporters print the local variables of every frame.

Our own variables hold secrets in objects that mask them. The libraries' do not: what a time limit or a shutdown stops
inside of requests or smtplib leaves the token or the mail in their frames.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def without_locals(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Whatever ends a call of ``function``: the frames below the caller's keep no local variables."""

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs  # this frame still runs, so that it can't be cleared
            _forget(error)
            raise

    return call


def _forget(error: BaseException) -> None:
    waiting, known = [error], {id(error)}
    while waiting:
        error = waiting.pop()
        traceback.clear_frames(error.__traceback__)  # those that still run are left as they are
        before = [each for each in (error.__cause__, error.__context__) if each and id(each) not in known]
        waiting += before
        known.update(map(id, before))
