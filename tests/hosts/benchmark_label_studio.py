"""What observing work adds to the request that submits an annotation, inside Label Studio.

::

    tox -e label-studio -- -s benchmark_label_studio.py

Submissions with and without the entry alternate, so that noise which lasts longer than a request hits both. Not a
test: it fails where a request fails, or where the entry takes more than a statement.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_opentrain.adapters.label_studio import model
from django_opentrain.services.work import observing
from django_opentrain.testing.kit import OpenTrain
from tests.hosts.studio import Site, browser_of, choice

if not apps.is_installed("organizations"):
    pytest.skip("not inside Label Studio: run tox -e label-studio", allow_module_level=True)

PAIRS = 100
WARM_UP = 10


@pytest.mark.django_db(transaction=True)
def test_submitting(opentrain: OpenTrain, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(opentrain)
    browser = browser_of(site.user_of(site.hire()))
    for _ in range(WARM_UP):
        submit(browser, site.own)
    insert, without, with_entry = observing._insert, [], []
    for _ in range(PAIRS):
        with monkeypatch.context() as patch:
            patch.setattr(observing, "_insert", lambda *_args: 0)
            without.append(submit(browser, site.own))
        assert observing._insert is insert
        with_entry.append(submit(browser, site.own))
    with CaptureQueriesContext(connection) as queries:
        submit(browser, site.own)
    ours = [query for query in queries if "workentry" in query["sql"]]
    ratio = statistics.median(more / less for more, less in zip(with_entry, without, strict=True))
    print(f"\n{PAIRS} pairs, {connection.vendor}: {statistics.median(without) * 1000:.0f} ms without,")
    print(
        f"{statistics.median(with_entry) * 1000:.0f} ms with the entry; ratio {ratio:.3f} (wanted: at most 1.10)"
    )
    print(f"{len(queries)} statements, {len(ours)} of them the entry's")
    assert len(ours) == 1


def submit(browser: Client, project: Any) -> float:
    """The seconds that one request takes."""
    task = model("tasks.Task").objects.create(project=project, data={"text": "Invoice 17"}, overlap=9)
    annotation = {"lead_time": 5, "result": [choice(str(number)) for number in range(5)]}
    began = time.perf_counter()
    response = browser.post(f"/api/tasks/{task.pk}/annotations/", annotation, content_type="application/json")
    took = time.perf_counter() - began
    assert response.status_code == 201
    return took
