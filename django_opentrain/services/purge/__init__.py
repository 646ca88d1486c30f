"""Purging after the retention period, erasure on request, and key rotation."""

from django_opentrain.services.purge.retention import Purged, overdue, run

__all__ = ["Purged", "overdue", "run"]
