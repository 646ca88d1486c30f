"""The verbs of the core loop. Those of ``__all__`` are for a host's own code; the rest is what they need."""

__all__ = ["access", "connect", "endpoints", "inbox", "linking", "purge", "reconcile", "usage"]
