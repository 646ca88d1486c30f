"""What OpenTelemetry's instrumentations of Django, Celery and requests see, in their default options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

#: As docs/how-to/monitor.md has it.
EXCLUDED = "OTEL_PYTHON_DJANGO_EXCLUDED_URLS"


def traced(**environment: str) -> tuple[list[Any], list[str]]:
    """The spans of a whole loop, and which of its secrets are in them."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.traced_site"],
        env={**os.environ, "TEST_DATABASE": "sqlite", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout)
    exported = json.dumps(found["spans"])
    assert all(len(each) > 10 for each in found["secrets"].values())
    return found["spans"], [name for name, secret in found["secrets"].items() if secret in exported]


@pytest.mark.slow
def test_spans_carry_no_secret() -> None:
    spans, secrets = traced(**{EXCLUDED: "set-password"})
    kinds = Counter(span["kind"] for span in spans)
    assert min(kinds[f"SpanKind.{kind}"] for kind in ("SERVER", "CLIENT", "CONSUMER")) > 1
    assert any(span["attributes"].get("http.status_code") == 500 for span in spans)
    assert secrets == []
    # It is a link's own, as in Django's password reset: so it is seen without that option.
    assert traced(**{EXCLUDED: ""})[1] == ["first login"]
