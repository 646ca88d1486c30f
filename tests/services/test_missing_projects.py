"""Links whose project is gone from the host."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from django_opentrain.models import Install, ProjectLink
from django_opentrain.services import reconcile
from django_opentrain.services.conditions import CONDITIONS
from django_opentrain.services.linking import projects
from django_opentrain.testing import OpenTrain
from tests.services.conftest import Host, RecordingAdapter

pytestmark = pytest.mark.django_db


def hourly(opentrain: OpenTrain) -> None:
    opentrain.travel(hours=1)
    reconcile.request_all()
    opentrain.run()


def gone() -> list[str]:
    return [link.external_project_id for link in CONDITIONS["project-gone"].rows()]


@pytest.mark.long
def test_a_project_that_was_deleted_is_noticed_until_it_is_back(linked: OpenTrain, site: Host) -> None:
    hourly(linked)
    assert gone() == []
    there = site.projects.pop("acme")
    hourly(linked)
    assert gone() == ["p1"]
    since = ProjectLink.objects.get().project_missing_since
    hourly(linked)
    assert ProjectLink.objects.get().project_missing_since == since
    site.projects["acme"] = there
    hourly(linked)
    assert gone() == []


def test_a_link_that_is_being_removed_needs_no_attention(linked: OpenTrain) -> None:
    ProjectLink.objects.update(project_missing_since=timezone.now())
    assert gone() == ["p1"]
    ProjectLink.objects.update(removal_requested_at=timezone.now())
    assert gone() == []


def test_a_host_that_fails_says_nothing(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("maria@work.opentrain.ai")

    monkeypatch.setattr(RecordingAdapter, "get_project", fail)
    with caplog.at_level(logging.WARNING, "django_opentrain"):
        hourly(linked)
    assert gone() == []
    said = [record.getMessage() for record in caplog.records if "get_project()" in record.getMessage()]
    assert len(said) == 1
    assert "RuntimeError" in said[0]
    assert "maria" not in said[0]


def test_what_ends_the_process_is_not_asked_for_at_once_again(
    linked: OpenTrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_args: object) -> None:
        raise Killed

    linked.travel(hours=1)
    monkeypatch.setattr(RecordingAdapter, "get_project", die)
    with pytest.raises(Killed):
        reconcile.install(Install.objects.get())
    linked.travel(minutes=15)
    assert reconcile.install(Install.objects.get()).problems == []


def test_the_longest_unasked_are_asked_for_first(linked: OpenTrain, site: Host) -> None:
    site.projects["acme"] = [*site.projects["acme"], "p2"]
    linked.link("p2")
    now = timezone.now()
    ProjectLink.objects.filter(external_project_id="p1").update(project_asked_at=now - timedelta(hours=3))
    ProjectLink.objects.filter(external_project_id="p2").update(project_asked_at=None)
    links = ProjectLink.objects.all()
    assert [link.external_project_id for link in projects.to_ask(links)] == ["p2", "p1"]
    ProjectLink.objects.update(project_asked_at=now)
    assert not projects.to_ask(links.all())
