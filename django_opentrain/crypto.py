"""Encryption at rest: Fernet with rotating keys, and strings that don't show themselves.

Fernet: https://github.com/fernet/spec (AES-128-CBC with HMAC-SHA256). The keys come from
``OPENTRAIN["ENCRYPTION_KEYS"]`` alone, never from ``SECRET_KEY``: some platforms ship a public one.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from django_opentrain.conf import conf


class UndecryptableError(Exception):
    """A stored secret can't be decrypted with any of the configured keys."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "A stored secret can't be decrypted: the key that encrypted it is missing from"
                " OPENTRAIN['ENCRYPTION_KEYS']. Put the old key back at the end of that list, or reconnect."
            )
        )


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


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        # The offending key is in the exception's traceback: don't chain it.
        raise ImproperlyConfigured(
            "OPENTRAIN['ENCRYPTION_KEYS'] must be a non-empty list of Fernet keys;"
            " `manage.py opentrain_generate_key` prints one."
        ) from None


def encrypt(plain: bytes) -> bytes:
    """Encrypt with the first key."""
    return _cipher(conf.encryption_keys).encrypt(plain)


def decrypt(ciphertext: bytes) -> SecretBytes:
    """Decrypt with whichever key fits. Raises ``UndecryptableError`` when none does."""
    try:
        return SecretBytes(_cipher(conf.encryption_keys).decrypt(ciphertext))
    except InvalidToken:
        raise UndecryptableError from None


def rotate(ciphertext: bytes) -> bytes:
    """Re-encrypt with the first key. Raises ``UndecryptableError`` when no key fits."""
    try:
        return _cipher(conf.encryption_keys).rotate(ciphertext)
    except InvalidToken:
        raise UndecryptableError from None


def is_current(ciphertext: bytes) -> bool:
    """Whether the first key alone can decrypt this."""
    try:
        _cipher(conf.encryption_keys[:1]).decrypt(ciphertext)
    except InvalidToken:
        return False
    return True


def generate_key() -> str:
    """A new key for ``OPENTRAIN["ENCRYPTION_KEYS"]``."""
    return Fernet.generate_key().decode()
