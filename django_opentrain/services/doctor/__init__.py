"""The doctor: whether this site works, what is broken, and what to do about it."""

from django_opentrain.services.doctor.examination import examine
from django_opentrain.services.doctor.findings import ADVICE, Finding, Severity

__all__ = ["ADVICE", "Finding", "Severity", "examine"]
