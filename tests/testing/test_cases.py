"""The kit without pytest's fixtures."""

from __future__ import annotations

import unittest

from django.test import TransactionTestCase
from django.utils import timezone

from django_opentrain.models import AccessGrant
from django_opentrain.testing.cases import OpenTrainMixin, OpenTrainTestCase


class Story(OpenTrainMixin):
    def test_a_hire_opens_the_project(self) -> None:
        self.opentrain.connect("acme")
        self.opentrain.link("1")
        maria = self.opentrain.hire("Maria S.")
        self.opentrain.run()
        assert maria.grant.state == AccessGrant.State.GRANTED


class TestWithinATransaction(Story, OpenTrainTestCase):
    """``django.test.TestCase``."""


class TestWithCommits(Story, TransactionTestCase):
    """``django.test.TransactionTestCase``."""


def test_a_failing_test_leaves_the_clock_as_it_was() -> None:
    class Failing(OpenTrainMixin, unittest.TestCase):
        def test(self) -> None:
            assert timezone.now is not now
            raise ZeroDivisionError

    now = timezone.now
    result = unittest.TestResult()
    Failing("test").run(result)
    [(_test, traceback)] = result.errors
    assert "ZeroDivisionError" in traceback
    assert timezone.now is now
