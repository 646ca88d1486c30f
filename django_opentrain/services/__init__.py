"""The services: what this package does. Those in ``__all__`` are public; the others are used by them."""

__all__ = ["access", "connect", "endpoints", "inbox", "linking", "purge", "reconcile", "usage", "work"]
