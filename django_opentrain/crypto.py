"""Encryption at rest with rotating keys, and strings that hide their value.

The keys come from ``OPENTRAIN["ENCRYPTION_KEYS"]`` alone, never from ``SECRET_KEY``: some platforms ship a public
one. They are Fernet keys; from each a key for AES-256-GCM (NIST SP 800-38D) is derived (HKDF, RFC 5869). A
ciphertext decrypts only in its place (its table, column and row), which is GCM's associated data: one that was
copied to another row is refused. It is the version byte ``BOUND``, the nonce, and GCM's output; in columns of text
that in base64.

Two earlier forms, bound to no place, are still decrypted: Fernet tokens (https://github.com/fernet/spec), and GCM's
bytes after the version byte ``UNBOUND``.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
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
from django_opentrain.platform.tracebacks import without_locals


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


#: The first byte of a ciphertext. In base64, ``BOUND`` begins with "A" and a Fernet token, whose is 0x80, with "g".
UNBOUND: Final = b"\x01"
BOUND: Final = b"\x02"
_BOUND_TEXT: Final = b"A"
#: Bytes. Random ones are good for 2**32 messages under one key (SP 800-38D, section 8.3).
NONCE: Final = 12


class _Keys:
    """The configured keys, ready for use."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.fernet = MultiFernet([Fernet(key) for key in keys])
        self.gcm = [AESGCM(_derived(key)) for key in keys]

    def decrypt(self, ciphertext: bytes, place: bytes) -> SecretBytes:
        """Decrypt with the key that fits. Raises ``UndecryptableError`` when none does."""
        if ciphertext.startswith(BOUND):
            return self._open(ciphertext, place)
        if ciphertext.startswith(UNBOUND):
            return self._open(ciphertext, None)
        try:
            return SecretBytes(self.fernet.decrypt(ciphertext))
        except InvalidToken:
            raise UndecryptableError from None

    def _open(self, ciphertext: bytes, place: bytes | None) -> SecretBytes:
        nonce, sealed = ciphertext[1 : 1 + NONCE], ciphertext[1 + NONCE :]
        for cipher in self.gcm:
            with suppress(InvalidTag, ValueError):  # another key's or place's, or cut off
                return SecretBytes(cipher.decrypt(nonce, sealed, place))
        raise UndecryptableError


def _derived(key: str) -> bytes:
    derivation = HKDF(SHA256(), length=32, salt=None, info=b"django-opentrain AES-256-GCM")
    return derivation.derive(urlsafe_b64decode(key))


def _configured_keys() -> _Keys:
    return _keys(tuple(map(SecretStr, conf.encryption_keys)))


@lru_cache(maxsize=8)
@without_locals
def _keys(keys: tuple[SecretStr, ...]) -> _Keys:
    try:
        return _Keys(keys)
    except ValueError:
        # Not chained: the exception's traceback holds the key.
        raise ImproperlyConfigured(
            "OPENTRAIN['ENCRYPTION_KEYS'] must be a non-empty list of Fernet keys;"
            " `manage.py opentrain_generate_key` prints one."
        ) from None


def seal(plain: bytes, place: bytes) -> bytes:
    """Encrypt with the first key, for this place alone."""
    nonce = os.urandom(NONCE)
    return BOUND + nonce + _configured_keys().gcm[0].encrypt(nonce, plain, place)


def to_text(sealed: bytes) -> bytes:
    """What ``seal`` returned, as ASCII, for a column of text."""
    return urlsafe_b64encode(sealed)


def decrypt(ciphertext: bytes, place: bytes) -> SecretBytes:
    """Decrypt any form with the key that fits. Raises ``UndecryptableError`` when none does, or in another place."""
    return _configured_keys().decrypt(_binary(ciphertext), place)


def is_bound(ciphertext: bytes) -> bool:
    """Whether this is of the form that is bound to a place."""
    return ciphertext.startswith((BOUND, _BOUND_TEXT))


def is_current(ciphertext: bytes, place: bytes) -> bool:
    """Whether this is bound to its place, and the first key alone can decrypt it."""
    if not is_bound(ciphertext):
        return False
    try:
        _keys((SecretStr(conf.encryption_keys[0]),)).decrypt(_binary(ciphertext), place)
    except UndecryptableError:
        return False
    return True


def _binary(ciphertext: bytes) -> bytes:
    if not ciphertext.startswith(_BOUND_TEXT):
        return ciphertext
    try:
        return urlsafe_b64decode(ciphertext)
    except ValueError:  # cut off
        raise UndecryptableError from None


def generate_key() -> str:
    """A new key for ``OPENTRAIN["ENCRYPTION_KEYS"]``."""
    return Fernet.generate_key().decode()
