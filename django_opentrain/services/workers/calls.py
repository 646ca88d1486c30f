"""Calls to OpenTrain that don't wait for each other, while all else stays in one thread.

Work with calls in it is written as a generator: it yields each call, and goes on with the answer, or the error, where
it has yielded. So the database, the host's code, time limits and transactions are this thread's alone; other threads
only make HTTP requests.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Final, Generic, TypeAlias, TypeVar

from django_opentrain.clients import build_client, count_request
from django_opentrain.models import Install
from django_opentrain.models.installs import InstallObserver
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.platform.resources import UsageEntry, UsageResult

Answer = TypeVar("Answer")
Result = TypeVar("Result")

#: Work that yields its calls. They use no database, and may be made in another thread.
Steps: TypeAlias = Generator[Callable[[], Answer], Answer, Result]

#: Calls on their way at once, of one process: as many connections are kept open (``platform.connections``).
MAX_AT_ONCE: Final = 8


def alone(steps: Steps[Answer, Result]) -> Result:
    """Do it with each call in this thread."""
    resume = partial(next, steps)
    while True:
        try:
            call = resume()
        except StopIteration as end:
            result: Result = end.value
            return result
        resume = _with_outcome(steps, call)


def together(works: Sequence[Steps[Answer, Result]]) -> Iterator[Result]:
    """Do all of them, in their order, up to ``MAX_AT_ONCE`` at once; their results, as they come.

    Each one's calls follow one another. Once OpenTrain has asked for a pause, no more than one call is made at once:
    the limit may not be one install's alone. If one of them raises, the others are closed where they are: calls that
    are on their way end unheard.
    """
    if len(works) == 1:
        yield alone(works[0])
        return
    window: _Window[Answer, Result] = _Window()
    try:
        for steps in works:
            yield from window.until_free()
            yield from window.resume(steps, partial(next, steps))
        yield from window.until_empty()
    finally:
        window.close()


class DetachedClient:
    """An install's client whose calls are made elsewhere: what belongs to the database stays where the steps are."""

    def __init__(self, install: Install) -> None:
        """Raises ``UndecryptableError`` when the token's key is lost."""
        self._requests: list[tuple[int, float]] = []
        self._observer = InstallObserver(install)
        self._client = build_client(
            install.token or "",
            scopes=install.scopes,
            on_request=lambda *request: self._requests.append(request),
        )

    def report_usage(
        self, contract_id: str, entries: Sequence[UsageEntry]
    ) -> Steps[UsageResult, UsageResult]:
        """``PlatformClient.report_usage`` in steps."""
        return self._observed(partial(self._client.report_usage, contract_id, entries))

    def _observed(self, call: Callable[[], Answer]) -> Steps[Answer, Answer]:
        self._observer.before_call()
        try:
            answer = yield call
        except OpenTrainError as error:
            self._observer.after_call(error)
            raise
        finally:
            while self._requests:
                count_request(*self._requests.pop())
        self._observer.after_call(None)
        return answer


class _Window(Generic[Answer, Result]):
    """Works whose calls are on their way."""

    def __init__(self) -> None:
        self._running: dict[Future[Answer], Steps[Answer, Result]] = {}
        self._threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="opentrain-call")
        self._room = MAX_AT_ONCE

    def until_free(self) -> Iterator[Result]:
        while len(self._running) >= self._room:
            yield from self._next()

    def until_empty(self) -> Iterator[Result]:
        while self._running:
            yield from self._next()

    def resume(
        self, steps: Steps[Answer, Result], step: Callable[[], Callable[[], Answer]]
    ) -> Iterator[Result]:
        try:
            call = step()
        except StopIteration as end:
            yield end.value
        else:
            self._running[self._threads.submit(call)] = steps

    def close(self) -> None:
        for steps in self._running.values():
            steps.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> Iterator[Result]:
        """Wait for answers, and go on with whose they are."""
        answered, _waiting = wait(self._running, return_when=FIRST_COMPLETED)
        for future in answered:
            error = future.exception()
            if isinstance(error, OpenTrainError) and error.asks_for_pause:
                self._room = 1
            steps = self._running.pop(future)
            yield from self.resume(steps, _with_outcome(steps, future.result))


def _with_outcome(steps: Steps[Answer, Result], call: Callable[[], Answer]) -> partial[Callable[[], Answer]]:
    """What continues ``steps`` after the call: with its answer, or its error."""
    try:
        return partial(steps.send, call())
    except BaseException as error:  # noqa: BLE001 - raised in the steps, as if they had made the call
        return partial(steps.throw, error)
