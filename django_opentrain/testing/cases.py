"""The kit for those who test with ``unittest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.test import TestCase

from django_opentrain.testing.kit import OpenTrain

if TYPE_CHECKING:
    from unittest import TestCase as MixedInto
else:
    MixedInto = object


class OpenTrainMixin(MixedInto):
    """Adds ``self.opentrain`` to any of Django's test cases: put it first.

    A ``setUp`` of your own calls ``super().setUp()``.
    """

    opentrain: OpenTrain

    def setUp(self) -> None:
        super().setUp()
        kit = OpenTrain()
        # Entered first, cleaned up last: after what the test itself has registered.
        self.opentrain = kit.__enter__()
        self.addCleanup(kit.__exit__, None, None, None)


class OpenTrainTestCase(OpenTrainMixin, TestCase):
    """A ``django.test.TestCase`` with ``self.opentrain``."""
