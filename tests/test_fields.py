"""Encrypted columns: ciphertext everywhere but in the attribute."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection

from django_opentrain import crypto
from django_opentrain.errors import UndecryptableError
from django_opentrain.models import Install, WebhookEvent
from tests.factories import make_endpoint, make_event, make_install

pytestmark = pytest.mark.django_db

TOKEN = "ot_ptk_correct-horse-battery-staple"


def stored(row: Any, column: str) -> Any:
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(row._meta.db_table)
        cursor.execute(f"SELECT {column} FROM {table} WHERE id = %s", [row.pk])
        return cursor.fetchone()[0]


def lose_the_key(settings: Any) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [crypto.generate_key()]}


def test_the_attribute_is_plain_and_the_column_is_not() -> None:
    install = make_install(token=TOKEN)
    assert install.token == TOKEN
    assert Install.objects.get(pk=install.pk).token == TOKEN
    assert TOKEN not in str(stored(install, "token"))
    assert crypto.decrypt(stored(install, "token").encode()) == TOKEN.encode()


def test_an_assignment_after_loading_takes_effect() -> None:
    install = Install.objects.get(pk=make_install(token=TOKEN).pk)
    install.token = "ot_ptk_another"
    assert install.token == "ot_ptk_another"
    install.save()
    install.refresh_from_db()
    assert install.token == "ot_ptk_another"


def test_a_secret_has_no_repr() -> None:
    install = Install.objects.get(pk=make_install(token=TOKEN).pk)
    assert TOKEN not in repr(install.token)
    assert TOKEN not in repr(install.__dict__)
    assert TOKEN not in repr({"token": install.token})


def test_bytes_survive_as_they_are() -> None:
    body = b'{"a": "\\u0000 \xff \\ud800"}'
    event = make_event(make_endpoint(make_install()))
    WebhookEvent.objects.filter(pk=event.pk).update(body=body)
    event.refresh_from_db()
    assert event.body == body
    assert b"ud800" not in bytes(stored(event, "body"))


@pytest.mark.parametrize("text", ["maria@opentrain.work", "\ud800", "ünï©ode", "a\0b"])
def test_any_text_survives(text: str) -> None:
    install = make_install()
    install.token = text
    install.save()
    install.refresh_from_db()
    assert install.token == text


def test_saving_an_unchanged_row_keeps_its_ciphertext() -> None:
    install = Install.objects.get(pk=make_install(token=TOKEN).pk)
    before = stored(install, "token")
    install.save()
    assert stored(install, "token") == before


def test_a_row_whose_key_is_lost_loads_saves_and_says_why(settings: Any) -> None:
    install = make_install(token=TOKEN)
    before = stored(install, "token")
    lose_the_key(settings)
    install = Install.objects.get(pk=install.pk)
    install.last_error = "changed"
    install.save()
    install.refresh_from_db()
    assert install.last_error == "changed"
    assert stored(install, "token") == before
    with pytest.raises(UndecryptableError, match="ENCRYPTION_KEYS"):
        _ = install.token


def test_a_deferred_secret_is_fetched_and_decrypted() -> None:
    install = Install.objects.defer("token").get(pk=make_install(token=TOKEN).pk)
    assert install.token == TOKEN


@pytest.mark.parametrize("file_format", ["json", "python", "xml"])
def test_dumped_data_is_ciphertext_and_loads_again(file_format: str) -> None:
    install = make_install(token=TOKEN)
    dumped = serializers.serialize(file_format, Install.objects.filter(pk=install.pk))
    assert TOKEN not in str(dumped)
    install.delete()
    for loaded in serializers.deserialize(file_format, dumped):
        loaded.save()
    assert Install.objects.get(opentrain_id=install.opentrain_id).token == TOKEN


def test_dumping_needs_no_key(settings: Any) -> None:
    make_install(token=TOKEN)
    lose_the_key(settings)
    assert TOKEN not in serializers.serialize("json", Install.objects.all())


def test_an_encrypted_column_can_only_be_asked_whether_it_is_empty() -> None:
    make_install(token=TOKEN)
    assert Install.objects.filter(token__isnull=False).count() == 1
    with pytest.raises(FieldError, match="encrypted"):
        Install.objects.filter(token=TOKEN).count()


def test_keys_rotate_without_a_pause(settings: Any) -> None:
    install = make_install(token=TOKEN)
    old = settings.OPENTRAIN["ENCRYPTION_KEYS"]
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [crypto.generate_key(), *old]}
    install = Install.objects.get(pk=install.pk)
    assert install.token == TOKEN
    before = stored(install, "token").encode()
    assert not crypto.is_current(before)
    assert crypto.is_current(crypto.rotate(before))


def test_ids_differ_by_case() -> None:
    for opentrain_id in ("inst_abc", "inst_ABC", "inst_äbc"):
        make_install(opentrain_id=opentrain_id)
    assert Install.objects.get(opentrain_id="inst_ABC").opentrain_id == "inst_ABC"
    assert Install.objects.filter(opentrain_id="inst_abc").count() == 1
