"""The entry for django-health-check; and that nothing needs that package."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from django.utils import timezone

from django_opentrain.models import Heartbeat
from django_opentrain.services.workers import heartbeat
from tests import factories

NOTHING_ELSE_NEEDS_IT = """
import sys
sys.modules["health_check"] = None
import django
django.setup()
from django.urls import reverse
assert reverse("opentrain:health") == "/opentrain/health/"
assert "django_opentrain.health_check" not in sys.modules
try:
    import django_opentrain.health_check
except ImportError:
    print("absent")
"""


@pytest.mark.django_db
def test_it_says_what_the_health_url_says() -> None:
    exceptions = pytest.importorskip("health_check.exceptions")
    from django_opentrain.health_check import OpenTrainHealthCheck

    check = OpenTrainHealthCheck()
    with pytest.raises(exceptions.ServiceUnavailable):
        check.run()
    heartbeat.beat()
    check.run()
    endpoint = factories.make_endpoint(factories.make_install())
    factories.make_event(endpoint, received_at=timezone.now() - timedelta(hours=1))
    with pytest.raises(exceptions.ServiceWarning):
        check.run()
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(hours=1))
    with pytest.raises(exceptions.ServiceUnavailable):
        check.run()


def test_everything_else_works_without_that_package() -> None:
    command = [sys.executable, "-c", NOTHING_ELSE_NEEDS_IT]
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, "absent\n"), done.stderr
