"""The entry for django-health-check; and that nothing needs that package."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

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


PROBES = """
import json
import os
import sys
import threading
import urllib.request
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, WSGIRequestHandler, make_server

import django
from django.conf import settings

from tests import settings as suite

values = {name: value for name, value in vars(suite).items() if name.isupper()}
values["DATABASES"] = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}}
values["ROOT_URLCONF"] = "__main__"
settings.configure(**values)
django.setup()

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.urls import include, path
from health_check.views import HealthCheckView

CHECK = "django_opentrain.health_check.OpenTrainHealthCheck"
urlpatterns = [
    path("opentrain/", include("django_opentrain.urls")),
    path("web/", HealthCheckView.as_view(checks=[CHECK])),
    path("monitor/", HealthCheckView.as_view(checks=[(CHECK, {"strict": True})])),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


def statuses():
    found = []
    for name in ("opentrain/health", "web", "monitor"):
        try:
            found.append(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{name}/?format=json").status)
        except urllib.error.HTTPError as error:
            found.append(error.code)
    return found


def connections_open():
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sum(os.path.exists(link) and os.path.realpath(link) == sys.argv[1] for link in links)


server = make_server("127.0.0.1", 0, get_wsgi_application(), Server, Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
down = statuses()
call_command("migrate", verbosity=0)
connection.close()
degraded = [statuses() for _probe in range(10)][-1]
print(json.dumps({"down": down, "degraded": degraded, "open": connections_open()}))
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts a process' open files")
def test_a_web_process_stays_for_what_workers_do_not_do(tmp_path: Path) -> None:
    """With the real package, in a real server with threads."""
    pytest.importorskip("health_check")
    done = subprocess.run(
        [sys.executable, "-c", PROBES, str(tmp_path / "site.sqlite3")],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"down": [503, 500, 500], "degraded": [200, 200, 500], "open": 0}


@pytest.mark.django_db
def test_for_a_monitor_it_says_what_is_wrong() -> None:
    exceptions = pytest.importorskip("health_check.exceptions")
    from django_opentrain.health_check import OpenTrainHealthCheck

    OpenTrainHealthCheck().run()
    check = OpenTrainHealthCheck(strict=True)
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


@pytest.mark.long
def test_everything_else_works_without_that_package() -> None:
    command = [sys.executable, "-c", NOTHING_ELSE_NEEDS_IT]
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, "absent\n"), done.stderr
