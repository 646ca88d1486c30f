"""``opentrain_rotate_keys``."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_opentrain import crypto
from django_opentrain.models import Install, Participant, WebhookEndpoint, WebhookEvent
from django_opentrain.services.purge import key_rotation
from tests.factories import make_endpoint, make_event, make_install, make_participant

pytestmark = pytest.mark.django_db

STEPS = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "change-the-key.md").read_text(
    encoding="utf-8"
)


@pytest.fixture
def install() -> Install:
    install = make_install(token="ot_ptk_secret")
    make_participant(install, work_email="maria@opentrain.work")
    make_event(make_endpoint(install, secret="whsec_secret"), body=b'{"id": "1"}')
    return install


def use_keys(settings: Any, *values: str) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": list(values)}


def run(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("opentrain_rotate_keys", *arguments, stdout=out, **options)
    return out.getvalue()


def test_every_kind_of_secret_is_covered() -> None:
    assert {f"{model.__name__}.{field.attname}" for model, field in key_rotation.encrypted_columns()} == {
        "Install.token",
        "Participant.work_email",
        "WebhookEndpoint.secret",
        "WebhookEvent.body",
    }


def test_after_a_rotation_the_old_key_may_go(install: Install, settings: Any) -> None:
    [old] = settings.OPENTRAIN["ENCRYPTION_KEYS"]
    new = crypto.generate_key()
    use_keys(settings, new, old)
    assert "the other keys may be removed" in run(verbosity=2)
    use_keys(settings, new)
    assert Install.objects.get().token == "ot_ptk_secret"
    assert Participant.objects.get().work_email == "maria@opentrain.work"
    assert WebhookEndpoint.objects.get().secret == "whsec_secret"
    assert WebhookEvent.objects.get().body == b'{"id": "1"}'


def test_the_documented_steps_let_old_and_new_processes_read_each_other(settings: Any) -> None:
    """Processes are restarted one after the other: those of two steps run at the same time."""
    steps = ["old", *re.findall(r"`ENCRYPTION_KEYS = \[([a-z, ]+)\]`", STEPS)]
    assert (steps[-1], len(steps)) == ("new", 4)
    keys = {"old": crypto.generate_key(), "new": crypto.generate_key()}
    lists = [[keys[name] for name in step.split(", ")] for step in steps]
    for one, other in pairwise(lists):
        for writing, reading in ((one, other), (other, one)):
            use_keys(settings, *writing)
            make_install("acme", token="ot_ptk_secret")
            use_keys(settings, *reading)
            assert Install.objects.latest("pk").token == "ot_ptk_secret"
        use_keys(settings, *other)
        key_rotation.rotate()


def test_a_second_run_has_nothing_to_do(install: Install, settings: Any) -> None:
    use_keys(settings, crypto.generate_key(), *settings.OPENTRAIN["ENCRYPTION_KEYS"])
    assert "4 re-encrypted, 0 were current" in run()
    assert "0 re-encrypted, 4 were current" in run()


def test_what_no_key_opens_is_said_and_left(install: Install, settings: Any) -> None:
    old = settings.OPENTRAIN["ENCRYPTION_KEYS"]
    use_keys(settings, crypto.generate_key())
    with pytest.raises(CommandError, match="4 can't be decrypted"):
        run()
    use_keys(settings, *old)
    assert Install.objects.get().token == "ot_ptk_secret"


def test_what_is_no_longer_needed_keeps_no_key(settings: Any) -> None:
    install = make_install(token=None)
    live = make_endpoint(install)
    make_endpoint(install, status="REMOVED", retire_at=timezone.now())
    for status in WebhookEvent.Status.values:
        make_event(live, body=status.encode(), status=status)
    use_keys(settings, crypto.generate_key())
    assert key_rotation.undecryptable(10) == {"webhookendpoint.secret": 1, "webhookevent.body": 2}
    with pytest.raises(CommandError, match="3 can't be decrypted"):
        run()
    WebhookEndpoint.objects.filter(pk=live.pk).update(retire_at=timezone.now())
    WebhookEvent.objects.update(status="PROCESSED")
    assert key_rotation.undecryptable(10) == {}
    said = run()
    assert "6 can't be decrypted with any key and aren't needed" in said
    assert "the other keys may be removed" in said


def test_many_rows_go_in_batches(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_rotation, "BATCH", 3)
    for _row in range(8):
        make_install()
    use_keys(settings, crypto.generate_key(), *settings.OPENTRAIN["ENCRYPTION_KEYS"])
    seen: list[tuple[str, int]] = []
    assert key_rotation.rotate(lambda column, rows: seen.append((column, rows))).rotated == 8
    assert [rows for column, rows in seen if column == "install.token"] == [3, 6, 8]


def test_what_is_written_back_meanwhile_is_found(
    install: Install, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that read a row before and saves it after writes what it read: the old ciphertext."""
    stale = Install.objects.get()
    [old] = settings.OPENTRAIN["ENCRYPTION_KEYS"]
    new = crypto.generate_key()
    use_keys(settings, new, old)
    key_rotation.rotate(lambda column, _rows: stale.save() if column == "webhookevent.body" else None)
    use_keys(settings, new)
    assert Install.objects.get().token == "ot_ptk_secret"


def test_while_a_process_encrypts_with_the_old_key_it_must_stay(install: Install, settings: Any) -> None:
    stale = Install.objects.get()
    use_keys(settings, crypto.generate_key(), *settings.OPENTRAIN["ENCRYPTION_KEYS"])
    stubborn = mock.patch.object(
        key_rotation, "_rotate_row", side_effect=_and_then(key_rotation._rotate_row, stale.save)
    )
    with stubborn, pytest.raises(CommandError, match="A process still encrypts with an old key"):
        run()
    assert "the other keys may be removed" in run()


def _and_then(first: Callable[..., object], second: Callable[[], object]) -> Callable[..., object]:
    def both(*arguments: object) -> object:
        result = first(*arguments)
        second()
        return result

    return both


def test_a_run_that_was_cut_short_is_run_again(
    install: Install, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_keys(settings, crypto.generate_key(), *settings.OPENTRAIN["ENCRYPTION_KEYS"])

    def interrupt(column: str, _rows: int) -> None:
        raise KeyboardInterrupt(column)

    with pytest.raises(KeyboardInterrupt):
        key_rotation.rotate(interrupt)
    assert "3 re-encrypted, 1 were current" in run()


def test_rows_are_locked_in_one_order(install: Install, settings: Any) -> None:
    use_keys(settings, crypto.generate_key(), *settings.OPENTRAIN["ENCRYPTION_KEYS"])
    with CaptureQueriesContext(connection) as queries:
        key_rotation.rotate()
    locking = [
        each["sql"] for each in queries if each["sql"].startswith("SELECT") and "fernet" not in each["sql"]
    ]
    assert locking
    assert all("ORDER BY" in sql for sql in locking)
