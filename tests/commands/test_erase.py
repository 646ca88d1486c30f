"""``opentrain_erase``: one trainer's data is erased, and no other's."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_opentrain.models import (
    AccessGrant,
    Contract,
    DailyUsage,
    Install,
    Participant,
    ProjectLink,
    WebhookEvent,
)
from django_opentrain.platform import catalog
from django_opentrain.services import inbox
from django_opentrain.services.purge import erasure
from tests import factories

pytestmark = pytest.mark.django_db

GONE = {"desired": AccessGrant.Desired.REVOKED, "state": AccessGrant.State.REVOKED}


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("opentrain_erase", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def worked_for(tenant: str, trainer: str) -> Participant:
    """A trainer who worked for this customer once, with an event that names them."""
    install = factories.make_install(tenant)
    person = factories.make_participant(install, opentrain_user_id=trainer)
    link = factories.make_link(install)
    ended = {"status": Contract.Status.ENDED, "ended_at": timezone.now()}
    contract = factories.make_contract(install, [link], trainer=person, **ended)
    factories.make_grant(contract, link, person, host_user_ref=f"user-{tenant}", **GONE)
    data = {"freelancer": {"opentrainUserId": trainer, "displayName": "Maria S."}}
    factories.make_event(factories.make_endpoint(install), data=data, status=WebhookEvent.Status.PROCESSED)
    return person


def lines_run(call: Callable[[], object]) -> int:
    """How many lines of Python are run."""
    count = 0

    def trace(_frame: object, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def remembered() -> list[str]:
    return sorted(each.opentrain_user_id for each in Participant.objects.all() if each.work_email)


def test_a_delivery_that_comes_late_brings_nothing_back() -> None:
    person = worked_for("acme", "usr_maria")
    command("--trainer", "usr_maria")
    freelancer = {"opentrainUserId": "usr_maria", "displayName": "Maria S.", "workEmail": "m@opentrain.work"}
    for contract in (person.contracts.get().opentrain_id, "one that was missed"):
        late = factories.make_event(
            person.install.webhook_endpoints.get(),
            catalog.CONTRACT_ENDED,
            {"contract": {"id": contract, "status": "ended"}, "freelancer": freelancer},
        )
        assert inbox.process(late).status == WebhookEvent.Status.PROCESSED
    person.refresh_from_db()
    assert (person.display_name, person.work_email) == ("", None)
    assert person.purged_at is not None


def test_one_trainer_is_forgotten_everywhere_and_the_others_are_not() -> None:
    for tenant, trainer in (("acme", "usr_maria"), ("globex", "usr_maria"), ("acme2", "usr_mari")):
        worked_for(tenant, trainer)
    out = command("--trainer", "usr_maria")
    assert "Erased: participants 2, event bodies 2." in out
    assert "run this command again tomorrow" in out
    assert "stay: user-acme, user-globex." in out
    assert remembered() == ["usr_mari"]
    left = [row.payload for row in WebhookEvent.objects.filter(body__isnull=False)]
    assert [each["data"]["freelancer"]["opentrainUserId"] for each in left] == ["usr_mari"]
    assert Participant.objects.filter(opentrain_user_id="usr_maria").count() == 2


def test_an_unknown_trainer_is_an_error() -> None:
    worked_for("acme", "usr_maria")
    with pytest.raises(CommandError, match="No trainer here has this id"):
        command("--trainer", "usr_nobody")


@pytest.mark.parametrize("trainer", ["", " "])
def test_an_empty_id_is_no_trainers(trainer: str) -> None:
    """An event whose trainer has no id yet holds an empty one."""
    factories.make_event(
        factories.make_endpoint(factories.make_install()),
        data={"freelancer": {"opentrainUserId": trainer}},
        status=WebhookEvent.Status.PROCESSED,
    )
    with pytest.raises(CommandError, match="No trainer here has this id"):
        command("--trainer", trainer, "--force")
    assert WebhookEvent.objects.get().body


def test_a_trainer_who_was_forgotten_before_is_known() -> None:
    worked_for("acme", "usr_maria")
    command("--trainer", "usr_maria")
    assert "No trainer here" not in command("--trainer", "usr_maria")


def _running() -> None:
    Contract.objects.update(status=Contract.Status.ACTIVE)


def _running_without_a_trainer() -> None:
    Contract.objects.update(status=Contract.Status.ACTIVE, trainer=None)


def _access() -> None:
    AccessGrant.objects.update(desired=AccessGrant.Desired.GRANTED)


def _unreported() -> None:
    factories.make_usage(Contract.objects.get())


def _pending() -> None:
    WebhookEvent.objects.update(status=WebhookEvent.Status.PENDING)


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        (_running, "active contracts: 1"),
        (_running_without_a_trainer, "active contracts: 1"),
        (_access, "access grants that are not revoked: 1"),
        (_unreported, "unreported days of work: 1"),
        (_pending, "unprocessed events that name them: 1"),
    ],
)
def test_nobody_is_forgotten_while_their_data_is_needed_unless_forced(need: Any, reason: str) -> None:
    worked_for("acme", "usr_maria")
    need()
    with pytest.raises(CommandError, match=f"{reason}.* Nothing was changed"):
        command("--trainer", "usr_maria")
    assert remembered() == ["usr_maria"]
    assert "Erased: participants 1, event bodies 1." in command("--trainer", "usr_maria", "--force")
    assert remembered() == []


@pytest.mark.parametrize("gone", ["connection", "link"])
def test_a_contract_that_nobody_will_tell_the_end_of_is_no_reason_to_wait(gone: str) -> None:
    worked_for("acme", "usr_maria")
    _running()
    if gone == "connection":
        _unreported()
        Install.objects.update(status=Install.Status.REVOKED, token=None)
    else:
        ProjectLink.objects.update(status=ProjectLink.Status.REMOVED, live=None)
    assert "Erased: participants 1," in command("--trainer", "usr_maria")


def test_what_others_need_is_no_reason_to_wait() -> None:
    worked_for("acme", "usr_maria")
    other = worked_for("globex", "usr_other")
    Contract.objects.filter(trainer=other).update(status=Contract.Status.ACTIVE)
    factories.make_usage(Contract.objects.get(trainer=other))
    DailyUsage.objects.update(worker_id="usr_third")
    command("--trainer", "usr_maria")
    assert remembered() == ["usr_other"]


def test_the_name_goes_from_the_admins_history() -> None:
    person = worked_for("acme", "usr_maria")
    grant = AccessGrant.objects.get()
    user = factories.make_user(is_staff=True)
    for row in (person, grant, person.install):
        LogEntry.objects.create(
            user=user,
            content_type=ContentType.objects.get_for_model(row),
            object_id=str(row.pk),
            object_repr=str(row),
            action_flag=CHANGE,
        )
    command("--trainer", "usr_maria")
    shown = sorted(LogEntry.objects.values_list("object_repr", flat=True))
    assert shown == sorted([str(person.install), "usr_maria", "usr_maria"])


def test_bodies_that_are_no_json_are_searched_and_lost_ones_counted(settings: Any) -> None:
    endpoint = factories.make_endpoint(factories.make_install())
    ignored = WebhookEvent.Status.IGNORED
    factories.make_event(endpoint, body=b"usr_maria, not JSON", status=ignored)
    factories.make_event(endpoint, body=b"[]", status=ignored)
    assert erasure.erase("usr_maria").event_bodies == 1
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    out = StringIO()
    with pytest.raises(CommandError, match="No trainer here"):
        call_command("opentrain_erase", "--trainer", "usr_maria", stdout=out, no_color=True)
    assert "Event bodies that can't be decrypted: 1." in out.getvalue()


@pytest.mark.parametrize("depth", [900, 100_000])
def test_an_event_that_is_nested_deep_holds_up_no_erasure(depth: int) -> None:
    """900 can still be parsed, 100,000 can't: then it is searched as it is."""
    endpoint = factories.make_endpoint(factories.make_install())
    for inner in ('"usr_maria"', '{"usr_maria": 1}', '"usr_mario"'):
        body = '{"data":' + "[" * depth + inner + "]" * depth + "}"
        factories.make_event(endpoint, body=body.encode(), status=WebhookEvent.Status.PROCESSED)
    assert erasure.erase("usr_maria").event_bodies == 2


