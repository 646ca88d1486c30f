"""The site's observer: what its adapter names is called once, when the site starts."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from django_opentrain.adapters.base import get_adapter


def connect() -> None:
    """Call the observer of the site's adapter, if it has one.

    Raises ``ImproperlyConfigured`` if it isn't named by its path, and ``ImportError`` if it isn't there.
    """
    try:
        adapter = get_adapter()
    except ImproperlyConfigured:
        return  # a system check says so
    if not isinstance(adapter.observer, str):
        name = f"{type(adapter).__qualname__}.observer"
        raise ImproperlyConfigured(
            f"{name} has to be the dotted path of a function, such as 'mysite.observing.connect'."
        )
    if adapter.observer:
        import_string(adapter.observer)()
