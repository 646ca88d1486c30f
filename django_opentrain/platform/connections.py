"""Pooled connections that end each attempt in time and know whether its request was sent.

``requests`` limits each wait for bytes, not their sum: headers that arrive one byte at a time would hold a worker
for hours. And its exceptions don't prove that the request wasn't sent: urllib3 2 also raises ``ProxyError`` when the
peer hangs up after the request.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection

POOL_SIZE: Final = 10


class Attempt:
    """One attempt to get a response: how long it may take, and how far it came."""

    def __init__(self, *, seconds: float, latest: float = math.inf) -> None:
        """``seconds`` for the response, once connected, but not after ``latest`` (``time.monotonic``)."""
        self._seconds = seconds
        self._latest = latest
        #: False while a connection is made, with its tunnel and TLS: what fails then was never sent.
        self.connected = True
        self.deadline = self._deadline()

    def _deadline(self) -> float:
        return min(time.monotonic() + self._seconds, self._latest)

    def remaining(self) -> float:
        """Seconds until the deadline. Raises ``TimeoutError`` when there are none."""
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the response took too long")
        return seconds

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """The block's time doesn't count as the response's."""
        self.connected = False
        yield
        self.connected = True
        self.deadline = self._deadline()


#: The attempt for which this thread uses its connections.
_current: ContextVar[Attempt] = ContextVar("attempt")


@contextmanager
def attempting(attempt: Attempt) -> Iterator[None]:
    """Requests in the block, with a session of ``build_session``, belong to ``attempt``."""
    token = _current.set(attempt)
    try:
        yield
    finally:
        _current.reset(token)


def build_session(*, pool_size: int = POOL_SIZE) -> requests.Session:
    """A session to share between the threads of a process, and between clients: it holds no credentials.

    Keeps up to ``pool_size`` connections open. Takes no cookies. Proxies and CA bundles come from the
    environment, as usual with requests.
    """
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(pool_connections=pool_size, pool_maxsize=pool_size, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class BoundedReads(io.RawIOBase):
    """What a socket receives, until the attempt's deadline."""

    def __init__(self, received: io.RawIOBase, sock: Any, attempt: Attempt) -> None:
        self._received = received
        self._sock = sock
        self._attempt = attempt

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        usual = self._sock.gettimeout()
        self._sock.settimeout(min(usual, self._attempt.remaining()))
        try:
            return self._received.readinto(buffer)
        finally:
            self._sock.settimeout(usual)  # the connection is kept

    def close(self) -> None:
        self._received.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        attempt = _current.get(None)
        if attempt is not None:
            self.fp = io.BufferedReader(BoundedReads(self.fp.detach(), sock, attempt))


class _Connection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        attempt = _current.get(None)
        if attempt is None:
            super().connect()
        else:
            with attempt.connecting():
                super().connect()


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _track(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        _track(manager)
        return manager


def _track(manager: PoolManager) -> None:
    """Let ``manager`` make connections of ours, before it has made any."""
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _tracked(pool) for scheme, pool in pools.items()}


@cache
def _tracked(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """``pool``, whatever its kind (HTTP, HTTPS, SOCKS), with connections of ours."""
    if issubclass(pool.ConnectionCls, _Connection):
        return pool
    connection = type(pool.ConnectionCls.__name__, (_Connection, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})
