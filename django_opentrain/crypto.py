"""Encryption at rest with rotating keys, and strings that hide their value.

The keys come from ``OPENTRAIN["ENCRYPTION_KEYS"]`` alone, never from ``SECRET_KEY``: some platforms ship a public
one. Text is kept as Fernet tokens (https://github.com/fernet/spec: AES-128-CBC with HMAC-SHA256), which are text.
The bodies of webhooks are kept as AES-256-GCM's bytes (NIST SP 800-38D), under a key that is derived from each
Fernet key (HKDF, RFC 5869): a Fernet token is a third longer, and cost the receiver a tenth of its throughput
(``benchmarks/receiver.py``).
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.exceptions import ImproperlyConfigured

from django_opentrain.conf import conf
from django_opentrain.errors import UndecryptableError


class SecretStr(str):
    """A string whose ``repr`` is masked, so that no error report with local variables shows it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'••••••••'"


class SecretBytes(bytes):
    """The same for bytes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "b'••••••••'"


#: The first byte of what AES-GCM encrypted. A Fernet token's is "g".
SEALED: Final = b"\x01"
#: Bytes. Random ones are good for 2**32 messages under one key (SP 800-38D, section 8.3).
NONCE: Final = 12


class _Keys:
    """The configured keys, ready for use."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.fernet = MultiFernet([Fernet(key) for key in keys])
        self.gcm = [AESGCM(_derived(key)) for key in keys]

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Decrypt with the key that fits. Raises ``UndecryptableError`` when none does."""
        if not ciphertext.startswith(SEALED):
            try:
                return self.fernet.decrypt(ciphertext)
            except InvalidToken:
                raise UndecryptableError from None
        nonce, sealed = ciphertext[1 : 1 + NONCE], ciphertext[1 + NONCE :]
        for cipher in self.gcm:
            with suppress(InvalidTag, ValueError):  # another key's, or cut off
                return cipher.decrypt(nonce, sealed, None)
        raise UndecryptableError


def _derived(key: str) -> bytes:
    derivation = HKDF(SHA256(), length=32, salt=None, info=b"django-opentrain AES-256-GCM")
    return derivation.derive(urlsafe_b64decode(key))


@lru_cache(maxsize=8)
def _keys(keys: tuple[str, ...]) -> _Keys:
    try:
        return _Keys(keys)
    except ValueError:
        # Not chained: the exception's traceback holds the key.
        raise ImproperlyConfigured(
            "OPENTRAIN['ENCRYPTION_KEYS'] must be a non-empty list of Fernet keys;"
            " `manage.py opentrain_generate_key` prints one."
        ) from None


def encrypt(plain: bytes) -> bytes:
    """Encrypt with the first key, as ASCII text (a Fernet token)."""
    return _keys(conf.encryption_keys).fernet.encrypt(plain)


def seal(plain: bytes) -> bytes:
    """Encrypt with the first key, as bytes (AES-GCM): shorter and faster, for long or frequent values."""
    nonce = os.urandom(NONCE)
    return SEALED + nonce + _keys(conf.encryption_keys).gcm[0].encrypt(nonce, plain, None)


def decrypt(ciphertext: bytes) -> SecretBytes:
    """Decrypt either kind with the key that fits. Raises ``UndecryptableError`` when none does."""
    return SecretBytes(_keys(conf.encryption_keys).decrypt(ciphertext))


def rotate(ciphertext: bytes) -> bytes:
    """Encrypt again with the first key, in the same way. Raises ``UndecryptableError`` when no key fits."""
    again = seal if ciphertext.startswith(SEALED) else encrypt
    return again(decrypt(ciphertext))


def is_current(ciphertext: bytes) -> bool:
    """Whether the first key alone can decrypt this."""
    try:
        _keys(conf.encryption_keys[:1]).decrypt(ciphertext)
    except UndecryptableError:
        return False
    return True


def generate_key() -> str:
    """A new key for ``OPENTRAIN["ENCRYPTION_KEYS"]``."""
    return Fernet.generate_key().decode()
