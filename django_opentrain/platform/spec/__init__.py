"""OpenTrain's served spec against what this package sends and reads.

The served spec is the contract of record; it can change without notice. Pure functions over parsed documents.
"""

from django_opentrain.platform.spec.compare import compare
from django_opentrain.platform.spec.differences import Difference, Kind, NotASpecError

__all__ = ["Difference", "Kind", "NotASpecError", "compare"]
