"""The verbs that sites call, too: their arguments keep their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from django_opentrain.services import access, connect, endpoints, inbox, linking, purge, reconcile, usage

TOTALS = ["total_seconds", "tasks_completed", "labels_completed", "worker_id", "external_report_id"]


@pytest.mark.parametrize(
    ("verb", "names"),
    [
        (connect.begin, ["request", "external_project_id", "next_url"]),
        (connect.capture_token, ["install", "token"]),
        (connect.disconnect, ["install"]),
        (linking.link, ["install", "external_project_id", "job_id", "name", "url", "provisioning_mode"]),
        (linking.unlink, ["link"]),
        (endpoints.subscribe, ["install"]),
        (endpoints.rotate_secret, ["endpoint"]),
        (endpoints.recover, ["endpoint"]),
        (inbox.receive, ["key", "headers", "body"]),
        (inbox.process, ["event"]),
        (inbox.replay, ["events"]),
        (access.converge, ["grant"]),
        (usage.record, ["contract", "work_date", *TOTALS]),
        (usage.add, ["contract", "work_date", *TOTALS]),
        (usage.collect, ["contract"]),
        (usage.report, ["contract"]),
        (reconcile.install, ["install"]),
        (purge.run, []),
    ],
)
def test_arguments_have_the_names_that_sites_use(verb: Callable[..., Any], names: list[str]) -> None:
    parameters = inspect.signature(verb).parameters
    assert list(parameters)[: len(names)] == names
    # What comes after them may be left out.
    assert all(
        parameters[each].default is not inspect.Parameter.empty for each in list(parameters)[len(names) :]
    )