@pytest.mark.parametrize("trainer", ["usr_maria", "usr_ünï", "usr_\N{GRINNING FACE}", 'usr_"\\/'])
@pytest.mark.parametrize("depth", [1, 100_000])
def test_an_id_that_is_written_with_escapes_is_found(trainer: str, depth: int) -> None:
    """``\\u0075`` is a "u" (RFC 8259, section 7), in bodies too that can't be parsed."""
    endpoint = factories.make_endpoint(factories.make_install())
    units = trainer.encode("utf-16-be")
    escaped = "".join(f"\\u{high:02X}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True))
    for text in (f'"{escaped}"', json.dumps(trainer), json.dumps(trainer, ensure_ascii=False), '"usr_mario"'):
        body = '{"data":' + "[" * depth + text + "]" * depth + "}"
        factories.make_event(
            endpoint, body=body.encode(), status=WebhookEvent.Status.PROCESSED, digest=secrets.token_hex(32)
        )
    assert erasure.erase(trainer).event_bodies == 3


def test_an_id_that_a_later_one_of_the_same_name_hides_is_found() -> None:
    endpoint = factories.make_endpoint(factories.make_install())
    for hidden in ("usr_maria", "usr_mari", "usr_maria2"):
        body = f'{{"opentrainUserId": "{hidden}", "opentrainUserId": "usr_mario"}}'
        factories.make_event(endpoint, body=body.encode(), status=WebhookEvent.Status.PROCESSED)
    assert erasure.erase("usr_maria").event_bodies == 1


def test_unescaping_twice_the_text_takes_twice_the_steps() -> None:
    def steps(length: int) -> int:
        return lines_run(lambda: erasure._unescaped(rb"\u0075\\\\u0075\n" * length))

    assert steps(2000) < 2.2 * steps(1000)


@pytest.mark.parametrize("shape", ["[{}]", '{{"a":{}}}', "[0,{}]", '[[],{{"a":0}},{}]'])
def test_twice_the_body_takes_twice_the_steps(shape: str) -> None:
    before, after = shape.format("|").split("|")

    def steps(depth: int) -> int:
        payload = json.loads(before * depth + "0" + after * depth)
        return lines_run(lambda: erasure._holds(payload, "usr_maria"))

    assert steps(200) < 2.2 * steps(100)
    assert steps(800) < 2.2 * steps(400)


def test_many_bodies_are_looked_into_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "BATCH", 2)
    endpoint = factories.make_endpoint(factories.make_install())
    received = timezone.now() - timedelta(days=1)
    for number in range(5):
        data = {"freelancer": {"opentrainUserId": f"usr_{number % 2}"}}
        factories.make_event(endpoint, data=data, status=WebhookEvent.Status.PROCESSED, received_at=received)
    assert erasure.erase("usr_0").event_bodies == 3
    assert Install.objects.count() == 1
