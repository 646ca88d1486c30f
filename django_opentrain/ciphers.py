"""The ciphers of ``crypto``, which loads this module with the first secret: cryptography takes 8 MB.

From each Fernet key a key for AES-256-GCM (NIST SP 800-38D) is derived (HKDF, RFC 5869).
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from django_opentrain.errors import UndecryptableError

#: Bytes. Random ones are good for 2**32 messages under one key (SP 800-38D, section 8.3).
NONCE: Final = 12


class Keys:
    """The configured keys, ready for use. Raises ``ValueError`` for what is no Fernet key."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._gcm = [AESGCM(_derived(key)) for key in keys]

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """A nonce and GCM's output, with the first key."""
        nonce = os.urandom(NONCE)
        return nonce + self._gcm[0].encrypt(nonce, plain, place)

    def open(self, sealed: bytes, place: bytes | None) -> bytes:
        """What ``seal`` made. Raises ``UndecryptableError`` when no key fits."""
        nonce, sealed = sealed[:NONCE], sealed[NONCE:]
        for cipher in self._gcm:
            with suppress(InvalidTag, ValueError):  # another key's or place's, or cut off
                return cipher.decrypt(nonce, sealed, place)
        raise UndecryptableError

    def open_token(self, token: bytes) -> bytes:
        """What Fernet made. Raises ``UndecryptableError`` when no key fits."""
        try:
            return self._fernet.decrypt(token)
        except InvalidToken:
            raise UndecryptableError from None


def _derived(key: str) -> bytes:
    derivation = HKDF(SHA256(), length=32, salt=None, info=b"django-opentrain AES-256-GCM")
    return derivation.derive(urlsafe_b64decode(key))
