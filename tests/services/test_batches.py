"""Events that are applied together: the effect is that of one after the other, and none spoils another's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_opentrain import signals
from django_opentrain.models import (
    AccessGrant,
    Contract,
    Install,
    Participant,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform import catalog
from django_opentrain.services import inbox
from django_opentrain.services.connect import reconnect
from django_opentrain.services.inbox import handlers, processing
from django_opentrain.services.inbox.batches import Batch
from tests.factories import (
    make_contract,
    make_endpoint,
    make_event,
    make_grant,
    make_install,
    make_link,
    make_participant,
    make_usage,
)
from tests.undone import undone

pytestmark = pytest.mark.django_db

PENDING, PROCESSED, IGNORED, FAILED = WebhookEvent.Status.values

# One after the other, and together ------------------------------------------------------------

some = st.sampled_from
OTHERS = [kind for kind in catalog.EVENT_TYPES if kind != catalog.INSTALL_REVOKED]


def maybe(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(part, part, part, st.just({}))


contract_parts = maybe(
    st.fixed_dictionaries(
        {"id": some(["ctr_1", "ctr_2", "ctr_known"]), "title": some(["Boxes", "Cubes", ""])},
        optional={"status": some(["active", "ended"]), "jobId": some(["job_1", "job_2"])},
    )
)
link_parts = maybe(
    st.fixed_dictionaries(
        {"id": some(["lnk_1", "lnk_2", "lnk_known"]), "externalProjectId": some(["p1", "p2", "p_waiting"])},
        optional={
            "provisioningMode": some([catalog.PARTNER_WEBHOOK, catalog.MANAGED_ADAPTER]),
            "jobId": some(["job_1", "job_2"]),
        },
    )
)
trainer_parts = maybe(
    st.fixed_dictionaries(
        {"opentrainUserId": some(["usr_1", "usr_2", "usr_known"]), "displayName": some(["Maria", "Ken"])},
        optional={"workEmail": some(["maria@opentrain.work", "ken@opentrain.work"])},
    )
)
budget_parts = maybe(
    st.fixed_dictionaries(
        {"state": some(["OK", "LOW", "DEPLETED"])}, optional={"fundedVolume": some([10, 20])}
    )
)
events = st.fixed_dictionaries(
    {
        "type": some([*[catalog.CONTRACT_STARTED] * 5, catalog.CONTRACT_ENDED, *OTHERS]),
        "job_id": some(["job_1", "job_3"]),
        "event_id": some([str(number) for number in range(1, 12)]),
        "resource_id": some(["ctr_1", "ctr_known", "lnk_1", "lnk_known", ""]),
        "data": st.fixed_dictionaries(
            {
                "contract": contract_parts,
                "projectLink": link_parts,
                "freelancer": trainer_parts,
                "budget": budget_parts,
            }
        ),
    }
)
histories = st.lists(events, min_size=2, max_size=8)


def scene(*, reconnected: bool) -> WebhookEndpoint:
    """A customer with a trainer at work, and a link whose creation OpenTrain has not answered."""
    install = make_install("acme", opentrain_id="inst_1", revoked_at=timezone.now())
    known = {"opentrain_id": "lnk_known", "external_project_id": "p1", "job_id": "job_1"}
    link = make_link(install, **known, stop_when_depleted=True)
    make_link(install, opentrain_id=None, external_project_id="p_waiting", job_id="", status="PENDING")
    trainer = make_participant(install, opentrain_user_id="usr_known", work_email="known@opentrain.work")
    hire = {"opentrain_id": "ctr_known", "job_id": "job_1", "title": "Known"}
    contract = make_contract(install, [link], **hire, trainer=trainer)
    make_grant(contract, link, trainer)
    make_usage(contract, worker_id="usr_1")
    endpoint = make_endpoint(install)
    if reconnected:
        Install.objects.filter(pk=install.pk).update(organization_id="org", status=Install.Status.REVOKED)
        reconnect.from_predecessors(make_install("acme", opentrain_id="inst_2", organization_id="org"))
    return endpoint


def state() -> dict[str, Any]:
    """What there is by now, without times and our own keys."""
    return {
        "contracts": sorted(
            Contract.objects.values_list(
                "install__opentrain_id",
                "opentrain_id",
                "status",
                "title",
                "job_id",
                "trainer__opentrain_user_id",
                "last_event_id",
                "budget_state",
                "funded_volume",
                "budget_event_id",
            ),
            key=str,
        ),
        "links": sorted(
            (
                (*columns, requested_at is None)
                for *columns, requested_at in ProjectLink.objects.values_list(
                    "install__opentrain_id",
                    "opentrain_id",
                    "external_project_id",
                    "status",
                    "live",
                    "job_id",
                    "provisioning_mode",
                    "last_error",
                    "continued_by__opentrain_id",
                    "removal_requested_at",
                )
            ),
            key=str,
        ),
        "linked": sorted(
            Contract.links.through.objects.values_list(
                "contract__opentrain_id", "projectlink__opentrain_id", "projectlink__external_project_id"
            ),
            key=str,
        ),
        "trainers": sorted(
            (
                (row.install.opentrain_id, row.opentrain_user_id, row.display_name, str(row.work_email))
                for row in Participant.objects.select_related("install")
            ),
            key=str,
        ),
        "grants": sorted(
            AccessGrant.objects.values_list(
                "contract__opentrain_id",
                "link__opentrain_id",
                "link__external_project_id",
                "participant__opentrain_user_id",
                "desired",
            ),
            key=str,
        ),
        "reconciled": [
            (row.opentrain_id, row.next_reconcile_at is None) for row in Install.objects.order_by("pk")
        ],
        "events": list(WebhookEvent.objects.order_by("pk").values_list("status", "error", "attempts")),
    }


@pytest.mark.long
@pytest.mark.parametrize("reconnected", [False, True])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories)
def test_a_batch_has_the_effect_of_one_event_after_the_other(
    reconnected: bool, history: list[dict[str, Any]]
) -> None:
    results = []
    for together in (False, True):
        with undone():
            endpoint = scene(reconnected=reconnected)
            rows = [make_event(endpoint, **{**each, "delivery_id": "d"}) for each in history]
            if together:
                assert apply_together(endpoint) == len(rows)
            else:
                for row in rows:
                    inbox.process(row)
            results.append(state())
    assert results[0] == results[1]


def apply_together(endpoint: WebhookEndpoint) -> int | None:
    """Not by halves, which ``drain()`` falls back to."""
    due = WebhookEvent.objects.due(timezone.now())
    return Batch(endpoint.install_id, due, limit=100, wait=True).apply()


def contract_event(
    endpoint: WebhookEndpoint, number: int, kind: str = catalog.CONTRACT_STARTED
) -> WebhookEvent:
    """About a contract, a trainer and a link, new or not."""
    data = {
        "contract": {"id": f"ctr_{number}", "title": "Boxes", "jobId": "job_1"},
        "projectLink": {"id": "lnk_1", "externalProjectId": "p1", "jobId": "job_1"},
        "freelancer": {
            "opentrainUserId": f"usr_{number}",
            "displayName": "Maria S.",
            "workEmail": "m@opentrain.work",
        },
        "budget": {"state": "LOW"},
    }
    return make_event(endpoint, kind, data, resource_id=f"ctr_{number}", job_id="job_1")


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    return make_endpoint(make_install("acme"))


def test_a_new_trainer_of_several_contracts(endpoint: WebhookEndpoint) -> None:
    person = {"opentrainUserId": "usr_1", "workEmail": "m@opentrain.work"}
    link = {"id": "lnk_1", "externalProjectId": "p1"}
    for number in range(2):
        contract = {"id": f"ctr_{number}"}
        for kind in (catalog.CONTRACT_STARTED, catalog.MILESTONE_FUNDED, catalog.CONTRACT_STARTED):
            make_event(endpoint, kind, {"contract": contract, "freelancer": person, "projectLink": link})
    assert apply_together(endpoint) == 6
    assert Contract.objects.get(opentrain_id="ctr_1").trainer == Participant.objects.get()
    assert AccessGrant.objects.count() == 2


def test_rows_are_in_the_order_of_their_events(endpoint: WebhookEndpoint) -> None:
    for number in range(8):
        person = {"opentrainUserId": f"usr_{number}"}
        make_event(
            endpoint, catalog.CONTRACT_STARTED, {"contract": {"id": f"c{number}"}, "freelancer": person}
        )
    assert apply_together(endpoint) == 8
    assert [*Contract.objects.order_by("pk").values_list("opentrain_id", flat=True)] == [
        f"c{number}" for number in range(8)
    ]
    assert [*Participant.objects.order_by("pk").values_list("opentrain_user_id", flat=True)] == [
        f"usr_{number}" for number in range(8)
    ]


def test_a_link_that_takes_a_removed_ones_place_in_the_same_batch(endpoint: WebhookEndpoint) -> None:
    old, new = ({"id": name, "externalProjectId": "p1", "jobId": "job_1"} for name in ("lnk_1", "lnk_2"))
    make_event(endpoint, catalog.PROJECT_LINK_CREATED, {"projectLink": old})
    inbox.drain()
    make_event(endpoint, catalog.PROJECT_LINK_REMOVED, {"projectLink": old}, resource_id="lnk_1")
    make_event(endpoint, catalog.PROJECT_LINK_CREATED, {"projectLink": new})
    assert inbox.drain() == 2
    assert sorted(ProjectLink.objects.values_list("opentrain_id", "live")) == [
        ("lnk_1", None),
        ("lnk_2", True),
    ]


@pytest.mark.django_db(transaction=True)
def test_each_event_is_announced_once_it_is_committed(endpoint: WebhookEndpoint) -> None:
    for number in range(3):
        contract_event(endpoint, number)
    heard: list[tuple[str, str, int]] = []

    def hear(event: WebhookEvent, **_more: object) -> None:
        stored = WebhookEvent.objects.get(pk=event.pk)
        assert (stored.status, stored.attempts) == (event.status, event.attempts)
        heard.append((event.resource_id, event.endpoint.install.tenant, event.attempts))

    def hear_start(contract: Contract, **_more: object) -> None:
        heard.append(
            (
                contract.opentrain_id,
                contract.install.tenant,
                AccessGrant.objects.filter(contract=contract).count(),
            )
        )

    signals.event_received.connect(hear)
    signals.contract_started.connect(hear_start)
    try:
        inbox.drain()
    finally:
        signals.event_received.disconnect(hear)
        signals.contract_started.disconnect(hear_start)
    assert heard == [(f"ctr_{number}", "acme", 1) for number in range(3) for _signal in range(2)]


# One that can't be applied --------------------------------------------------------------------


def breaks_in_handler(context: handlers.Context) -> str:
    if context.event.resource_id == "ctr_3":
        raise RuntimeError("out of luck")
    return ""


def breaks_when_written(context: handlers.Context) -> str:
    if context.event.resource_id == "ctr_3":
        row, _created = context.unit.contracts.get_or_add("ctr_broken")
        row.title = None  # type: ignore[assignment] # what the database refuses
    return ""


@pytest.mark.parametrize("handler", [breaks_in_handler, breaks_when_written])
def test_one_that_fails_keeps_no_other_from_its_effect(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, handler: Callable[[handlers.Context], str]
) -> None:
    for number in range(7):
        contract_event(endpoint, number)
    usual = handlers.HANDLERS[catalog.CONTRACT_STARTED]
    both = {catalog.CONTRACT_STARTED: lambda context: usual(context) or handler(context)}
    with monkeypatch.context() as patch:
        patch.setattr(handlers, "HANDLERS", {**handlers.HANDLERS, **both})
        assert inbox.drain() == 7
    failed = WebhookEvent.objects.get(status=PENDING)
    assert (failed.resource_id, failed.attempts) == ("ctr_3", 1)
    assert failed.next_attempt_at is not None
    assert failed.next_attempt_at > timezone.now()
    assert failed.error
    # None of its own effect, all of the others'.
    assert WebhookEvent.objects.filter(status=PROCESSED, attempts=1).count() == 6
    names = {f"ctr_{number}" for number in range(7)} - {"ctr_3"}
    assert set(AccessGrant.objects.values_list("contract__opentrain_id", flat=True)) == names
    assert set(Contract.objects.values_list("opentrain_id", flat=True)) == names
    WebhookEvent.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert inbox.drain() == 1
    assert AccessGrant.objects.count() == 7


@pytest.mark.django_db(transaction=True)
def test_what_only_the_commit_refuses_is_found_too(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL and SQLite check foreign keys then: by that time the event seems to be processed."""
    for number in range(3):
        contract_event(endpoint, number)

    def orphan(context: handlers.Context) -> str:
        if context.event.resource_id == "ctr_1":
            Contract.objects.create(install_id=0, opentrain_id="ctr_orphan")
        return ""

    monkeypatch.setattr(handlers, "HANDLERS", {**handlers.HANDLERS, catalog.CONTRACT_STARTED: orphan})
    assert inbox.drain() == 3
    rows = WebhookEvent.objects.order_by("pk").values_list("status", "attempts")
    assert list(rows) == [(PROCESSED, 1), (PENDING, 1), (PROCESSED, 1)]
    assert not Contract.objects.exists()


