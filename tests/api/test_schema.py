"""The OpenAPI description: clean, current, and optional."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from django_opentrain.api.urls import ROUTES

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs" / "openapi.yaml"
HOST = "tests.api.schema_settings"


def python(*arguments: str, settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.long
def test_the_description_is_clean_and_current(tmp_path: Path) -> None:
    pytest.importorskip("drf_spectacular")
    made = tmp_path / "openapi.yaml"
    command = ("-m", "django", "spectacular", "--validate", "--fail-on-warn", "--file", str(made))
    result = python(*command, settings=HOST)
    assert (result.returncode, result.stderr) == (0, "")
    # To renew it: DJANGO_SETTINGS_MODULE=tests.api.schema_settings django-admin spectacular --file docs/openapi.yaml
    assert yaml.safe_load(made.read_text()) == yaml.safe_load(COMMITTED.read_text())


@pytest.mark.slow
def test_a_host_with_sessions_of_its_own_is_described_as_well() -> None:
    pytest.importorskip("drf_spectacular")
    result = python(
        "-m", "django", "spectacular", "--validate", "--fail-on-warn", settings="tests.api.schema_host"
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert set(yaml.safe_load(result.stdout)["components"]["securitySchemes"]) == {
        "cookieAuth",
        "opentrainSession",
    }


@pytest.mark.slow
def test_a_hosts_own_components_are_described_as_without_ours() -> None:
    pytest.importorskip("drf_spectacular")
    command = ("-m", "django", "spectacular", "--validate", "--fail-on-warn")
    settings = "tests.api.schema_host"
    alone = python(*command, "--urlconf", "tests.api.schema_host_alone", settings=settings)
    beside = python(*command, settings=settings)
    assert (alone.returncode, beside.returncode) == (0, 0), alone.stderr + beside.stderr
    own = yaml.safe_load(alone.stdout)["components"]["schemas"]
    assert {"Own", "CodeEnum", "KindEnum"} < set(own)
    every = yaml.safe_load(beside.stdout)["components"]["schemas"]
    assert {name: every.get(name) for name in own} == own
    # "Patched" is drf-spectacular's, and comes first.
    assert not [name for name in set(every) - set(own) if not re.match(r"(Patched)?OpenTrain", name)]


def schemas_of_requests(node: Any, components: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each schema in it, those that it refers to included."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield from schemas_of_requests(components[node["$ref"].rpartition("/")[2]], components)
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from schemas_of_requests(each, components)


def test_nothing_that_a_client_sends_has_a_default() -> None:
    # openapi-typescript requires such a field; openapi-python-client sends the default with each request.
    described = yaml.safe_load(COMMITTED.read_text())
    requests = [
        (path, method, part)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        for part in [*operation.get("parameters", []), operation.get("requestBody", {})]
    ]
    schemas = [
        (path, method, schema)
        for path, method, part in requests
        for schema in schemas_of_requests(part, described["components"]["schemas"])
    ]
    properties = {name for _, _, schema in schemas for name in schema.get("properties", {})}
    assert {"provisioningMode", "reportWithheldHours", "compromised", "entries"} < properties
    assert [each for each in schemas if "default" in each[2]] == []


@pytest.mark.slow
def test_an_api_at_a_path_of_the_hosts_has_each_operation_once() -> None:
    pytest.importorskip("drf_spectacular")
    settings = "tests.api.schema_elsewhere_settings"
    result = python("-m", "django", "spectacular", "--validate", "--fail-on-warn", settings=settings)
    assert (result.returncode, result.stderr) == (0, "")
    described, committed = yaml.safe_load(result.stdout), yaml.safe_load(COMMITTED.read_text())
    moved = {path.replace("/opentrain/api/", "/api/v1/opentrain/") for path in committed["paths"]}
    assert set(described["paths"]) == moved
    operations = [each["operationId"] for path in described["paths"].values() for each in path.values()]
    # REST framework adds HEAD with the first request.
    routed = [method for _, _, actions, _ in ROUTES for method in actions if method != "head"]
    assert len(operations) == len(set(operations)) == len(routed)
    assert set(described["components"]["securitySchemes"]) == {"tokenAuth"}


def test_the_document_has_every_url() -> None:
    text = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    section = text.partition("## Resources")[2].partition("## ")[0]
    documented: list[str] = []
    for row in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE):
        for path in re.findall(r"`([^`]+)`", row):
            # "…/pause/" stands beside the path that it differs from in its last part.
            documented.append(path.replace("…", documented[-1].rsplit("/", 2)[0]) if "…" in path else path)
    assert sorted(documented) == sorted(route.replace("<int:pk>", "{id}") for route, *_ in ROUTES)


WITHOUT = """
import sys
sys.modules["drf_spectacular"] = None
import django
django.setup()
from django.urls import reverse
from django_opentrain.api.urls import urlpatterns
print(len(urlpatterns), reverse("opentrain:api-install-list"), "django_opentrain.api.schema" in sys.modules)
"""


@pytest.mark.long
def test_the_api_needs_no_drf_spectacular() -> None:
    result = python("-W", "error", "-c", WITHOUT, settings="tests.settings")
    assert (result.stdout, result.stderr) == (f"{len(ROUTES)} /opentrain/api/installs/ False\n", "")
