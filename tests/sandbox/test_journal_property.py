"""Whatever happens in whatever order: the state file says what memory says."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_opentrain.platform.catalog import EVENT_TYPES, SCOPES
from django_opentrain.sandbox import ApiError, Sandbox, control
from django_opentrain.sandbox.models import Contract, Endpoint, Link
from tests.sandbox.conftest import Api, Receiver

NUMBERS = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("approve")),
    st.tuples(st.just("disconnect")),
    st.tuples(st.just("hire"), st.sampled_from(["now", "later", "never"]), st.booleans()),
    st.tuples(st.just("end"), NUMBERS),
    st.tuples(st.just("fund"), NUMBERS, st.decimals("0", "100", places=2)),
    st.tuples(st.just("release_email"), NUMBERS),
    st.tuples(st.just("add_participant"), NUMBERS),
    st.tuples(st.just("link"), NUMBERS),
    st.tuples(st.just("unlink"), NUMBERS),
    st.tuples(st.just("usage"), NUMBERS, st.integers(0, 86_400)),
    st.tuples(st.just("subscribe")),
    st.tuples(st.just("switch"), NUMBERS, st.sampled_from(["ACTIVE", "DISABLED"])),
    st.tuples(st.just("unsubscribe"), NUMBERS),
    st.tuples(st.just("redeliver"), NUMBERS),
    st.tuples(st.just("deliver"), st.sampled_from([204, 500])),
    st.tuples(st.just("emit"), st.sampled_from(EVENT_TYPES)),
    st.tuples(st.just("advance"), st.sampled_from([60, 7200])),
    st.tuples(st.just("settings"), st.booleans()),
    st.tuples(st.just("fault"), NUMBERS),
)


class Player:
    """Takes steps on a sandbox; steps that are impossible just then are refused, and that's fine."""

    def __init__(self, sandbox: Sandbox, session: requests.Session, receiver: Receiver) -> None:
        self.sandbox = sandbox
        self.receiver = receiver
        sandbox.mount(session)
        self.api = Api(sandbox, session, sandbox.approve().token)

    def take(self, step: str, *arguments: Any) -> None:
        try:
            getattr(self, step)(*arguments)
        except (ApiError, LookupError):
            return

    def nth(self, kind: Any, number: int) -> str:
        return str(self.sandbox.store.all(kind)[number].key)

    def approve(self) -> None:
        self.api.token = self.sandbox.approve().token

    def disconnect(self) -> None:
        self.sandbox.disconnect()

    def hire(self, work_email: str, hired: bool) -> None:
        self.sandbox.hire(hired=hired, work_email=work_email)

    def end(self, number: int) -> None:
        self.sandbox.end(self.nth(Contract, number))

    def fund(self, number: int, volume: Any) -> None:
        self.sandbox.fund(self.nth(Contract, number), 10, volume)

    def release_email(self, number: int) -> None:
        self.sandbox.release_email(self.nth(Contract, number))

    def add_participant(self, number: int) -> None:
        self.sandbox.add_participant(self.nth(Contract, number), "Second")

    def link(self, number: int) -> None:
        self.api.post("/project-links", {"externalProjectId": str(number)})

    def unlink(self, number: int) -> None:
        self.api.call("DELETE", f"/project-links/{self.nth(Link, number)}")

    def usage(self, number: int, seconds: int) -> None:
        entry = {"workDate": self.sandbox.clock.today(), "totalSeconds": seconds}
        self.api.post(f"/contracts/{self.nth(Contract, number)}/usage", {"entries": [entry]})

    def subscribe(self) -> None:
        body = {"url": "https://a.test/", "eventTypes": list(EVENT_TYPES)}
        self.api.post("/webhook-endpoints", body)

    def switch(self, number: int, status: str) -> None:
        self.api.call("PATCH", f"/webhook-endpoints/{self.nth(Endpoint, number)}", {"status": status})

    def unsubscribe(self, number: int) -> None:
        self.api.call("DELETE", f"/webhook-endpoints/{self.nth(Endpoint, number)}")

    def redeliver(self, number: int) -> None:
        self.sandbox.redeliver(self.nth(Endpoint, number))

    def deliver(self, status: int) -> None:
        self.receiver.status = status
        self.sandbox.deliver_due()

    def emit(self, event_type: str) -> None:
        self.sandbox.emit(event_type)

    def advance(self, seconds: int) -> None:
        self.sandbox.advance(seconds)

    def settings(self, on: bool) -> None:
        self.sandbox.set_app(active=on, scopes=SCOPES, redirect_uris=["https://a.test"])
        self.sandbox.set_organization(feature_enabled=on)
        self.sandbox.set_install(scopes=SCOPES if on else SCOPES[:3])

    def fault(self, times: int) -> None:
        self.sandbox.fault("error", match="GET .*", times=times)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, max_size=30))
def test_the_file_says_what_memory_says(steps: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder, requests.Session() as session:
        path = Path(folder) / "state"
        receiver = Receiver()
        sandbox = Sandbox(speed=0, state_file=path, sender=receiver)
        player = Player(sandbox, session, receiver)
        for step in (("link", 0), ("hire", "now", True), ("subscribe",), *steps):
            player.take(*step)
        sandbox.close()
        again = Sandbox(speed=0, state_file=path)
        again.close()
        assert {**control.state(again), "now": ""} == {**control.state(sandbox), "now": ""}
        assert again.store.last_event == sandbox.store.last_event
        pending = [each.id for each in sandbox.store.pending_deliveries()]
        assert {each.id for each in again.store.pending_deliveries()} == set(pending)