# How many statements --------------------------------------------------------------------------

#: By the event's type, and whether its contract, or its link, is known.
STATEMENTS = {
    (catalog.CONTRACT_STARTED, "new"): 11,
    (catalog.CONTRACT_STARTED, "known"): 10,
    (catalog.CONTRACT_ENDED, "new"): 11,
    (catalog.CONTRACT_ENDED, "known"): 10,
    (catalog.MILESTONE_FUNDED, "known"): 9,
    (catalog.PROJECT_LINK_CREATED, "known"): 6,
    (catalog.PROJECT_LINK_REMOVED, "known"): 7,
}
#: However many events there are. SQLite takes fewer parameters in one statement: it gets some more.
MANY = 16


def statements(work: Callable[[], object]) -> int:
    """Those that read or write: not those that begin or end a transaction, nor a lock's second one on SQLite."""
    with CaptureQueriesContext(connection) as captured:
        work()
    edges = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    return sum(
        not query["sql"].startswith(edges) and ' SET "id" = ' not in query["sql"]
        for query in captured.captured_queries
    )


def make_known(endpoint: WebhookEndpoint, numbers: Iterable[int]) -> None:
    for number in numbers:
        contract_event(endpoint, number)
    inbox.drain()


@pytest.mark.parametrize(("kind", "what"), STATEMENTS)
def test_an_event_alone_takes_few_statements(endpoint: WebhookEndpoint, kind: str, what: str) -> None:
    make_known(endpoint, [1 if what == "known" else 1000])
    contract_event(endpoint, 1, kind)
    assert statements(lambda: process_due(endpoint)) == STATEMENTS[kind, what]


@pytest.mark.parametrize(("kind", "what"), STATEMENTS)
def test_many_events_take_hardly_more(endpoint: WebhookEndpoint, kind: str, what: str) -> None:
    make_known(endpoint, range(60) if what == "known" else [1000])
    for number in range(60):
        contract_event(endpoint, number, kind)
    assert statements(lambda: process_due(endpoint)) <= MANY
    assert not WebhookEvent.objects.filter(status=PENDING).exists()


def process_due(endpoint: WebhookEndpoint) -> None:
    processing._process(endpoint.install_id, WebhookEvent.objects.due(timezone.now()))
