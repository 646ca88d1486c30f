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
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ImproperlyConfigured

from django_opentrain import constraints
from django_opentrain.conf import conf
from django_opentrain.errors import UndecryptableError
from django_opentrain.platform.tracebacks import without_locals

if TYPE_CHECKING:
    from django_opentrain.ciphers import Keys


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


def _configured_keys() -> Keys:
    return _keys(tuple(map(SecretStr, conf.encryption_keys)))


@lru_cache(maxsize=8)
@without_locals
def _keys(keys: tuple[SecretStr, ...]) -> Keys:
    # Not at the module's level, which is loaded when Django starts: cryptography takes 8 MB, and a process without
    # secrets (``migrate``, a web server that receives nothing) has none of it.
    from django_opentrain.ciphers import Keys  # noqa: PLC0415

    try:
        return Keys(keys)
    except ValueError:
        # Not chained: the exception's traceback holds the key.
        raise ImproperlyConfigured(
            "OPENTRAIN['ENCRYPTION_KEYS'] must be a non-empty list of Fernet keys;"
            " `manage.py opentrain_generate_key` prints one."
        ) from None


def seal(plain: bytes, place: bytes) -> bytes:
    """Encrypt with the first key, for this place alone."""
    return BOUND + _configured_keys().seal(plain, place)


def to_text(sealed: bytes) -> bytes:
    """What ``seal`` returned, as ASCII, for a column of text."""
    return urlsafe_b64encode(sealed)


def decrypt(ciphertext: bytes, place: bytes) -> SecretBytes:
    """Decrypt any form with the key that fits. Raises ``UndecryptableError`` when none does, or in another place."""
    return _opened(_configured_keys(), _binary(ciphertext), place)


def _opened(keys: Keys, ciphertext: bytes, place: bytes) -> SecretBytes:
    if ciphertext.startswith(BOUND):
        return SecretBytes(keys.open(ciphertext[1:], place))
    if ciphertext.startswith(UNBOUND):
        return SecretBytes(keys.open(ciphertext[1:], None))
    return SecretBytes(keys.open_token(ciphertext))


def is_bound(ciphertext: bytes) -> bool:
    """Whether this is of the form that is bound to a place."""
    return ciphertext.startswith((BOUND, _BOUND_TEXT))


def is_current(ciphertext: bytes, place: bytes) -> bool:
    """Whether this is bound to its place, and the first key alone can decrypt it."""
    if not is_bound(ciphertext):
        return False
    try:
        _opened(_keys((SecretStr(conf.encryption_keys[0]),)), _binary(ciphertext), place)
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
    return urlsafe_b64encode(os.urandom(constraints.KEY_LENGTH)).decode()
