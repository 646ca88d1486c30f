"""The doctor: whether this site works, what is broken, and what to do about it."""

from django_opentrain.services.conditions import Severity
from django_opentrain.services.doctor.examination import examine
from django_opentrain.services.doctor.findings import ADVICE, Finding

__all__ = ["ADVICE", "Finding", "Severity", "examine"]
