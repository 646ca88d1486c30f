"""Calls that are kept back, by scope or by the observer, and what the observer hears."""

from __future__ import annotations

from typing import Any

import pytest

from django_opentrain.platform.catalog import SCOPES, has_scope
from django_opentrain.platform.client import PlatformClient
from django_opentrain.platform.errors import (
    Forbidden,
    InvalidRequest,
    MissingScope,
    OpenTrainError,
    RateLimited,
    UnusableResponse,
)
from django_opentrain.platform.operations import OPERATIONS, Operation
from tests.platform.conftest import ClientFactory
from tests.platform.scripted_server import ScriptedServer
from tests.platform.test_client import CALLS, ENTRY, SPEC
from tests.platform.test_resources import INSTALL


def test_a_scope_that_the_install_lacks_is_refused_before_the_call(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    client = make_client(scopes=["contracts:read", "project-links:write"])
    with pytest.raises(MissingScope, match="usage:write") as caught:
        client.report_usage("c", [ENTRY])
    assert (caught.value.scope, caught.value.status, caught.value.code) == ("usage:write", 403, "FORBIDDEN")
    assert server.received == []


@pytest.mark.parametrize(
    ("operation", "call"),
    [pair for pair in zip(OPERATIONS, CALLS, strict=False) if pair[0].scope],
    ids=lambda value: getattr(value, "name", ""),
)
def test_each_operation_needs_its_own_scope(
    make_client: ClientFactory, server: ScriptedServer, operation: Operation, call: tuple[Any, ...]
) -> None:
    act = call[0]
    others = {scope for scope in SCOPES if not has_scope([scope], operation.scope)}
    with pytest.raises(MissingScope) as caught:
        act(make_client(scopes=others))
    assert caught.value.scope == operation.scope
    assert server.received == []
    server.answers(200, call[-1])
    act(make_client(scopes={operation.scope}))
    assert server.received[0].method == operation.method


def test_write_implies_read_and_the_install_needs_no_scope(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    client = make_client(scopes={"project-links:write"})
    server.answers(200, {"projectLinks": []})
    assert client.list_project_links() == []
    server.answers(200, {"install": INSTALL})
    assert make_client(scopes=()).get_install().id == "ins_1"


@pytest.mark.parametrize(
    "envelope",
    [{"error": "Token lacks scope contracts:read"}, {"details": {"requiredScopes": ["contracts:read"]}}],
)
def test_openTrains_refusal_tells_the_scope_where_it_names_it(  # noqa: N802 - the name is OpenTrain
    client: PlatformClient, server: ScriptedServer, envelope: dict[str, Any]
) -> None:
    server.refuses(403, "FORBIDDEN", **envelope)
    with pytest.raises(MissingScope) as caught:
        client.list_contracts()
    assert caught.value.scope == "contracts:read"
    assert caught.value.request_id == "req_7"


def test_another_refusal_is_not_about_scopes(client: PlatformClient, server: ScriptedServer) -> None:
    server.refuses(403, "FORBIDDEN", error="The app is inactive")
    with pytest.raises(Forbidden, match="The app is inactive") as caught:
        client.list_contracts()
    assert not isinstance(caught.value, MissingScope)


class Diary:
    """Writes down what an observer is told."""

    def __init__(self, veto: OpenTrainError | None = None) -> None:
        self.entries: list[object] = []
        self._veto = veto

    def before_call(self) -> None:
        self.entries.append("before")
        if self._veto:
            raise self._veto

    def after_call(self, error: OpenTrainError | None) -> None:
        self.entries.append(error)


def test_the_observer_hears_of_success(make_client: ClientFactory, server: ScriptedServer) -> None:
    diary = Diary()
    server.answers(200, {"install": INSTALL})
    make_client(observer=diary).get_install()
    assert diary.entries == ["before", None]


def test_the_observer_hears_the_final_outcome_once(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    diary = Diary()
    for _ in range(4):
        server.sends(503)
    with pytest.raises(OpenTrainError) as caught:
        make_client(observer=diary).get_install()
    assert diary.entries == ["before", caught.value]


def test_the_observer_hears_of_unusable_answers_and_missing_scopes(
    make_client: ClientFactory, server: ScriptedServer
) -> None:
    diary = Diary()
    server.answers(200, {})
    with pytest.raises(UnusableResponse) as unusable:
        make_client(observer=diary).get_install()
    with pytest.raises(MissingScope) as missing:
        make_client(observer=diary, scopes=()).list_contracts()
    assert diary.entries == ["before", unusable.value, "before", missing.value]


def test_the_observer_can_keep_a_call_back(make_client: ClientFactory, server: ScriptedServer) -> None:
    diary = Diary(veto=RateLimited("Not now.", status=429, retry_after=30))
    with pytest.raises(RateLimited, match="Not now"):
        make_client(observer=diary).get_install()
    assert diary.entries == ["before"]
    assert server.received == []


def test_the_spec_says_nothing_about_an_install(make_client: ClientFactory, server: ScriptedServer) -> None:
    diary = Diary(veto=RateLimited("Not now.", status=429))
    server.answers(200, SPEC)
    assert make_client(observer=diary).get_openapi() == SPEC
    assert diary.entries == []


def test_bad_arguments_do_not_reach_the_observer(make_client: ClientFactory) -> None:
    diary = Diary()
    with pytest.raises(InvalidRequest):
        make_client(observer=diary).list_contracts(limit=0)
    assert diary.entries == []
