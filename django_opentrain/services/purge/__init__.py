"""Purging after the retention period, erasure on request, and key rotation."""

from django_opentrain.services.purge.retention import Purged, is_due, overdue, run

__all__ = ["Purged", "is_due", "overdue", "run"]
