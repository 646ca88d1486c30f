"""Encrypted columns: ciphertext everywhere but in the attribute."""

from __future__ import annotations

import itertools
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection, models, transaction

from django_opentrain import crypto
from django_opentrain.conf import conf
from django_opentrain.errors import UndecryptableError
from django_opentrain.fields import encrypted
from django_opentrain.models import Install, Participant, WebhookEndpoint, WebhookEvent
from django_opentrain.services.purge import key_rotation
from tests.factories import make_endpoint, make_event, make_install, make_participant

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
    place = Install._meta.get_field("token").place(install)
    assert crypto.decrypt(stored(install, "token").encode(), place) == TOKEN.encode()


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
    event = make_event(make_endpoint(make_install()), body=body)
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


# Bound to its place ------------------------------------------------------------------------------


def put(row: Any, column: str, value: Any) -> None:
    """Write past the ORM."""
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(row._meta.db_table)
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, row.pk])


def assert_unreadable(row: Any, column: str) -> None:
    with pytest.raises(UndecryptableError):
        getattr(type(row).objects.get(pk=row.pk), column)


def rows(number: int) -> dict[str, Any]:
    """A row for each encrypted column, each of a row of its own."""
    install = make_install(f"customer-{number}")
    endpoint = make_endpoint(install)
    return {
        "token": install,
        "secret": endpoint,
        "work_email": make_participant(install),
        "body": make_event(endpoint, body=b'{"id": "1"}'),
    }


def test_what_was_copied_to_another_row_does_not_decrypt() -> None:
    ones, others = rows(1), rows(2)
    for column, row in ones.items():
        put(row, column, stored(others[column], column))
        assert_unreadable(row, column)
        assert getattr(others[column], column)


def test_what_was_copied_to_another_column_does_not_decrypt() -> None:
    row = rows(1)
    for column, other in itertools.permutations(("token", "secret", "work_email"), 2):
        before = stored(row[column], column)
        put(row[column], column, stored(row[other], other))
        assert_unreadable(row[column], column)
        put(row[column], column, before)
        assert getattr(type(row[column]).objects.get(), column)


def test_a_connection_that_was_given_to_another_customer_has_lost_its_token() -> None:
    install = make_install("acme", token=TOKEN)
    put(install, "tenant", "globex")
    assert_unreadable(install, "token")


def test_a_trainer_who_moves_to_another_connection_keeps_the_work_email() -> None:
    trainer = make_participant(make_install(), work_email="maria@opentrain.work")
    Participant.objects.update(install=make_install())
    assert Participant.objects.get(pk=trainer.pk).work_email == "maria@opentrain.work"


def test_a_row_is_recognised_whatever_types_its_values_had() -> None:
    endpoint = make_endpoint(make_install(), key="6fa459ea-ee8a-3ca4-894e-db77e160355e", secret="whsec_1")
    event = make_event(endpoint, endpoint_id=str(endpoint.pk), body=b"{}")
    assert WebhookEndpoint.objects.get().secret == "whsec_1"
    assert WebhookEvent.objects.get(pk=event.pk).body == b"{}"


def test_what_is_created_or_saved_in_any_way_can_be_read() -> None:
    Install.objects.bulk_create([Install(tenant="a", opentrain_id="i1", token=TOKEN)])
    assert Install.objects.get(opentrain_id="i1").token == TOKEN
    Install.objects.update_or_create(opentrain_id="i1", defaults={"token": "ot_ptk_2"})
    assert Install.objects.get(opentrain_id="i1").token == "ot_ptk_2"
    Install.objects.get_or_create(opentrain_id="i2", tenant="b", defaults={"token": "ot_ptk_3"})
    assert Install.objects.get(opentrain_id="i2").token == "ot_ptk_3"
    Install.objects.bulk_create(
        [Install(tenant="a", opentrain_id="i1", token="ot_ptk_4")],
        update_conflicts=True,
        update_fields=["token"],
        unique_fields=None if connection.vendor == "mysql" else ["opentrain_id"],
    )
    assert Install.objects.get(opentrain_id="i1").token == "ot_ptk_4"


def test_a_text_is_refused_where_no_row_is_known() -> None:
    install = make_install(token=TOKEN)
    refused = pytest.raises(FieldError, match=r"token is encrypted for its row: assign it and save\(\)")
    with refused, transaction.atomic():
        Install.objects.update(token="ot_ptk_another")
    install.token = "ot_ptk_another"
    with pytest.raises(FieldError, match="encrypted for its row"), transaction.atomic():
        Install.objects.bulk_update([install], ["token"])
    with pytest.raises(FieldError, match="set opentrain_id first"), transaction.atomic():
        Install.objects.create(tenant="acme", token=TOKEN)
    assert Install.objects.get().token == TOKEN
    Install.objects.update(token=encrypted(install, "token"))
    assert Install.objects.get().token == "ot_ptk_another"
    Install.objects.update(token=None)
    assert Install.objects.get().token is None


def as_before(row: Any, column: str) -> Any:
    """What the version that bound nothing has stored."""
    value, [key] = getattr(row, column), conf.encryption_keys
    if column != "body":
        return Fernet(key).encrypt(value.encode()).decode()
    derived = HKDF(SHA256(), length=32, salt=None, info=b"django-opentrain AES-256-GCM")
    cipher = AESGCM(derived.derive(urlsafe_b64decode(key)))
    return b"\x01" + b"n" * 12 + cipher.encrypt(b"n" * 12, value, None)


def test_what_an_earlier_version_stored_is_read_and_a_rotation_binds_it(settings: Any) -> None:
    ones = rows(1)
    plain = {column: getattr(row, column) for column, row in ones.items()}
    for column, row in ones.items():
        put(row, column, as_before(row, column))
        row.refresh_from_db()
        assert getattr(row, column) == plain[column]
    assert sum(key_rotation.unbound(10).values()) == 4
    assert key_rotation.rotate().rotated == 4
    assert key_rotation.unbound(10) == {}
    for column, row in rows(2).items():
        put(row, column, stored(ones[column], column))
        assert_unreadable(row, column)
        assert getattr(type(row).objects.get(pk=ones[column].pk), column) == plain[column]


def test_once_the_key_has_changed_nothing_unbound_is_accepted(settings: Any) -> None:
    install = make_install(token=TOKEN)
    of_a_backup = as_before(install, "token")
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [crypto.generate_key()]}
    put(install, "token", of_a_backup)
    assert_unreadable(install, "token")


def test_a_secret_can_be_read_although_its_row_was_not_loaded() -> None:
    make_install(token=TOKEN)
    assert Install.objects.only("pk", "token").get().token == TOKEN


def test_a_stopped_refresh_leaves_no_ciphertext_in_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    install = make_install(token=TOKEN)

    def stopped(*_arguments: object, **_options: object) -> None:
        raise SystemExit

    monkeypatch.setattr(models.Model, "refresh_from_db", stopped)
    with pytest.raises(SystemExit):
        install.refresh_from_db()
    assert Install.objects.get().token == TOKEN


def test_ids_differ_by_case() -> None:
    for opentrain_id in ("inst_abc", "inst_ABC", "inst_äbc"):
        make_install(opentrain_id=opentrain_id)
    assert Install.objects.get(opentrain_id="inst_ABC").opentrain_id == "inst_ABC"
    assert Install.objects.filter(opentrain_id="inst_abc").count() == 1
