"""Clients of the Platform API with this site's settings.

The models import this module, and it is loaded when Django starts. requests, which takes 5 MB, and the client with
it, are loaded with the first client: most web processes make none.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from django.apps import apps

from django_opentrain.conf import conf

if TYPE_CHECKING:
    import requests

    from django_opentrain.platform.client import Observer, PlatformClient
    from django_opentrain.platform.transport import OnRequest

#: The upper bounds of the metrics' histogram, in seconds.
LATENCIES: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


@lru_cache(maxsize=1)
def shared_session() -> requests.Session:
    """The process's connection pool. It holds no credentials and no cookies."""
    from django_opentrain.platform.connections import build_session  # noqa: PLC0415 - see above

    return build_session()


def build_client(
    token: str,
    *,
    scopes: Collection[str] | None = None,
    observer: Observer | None = None,
    on_request: OnRequest | None = None,
) -> PlatformClient:
    """A client for this token. One without an observer also calls for an install that OpenTrain has refused.

    ``on_request`` counts its requests instead of ``count_request``, which writes to the database.
    """
    from django_opentrain.platform.client import PlatformClient  # noqa: PLC0415 - see above

    return PlatformClient(
        conf.base_url,
        token,
        connect_timeout=conf.connect_timeout,
        read_timeout=conf.read_timeout,
        max_retries=conf.max_retries,
        session=shared_session(),
        scopes=scopes,
        observer=observer,
        on_request=on_request or count_request,
    )


def count_request(status: int, seconds: float) -> None:
    """For the metrics. Counts by the seconds that the request took at most: a histogram's bucket."""
    at_most = next((f"{bound:g}" for bound in LATENCIES if seconds <= bound), "+Inf")
    # Asked of the registry: the models import this module.
    counter = apps.get_model("django_opentrain", "Counter")
    counter.objects.count_up(counter.Metric.API_REQUESTS, str(status), at_most, seconds=seconds)
