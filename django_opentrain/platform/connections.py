"""Pooled connections that end each attempt in time and know whether its request was sent.

``requests`` limits each wait for bytes, not their sum (see ``deadlines``). And its exceptions don't prove that the
request wasn't sent: urllib3 2 also raises ``ProxyError`` when the peer hangs up after the request.
"""

from __future__ import annotations

import io
from functools import cache
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection

from django_opentrain.platform.deadlines import BoundedReads, current_attempt

POOL_SIZE: Final = 10


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


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        attempt = current_attempt.get(None)
        if attempt is not None:
            self.fp = io.BufferedReader(BoundedReads(self.fp.detach(), sock, attempt))


class _Connection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        attempt = current_attempt.get(None)
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
