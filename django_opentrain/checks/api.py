"""The API: with one policy, wherever it is mounted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.core.checks import CheckMessage
from django.urls import URLPattern, get_resolver

from django_opentrain.checks.messages import CheckId, configured, message

#: By this one of its views the API is found.
_LANDMARK: Final = "api-install-list"
_POLICY: Final = ("authentication_classes", "permission_classes", "throttle_classes")


#: The API is mounted at several paths, with different authentication, permission or throttle classes: who is
#: refused at one may be admitted at another. Include `django_opentrain.web.urls`, which has no API, in the
#: place of `django_opentrain.urls`, and [mount the API once](docs/reference/api.md#where-it-is). A policy
#: that is to hold for pages and API alike belongs into the adapter's
#: [`check_request`](docs/how-to/restrict-pages.md#a-policy-of-your-own).
W020: Final = CheckId("W020")


def check_api(**_options: Any) -> list[CheckMessage]:
    """Whether one policy is stricter than another that is open beside it."""
    if not configured():
        return []
    policies: dict[str, tuple[object, ...]] = {}
    for route, view in _mounts(get_resolver().url_patterns):
        # Of two at one path, the first one answers.
        policies.setdefault(route, tuple(tuple(getattr(view, name)) for name in _POLICY))
    if len(set(policies.values())) < 2:
        return []
    text = f"The API is mounted with different policies: at {', '.join(f'/{route}' for route in policies)}."
    return [
        message(
            W020,
            text,
            "Include django_opentrain.web.urls, which has no API, and mount the API once beside it.",
        )
    ]


def _mounts(patterns: Any, prefix: str = "") -> Iterator[tuple[str, type]]:
    for each in patterns:
        route = prefix + str(each.pattern)
        if not isinstance(each, URLPattern):
            yield from _mounts(each.url_patterns, route)
        elif each.name == _LANDMARK and (view := getattr(each.callback, "cls", None)):
            yield route, view
