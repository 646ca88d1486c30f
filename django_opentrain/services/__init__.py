"""The services: what this package does. Those in ``__all__`` are public; the others are used by them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Each is loaded when it is imported, not with the first of them.
    from django_opentrain.services import (
        access,
        connect,
        endpoints,
        inbox,
        linking,
        purge,
        reconcile,
        usage,
        work,
    )

__all__ = ["access", "connect", "endpoints", "inbox", "linking", "purge", "reconcile", "usage", "work"]
