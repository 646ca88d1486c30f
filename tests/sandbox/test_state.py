"""The clock, and the state file: what was answered survives a kill at any moment."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import requests

from django_opentrain.sandbox import Clock, Sandbox, control, faults
from django_opentrain.sandbox.clock import iso
from django_opentrain.sandbox.journal import Journal, JournalError, Transaction
from django_opentrain.sandbox.models import Delivery, Job
from tests.sandbox.conftest import Api, Receiver


def test_a_stopped_clock_only_advances() -> None:
    clock = Clock(speed=0, start=1000)
    assert clock.now() == 1000
    clock.advance(60)
    assert clock.now() == 1060
    assert clock.wall_seconds_until(1060) == 0
    assert clock.wall_seconds_until(1061) is None


def test_a_fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 5000.0)
    clock = Clock(speed=60)
    monkeypatch.setattr("time.time", lambda: 5001.0)
    assert clock.now() == 5060
    assert clock.wall() == 5001
    assert clock.wall_seconds_until(5060 + 120) == 2


def test_a_clock_never_goes_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        Clock().advance(-1)
    with pytest.raises(ValueError, match="speed"):
        Clock(speed=-1)


@pytest.mark.parametrize(("speed", "expected"), [(0, 5000), (1, 5010), (60, 5600)])
def test_resuming_ten_seconds_later(monkeypatch: pytest.MonkeyPatch, speed: float, expected: float) -> None:
    monkeypatch.setattr("time.time", lambda: 1010.0)
    clock = Clock(speed=speed)
    clock.resume_from(5000, 1000)
    assert clock.now() == expected
    clock.resume_from(100, 1000)
    assert clock.now() == expected  # never back
    clock.resume_from(6000, 2000)  # the wall clock was put back
    assert clock.now() == 6000


def test_times_are_written_as_opentrain_does() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert Clock(speed=0, start=86_400).today() == "1970-01-02"


def play(sandbox: Sandbox, session: requests.Session) -> Api:
    """A bit of everything that changes state."""
    sandbox.mount(session)
    api = Api(sandbox, session, sandbox.approve().token)
    job = sandbox.store.all(Job)[0]
    gone = api.link("gone", job)
    api.call("DELETE", f"/project-links/{gone}")
    api.link("1", job)
    endpoint_id = api.subscribe()
    contract, _ = sandbox.hire("Maria S.", work_email="later")
    sandbox.add_participant(contract.id, "Second")
    sandbox.fund(contract.id, 12.5, 1.5)
    entry = {"workDate": sandbox.clock.today(), "totalSeconds": 5000}
    api.post(f"/contracts/{contract.id}/usage", {"entries": [entry]})
    sandbox.deliver_due()
    sandbox.redeliver(endpoint_id)
    sandbox.release_email(contract.id)
    sandbox.hire("Still here")
    sandbox.end(contract.id)
    sandbox.set_app(link_limit=9)
    sandbox.set_organization(feature_enabled=True)
    sandbox.set_install(pii_consent=False)
    sandbox.fault("error", times=2)
    faults.take(sandbox.store, "GET", "/contracts")
    sandbox.advance(3600)
    return api


def test_everything_survives_a_restart(tmp_path: Path, session: requests.Session) -> None:
    path = tmp_path / "state"
    clock = Clock(speed=0)
    first = Sandbox(clock=clock, state_file=path, sender=Receiver(status=500))
    api = play(first, session)
    before = control.state(first)
    # No close: as after kill -9.
    second = Sandbox(speed=0, state_file=path, sender=Receiver())
    assert control.state(second) == before
    second.mount(session)
    api.sandbox = second
    assert api.get("/installs/current").status == 400 + 100  # the fault that was left
    assert api.get("/installs/current").status == 200
    pending = [each for each in second.store.all(Delivery) if each.status == "PENDING"]
    assert pending
    assert second.deliver_due() == len(pending)
    last_event = second.store.last_event
    assert int(second.emit("install.revoked").id) == last_event + 1
    first.close()
    second.close()
    third = Sandbox(speed=0, state_file=path)
    assert control.state(third) == control.state(second)
    third.close()


def test_a_torn_last_line_never_happened(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with_job = Sandbox(speed=0, state_file=path)
    before = control.state(with_job)
    with_job.create_job("Torn")
    with_job.close()
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rpartition(b"\n")[2]
    for cut in (1, len(last) // 2, len(last)):
        path.write_bytes(whole[:-cut])
        again = Sandbox(speed=0, state_file=path)
        assert control.state(again)["jobs"] == before["jobs"]
        again.create_job("After")
        again.close()
        reopened = Sandbox(speed=0, state_file=path)
        assert [each.title for each in reopened.store.all(Job)][2:] == ["After"]
        reopened.close()


@pytest.mark.parametrize("content", [b"not json\n", b"[]\n", b'{"put": 1}\n', b"\xff\xfe\n"])
def test_another_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(JournalError, match="line 1"):
        Sandbox(state_file=path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "put",
    [["Job", {"id": "job_1", "colour": "red"}], ["Planet", {"id": "1"}], ["Delivery", {"id": "1"}], [1]],
)
def test_what_another_version_wrote_is_refused_and_left_alone(tmp_path: Path, put: object) -> None:
    path = tmp_path / "state"
    content = json.dumps({"at": 1, "wall": 1, "put": [put], "removed": []}) + "\n"
    path.write_text(content)
    with pytest.raises(JournalError, match="another version"):
        Sandbox(state_file=path)
    assert path.read_text() == content


def test_the_file_is_for_its_owner_only_and_has_no_token(tmp_path: Path, session: requests.Session) -> None:
    path = tmp_path / "state"
    sandbox = Sandbox(speed=0, state_file=path, sender=Receiver())
    api = play(sandbox, session)
    sandbox.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert api.token.encode() not in path.read_bytes()


def test_opening_drops_the_history(tmp_path: Path) -> None:
    path = tmp_path / "state"
    sandbox = Sandbox(speed=0, state_file=path)
    for _ in range(50):
        sandbox.set_organization(feature_enabled=True)
    sandbox.close()
    assert len(path.read_bytes().splitlines()) > 50
    Sandbox(speed=0, state_file=path).close()
    lines = path.read_bytes().splitlines()
    assert len(lines) == 2  # the snapshot, and the app made sure of
    assert json.loads(lines[0])["removed"] == []


def test_a_closed_journal_takes_nothing_more(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="not open"):
        Journal(tmp_path / "state").append(Transaction(at=0, wall=0))


def test_a_failing_step_leaves_memory_and_file_alike(tmp_path: Path) -> None:
    path = tmp_path / "state"
    sandbox = Sandbox(speed=0, state_file=path)
    job = sandbox.store.all(Job)[0]

    def fail() -> None:
        with sandbox.store.transaction():
            job.title = "Renamed"
            sandbox.store.put(job)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    again = Sandbox(speed=0, state_file=path)
    assert control.state(again) == {**control.state(sandbox), "now": control.state(again)["now"]}
    assert again.store.all(Job)[0].title == "Renamed"
    sandbox.close()
    again.close()
