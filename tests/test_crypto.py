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
from django_opentrain.errors import UndecryptableError

SECRET = b"whsec_correct-horse"
ENCRYPT = [crypto.encrypt, crypto.seal]


def use_keys(settings: Any, *keys: str) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": list(keys)}


def derived(key: str) -> AESGCM:
    salted = HKDF(SHA256(), length=32, salt=None, info=b"django-opentrain AES-256-GCM")
    return AESGCM(salted.derive(urlsafe_b64decode(key)))


def test_text_is_a_fernet_token_of_the_first_key(settings: Any) -> None:
    first, second = crypto.generate_key(), crypto.generate_key()
    use_keys(settings, first, second)
    assert Fernet(first).decrypt(crypto.encrypt(SECRET)) == SECRET


def test_bytes_are_sealed_with_what_derives_from_the_first_key(settings: Any) -> None:
    first, second = crypto.generate_key(), crypto.generate_key()
    use_keys(settings, first, second)
    sealed = crypto.seal(SECRET)
    assert sealed[:1] == b"\x01"
    assert derived(first).decrypt(sealed[1:13], sealed[13:], None) == SECRET
    with pytest.raises(InvalidTag):
        derived(second).decrypt(sealed[1:13], sealed[13:], None)


def test_no_nonce_is_used_twice() -> None:
    assert len({crypto.seal(SECRET)[1:13] for _ in range(1000)}) == 1000


@pytest.mark.parametrize("encrypt", ENCRYPT)
def test_an_older_key_still_decrypts_until_it_has_been_rotated(settings: Any, encrypt: Any) -> None:
    [old] = settings.OPENTRAIN["ENCRYPTION_KEYS"]
    ciphertext = encrypt(SECRET)
    assert crypto.is_current(ciphertext)
    new = crypto.generate_key()
    use_keys(settings, new, old)
    assert crypto.decrypt(ciphertext) == SECRET
    assert not crypto.is_current(ciphertext)
    rotated = crypto.rotate(ciphertext)
    assert crypto.is_current(rotated)
    assert rotated[:1] == ciphertext[:1], "it is another kind of ciphertext now"
    use_keys(settings, new)
    assert crypto.decrypt(rotated) == SECRET
    for refused in (crypto.decrypt, crypto.rotate):
        with pytest.raises(UndecryptableError):
            refused(ciphertext)


@pytest.mark.parametrize("encrypt", ENCRYPT)
def test_what_was_tampered_with_or_cut_off_is_undecryptable(encrypt: Any) -> None:
    ciphertext = encrypt(SECRET)
    flipped = ciphertext[:-5] + bytes([ciphertext[-5] ^ 1]) + ciphertext[-4:]
    for broken in (flipped, *(ciphertext[:length] for length in range(len(ciphertext)))):
        with pytest.raises(UndecryptableError):
            crypto.decrypt(broken)


@pytest.mark.parametrize("encrypt", ENCRYPT)
def test_what_was_decrypted_does_not_show_itself(encrypt: Any) -> None:
    assert "horse" not in repr(crypto.decrypt(encrypt(SECRET)))
