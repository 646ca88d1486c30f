"""Clients of the Platform API with this site's settings."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import requests

from django_opentrain.conf import conf
from django_opentrain.platform.client import Observer, PlatformClient, build_session


@lru_cache(maxsize=1)
def shared_session() -> requests.Session:
    """The process's connection pool. It holds no credentials and no cookies."""
    return build_session()


def build_client(
    token: str, *, scopes: Collection[str] | None = None, observer: Observer | None = None
) -> PlatformClient:
    """A client for this token. One without an observer also calls for an install that OpenTrain has refused."""
    return PlatformClient(
        conf.base_url,
        token,
        connect_timeout=conf.connect_timeout,
        read_timeout=conf.read_timeout,
        max_retries=conf.max_retries,
        session=shared_session(),
        scopes=scopes,
        observer=observer,
    )
