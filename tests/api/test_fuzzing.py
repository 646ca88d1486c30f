"""schemathesis calls the running example in every way that its description allows, and in some that it doesn't.

All its checks, its stateful phase included, find nothing. ``FUZZING_SEED`` and ``FUZZING_EXAMPLES`` make other runs.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from example_project.demo.opentrain import OpenTrain
from example_project.demo.people import Customer
from example_project.demo.processes import Processes
from example_project.demo.stage import environment, set_up

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="tox -e fuzzing has it"),
]

ROOT = Path(__file__).resolve().parents[2]
#: A disconnected customer can do little more: that operation is called in a run of its own.
ENDS_IT = "opentrain_disconnect"

CONFIG = """
hooks = "tests.api.fuzzing_hooks"
continue-on-failure = true
warnings = false

[auth.openapi.cookieAuth]
api_key = "{session}"

[output.sanitization]
enabled = false

[[operations]]
# A cursor is an opaque text that only a list can give out.
include-method = "GET"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404]

[[operations]]
# A token is an opaque text that only OpenTrain can give out.
include-operation-id = "opentrain_give_token"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409, 503]

[[operations]]
# A project has to be the customer's.
include-operation-id = ["opentrain_link_project", "opentrain_connect"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409, 503]

[[operations]]
# A day has to be in the past, and a worker has to be a participant.
include-operation-id = "opentrain_report_usage"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404]
"""


class Site(NamedTuple):
    """The running example, and the cookies of a customer who is connected, has linked a project and hired."""

    url: str
    cookies: dict[str, str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("fuzzing")
    (folder / "logs").mkdir()
    with ExitStack() as stack:
        # gunicorn answers long URLs itself otherwise, before the site sees them.
        env = {**environment(folder, stack), "GUNICORN_CMD_ARGS": "--limit-request-line 0"}
        processes = Processes(env, folder / "logs")
        stack.callback(processes.close)
        stage = set_up(processes, folder)
        customer, opentrain = Customer(stage.site), OpenTrain(stage.sandbox)
        stack.callback(customer.close)
        stack.callback(opentrain.close)
        customer.log_in("customer", "customer")
        customer.ask_to_connect()
        customer.return_with(customer.approve())
        job = opentrain.state()["jobs"][0]["id"]
        customer.link("Customer feedback", job)
        opentrain.hire("Maria S.", job)
        yield Site(stage.site, customer._session.cookies.get_dict())


def fuzz(site: Site, folder: Path, *arguments: str) -> None:
    """Run schemathesis. Fails with what it found."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.format(session=site.cookies["sessionid"]), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
        *(str(ROOT / "docs" / "openapi.yaml"), "--url", site.url, "--checks", "all", "--no-color"),
        *("--seed", os.environ.get("FUZZING_SEED", "1"), "-n", os.environ.get("FUZZING_EXAMPLES", "15")),
    ]
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CSRF_TOKEN": site.cookies["csrftoken"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_schemathesis_finds_nothing(site: Site, tmp_path: Path) -> None:
    fuzz(site, tmp_path, "--exclude-operation-id", ENDS_IT)
    fuzz(site, tmp_path, "--include-operation-id", ENDS_IT)
