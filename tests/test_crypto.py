"""Encryption at rest, checked against the algorithms themselves."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from django_opentrain import crypto
from django_opentrain.conf import conf
from django_opentrain.errors import UndecryptableError

SECRET = b"whsec_correct-horse"
PLACE = b'["table", "column", "row"]'
OTHER = b'["table", "column", "other row"]'


def use_keys(settings: Any, *keys: str) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": list(keys)}


def derived(key: str) -> AESGCM:
    salted = HKDF(SHA256(), length=32, salt=None, info=b"django-opentrain AES-256-GCM")
    return AESGCM(salted.derive(urlsafe_b64decode(key)))


def as_bytes(plain: bytes) -> bytes:
    return crypto.seal(plain, PLACE)


def as_text(plain: bytes) -> bytes:
    return crypto.to_text(as_bytes(plain))


def as_a_fernet_token(plain: bytes) -> bytes:
    """As texts were encrypted before they were bound to their place."""
    return Fernet(conf.encryption_keys[0]).encrypt(plain)


def as_unbound_bytes(plain: bytes) -> bytes:
    """As bodies were."""
    return b"\x01" + b"n" * 12 + derived(conf.encryption_keys[0]).encrypt(b"n" * 12, plain, None)


FORMS = [as_bytes, as_text, as_a_fernet_token, as_unbound_bytes]
BOUND, UNBOUND = FORMS[:2], FORMS[2:]


def test_bytes_are_sealed_with_what_derives_from_the_first_key(settings: Any) -> None:
    first, second = crypto.generate_key(), crypto.generate_key()
    use_keys(settings, first, second)
    sealed = as_bytes(SECRET)
    assert sealed[:1] == b"\x02"
    assert derived(first).decrypt(sealed[1:13], sealed[13:], PLACE) == SECRET
    for key, place in ((second, PLACE), (first, OTHER), (first, None)):
        with pytest.raises(InvalidTag):
            derived(key).decrypt(sealed[1:13], sealed[13:], place)


def test_no_nonce_is_used_twice() -> None:
    assert len({as_bytes(SECRET)[1:13] for _ in range(1000)}) == 1000


@pytest.mark.parametrize("encrypt", FORMS)
def test_an_older_key_still_decrypts(settings: Any, encrypt: Any) -> None:
    [old] = settings.OPENTRAIN["ENCRYPTION_KEYS"]
    ciphertext = encrypt(SECRET)
    use_keys(settings, crypto.generate_key(), old)
    assert crypto.decrypt(ciphertext, PLACE) == SECRET
    assert not crypto.is_current(ciphertext, PLACE)
    use_keys(settings, crypto.generate_key())
    with pytest.raises(UndecryptableError):
        crypto.decrypt(ciphertext, PLACE)


@pytest.mark.parametrize("encrypt", BOUND)
def test_in_another_place_it_is_undecryptable(encrypt: Any) -> None:
    ciphertext = encrypt(SECRET)
    assert crypto.is_bound(ciphertext)
    assert crypto.is_current(ciphertext, PLACE)
    assert not crypto.is_current(ciphertext, OTHER)
    with pytest.raises(UndecryptableError):
        crypto.decrypt(ciphertext, OTHER)


@pytest.mark.parametrize("encrypt", UNBOUND)
def test_what_is_bound_to_no_place_is_not_current(encrypt: Any) -> None:
    ciphertext = encrypt(SECRET)
    assert crypto.decrypt(ciphertext, PLACE) == SECRET
    assert not crypto.is_bound(ciphertext)
    assert not crypto.is_current(ciphertext, PLACE)


def test_its_place_can_not_be_taken_from_a_ciphertext() -> None:
    sealed = as_bytes(SECRET)
    with pytest.raises(UndecryptableError):
        crypto.decrypt(b"\x01" + sealed[1:], PLACE)


@pytest.mark.parametrize("encrypt", FORMS)
def test_what_was_tampered_with_or_cut_off_is_undecryptable(encrypt: Any) -> None:
    ciphertext = encrypt(SECRET)
    flipped = ciphertext[:-5] + bytes([ciphertext[-5] ^ 1]) + ciphertext[-4:]
    for broken in (flipped, *(ciphertext[:length] for length in range(len(ciphertext)))):
        with pytest.raises(UndecryptableError):
            crypto.decrypt(broken, PLACE)


@pytest.mark.parametrize("encrypt", FORMS)
def test_what_was_decrypted_does_not_show_itself(encrypt: Any) -> None:
    assert "horse" not in repr(crypto.decrypt(encrypt(SECRET), PLACE))
