"""Forgetting in time (retention), at once (erasure), and re-encrypting what is kept (key rotation)."""

from django_opentrain.services.purge.retention import Purged, overdue, run

__all__ = ["Purged", "overdue", "run"]
