"""The network between OpenTrain and the site's receiver: it repeats, delays, loses, forges and floods."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tests.chaos.journal import Journal
from tests.chaos.ports import Port

SIGNATURE: Final = "X-OpenTrain-Signature"
#: Seconds. OpenTrain waits ten for an answer.
TIMEOUT: Final = 12.0
SLOW_SECONDS: Final = 2.0
HUGE: Final = 5_000_000


@dataclass(frozen=True)
class Letter:
    """One delivery, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


class Postman:
    """Takes deliveries at :attr:`url` and brings them to ``site``, as ordered."""

    def __init__(self, site_port: int, journal: Journal) -> None:
        self.site_port = site_port
        self._journal = journal
        self.port = Port()
        #: What is to happen to the next deliveries.
        self.orders: deque[str] = deque()
        #: Delivered before, for replays and forgeries.
        self.known: deque[Letter] = deque(maxlen=300)
        #: Seconds that the site took for each answer.
        self.times: deque[float] = deque(maxlen=20_000)
        self.statuses: Counter[int] = Counter()
        #: Forged or spoiled letters that the site took for good.
        self.fooled: list[str] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return self.port.url

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.port.close()

    def deliver(self, letter: Letter) -> int:
        """Bring it to the site; its status, 502 when the site didn't answer."""
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.site_port, timeout=TIMEOUT)
        try:
            connection.request("POST", letter.path, letter.body, letter.headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 502
        finally:
            connection.close()
        seconds = time.monotonic() - started
        self.times.append(seconds)
        if seconds > SLOW_SECONDS:
            self._journal.write("slow", "answer", seconds=round(seconds, 1), status=status)
        self.statuses[status] += 1
        return status

    def handle(self, letter: Letter) -> int:
        """Deliver a letter of OpenTrain's, as ordered; returns the status for OpenTrain."""
        self.known.append(letter)
        try:
            order = self.orders.popleft()
        except IndexError:
            return self.deliver(letter)
        return TREATMENTS[order](self, letter)

    def mischief(self, kind: str, dice: random.Random) -> None:
        """Send something that OpenTrain never sent. Whatever isn't refused is remembered as ``fooled``."""
        if not self.known:
            return
        letter = dice.choice(list(self.known))
        status = self.deliver(FORGERIES[kind](letter, dice))
        if 200 <= status < 300:
            self.fooled.append(f"{kind} to {letter.path}")

    def replay(self, dice: random.Random) -> None:
        """Some old deliveries once more, all at once."""
        letters = [dice.choice(list(self.known)) for _ in range(6)] if self.known else []
        in_parallel([lambda letter=letter: self.deliver(letter) for letter in letters])  # type: ignore[misc] # mypy can't infer a lambda with a default


def in_parallel(works: list[Callable[[], object]]) -> None:
    """Run all at once and wait for them."""
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# What happens to real deliveries ----------------------------------------------------------------


def _twice(postman: Postman, letter: Letter) -> int:
    """The same delivery twice at the same moment."""
    statuses: list[int] = []
    in_parallel([lambda: statuses.append(postman.deliver(letter))] * 2)
    return min(statuses)


def _late(postman: Postman, letter: Letter) -> int:
    """So late that others overtake it."""
    time.sleep(random.uniform(0.5, 4))
    return postman.deliver(letter)


def _answer_lost(postman: Postman, letter: Letter) -> int:
    """It arrived, but OpenTrain doesn't hear so."""
    postman.deliver(letter)
    return 502


def _lost(_postman: Postman, _letter: Letter) -> int:
    """It never arrived."""
    return 503


def _again_later(postman: Postman, letter: Letter) -> int:
    """It arrives, and a copy some seconds later."""
    copy = threading.Timer(random.uniform(1, 6), postman.deliver, [letter])
    copy.daemon = True
    copy.start()
    return postman.deliver(letter)


TREATMENTS: Final[dict[str, Callable[[Postman, Letter], int]]] = {
    "twice": _twice,
    "late": _late,
    "answer-lost": _answer_lost,
    "lost": _lost,
    "again-later": _again_later,
}


# What OpenTrain never sent ----------------------------------------------------------------------


def _with_signature(letter: Letter, signature: str) -> Letter:
    return replace(letter, headers={**letter.headers, SIGNATURE: signature})


def _forged(letter: Letter, dice: random.Random) -> Letter:
    made_up = f"t={int(time.time())},v1={dice.randbytes(32).hex()}"
    return _with_signature(letter, made_up)


def _truncated(letter: Letter, dice: random.Random) -> Letter:
    signature = letter.headers[SIGNATURE]
    return _with_signature(letter, signature[: dice.randrange(len(signature) - 1)])


def _altered(letter: Letter, _dice: random.Random) -> Letter:
    return replace(letter, body=letter.body.replace(b'"id"', b'"iD"', 1) + b" ")


def _redated(letter: Letter, _dice: random.Random) -> Letter:
    _, _, rest = letter.headers[SIGNATURE].partition(",")
    return _with_signature(letter, f"t={int(time.time()) + 1},{rest}")


def _huge(letter: Letter, _dice: random.Random) -> Letter:
    return replace(letter, body=letter.body + b" " * HUGE)


def _unsigned(letter: Letter, _dice: random.Random) -> Letter:
    return replace(letter, headers={k: v for k, v in letter.headers.items() if k != SIGNATURE})


FORGERIES: Final[dict[str, Callable[[Letter, random.Random], Letter]]] = {
    "forged": _forged,
    "truncated": _truncated,
    "altered": _altered,
    "redated": _redated,
    "huge": _huge,
    "unsigned": _unsigned,
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, postman: Postman) -> None:
        self.postman = postman
        super().__init__(("127.0.0.1", postman.port.number), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """OpenTrain didn't wait for the answer, or was killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kept = {name: value for name, value in self.headers.items() if name not in _HOP_BY_HOP}
        status = self.server.postman.handle(Letter(self.path, kept, body))
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Deliveries are no news."""


_HOP_BY_HOP: Final = {"Host", "Connection", "Content-Length", "Accept-Encoding"}
