"""schemathesis calls the sandbox in every way that its OpenAPI document allows, and in some that it doesn't.

``FUZZING_SEED`` and ``FUZZING_EXAMPLES`` make other runs.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from django_opentrain.platform.catalog import API_PATH
from django_opentrain.sandbox import Sandbox
from django_opentrain.sandbox.server import serving
from tests.sandbox.conftest import Api

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="tox -e fuzzing has it"),
]

CONFIG = """
continue-on-failure = true
warnings = false

[[operations]]
# A worker has to be a hired trainer.
include-method = "POST"
include-path = "/contracts/{contractId}/usage"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409]
"""


def test_schemathesis_finds_nothing(sandbox: Sandbox, api: Api, tmp_path: Path) -> None:
    api.link()
    api.subscribe()
    sandbox.hire("Maria S.")
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG, encoding="utf-8")
    with serving(sandbox.app) as url:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
                *(f"{url}{API_PATH}/openapi.json", "--url", url + API_PATH),
                *("--header", f"Authorization: Bearer {api.token}", "--checks", "all", "--no-color"),
                *(
                    "--seed",
                    os.environ.get("FUZZING_SEED", "1"),
                    "-n",
                    os.environ.get("FUZZING_EXAMPLES", "15"),
                ),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {200, 201, 400, 404, 409} <= {call.status for call in sandbox.calls}
