"""OpenTrain's webhook signature: ``t=<unix seconds>,v1=<hex HMAC-SHA256(secret, "<t>.<raw body>")>``.

Source: OpenTrain's developer documentation, "Webhooks", on the ``X-OpenTrain-Signature`` header.
The key is the whole ``whsec_…`` string, prefix included.
"""

from __future__ import annotations

import hmac
import re
import time
from typing import NamedTuple

from django_opentrain.platform.catalog import SIGNATURE_TOLERANCE_SECONDS
from django_opentrain.platform.tracebacks import without_locals

# [0-9], not \d or str.isdigit(): those let "²" and other scripts' digits through, which int() refuses.
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")


def sign(secret: str, body: bytes, timestamp: int) -> str:
    """The value of ``X-OpenTrain-Signature`` for ``body`` sent at ``timestamp`` (Unix seconds)."""
    return f"t={timestamp},v1={_digest(keyed(secret), str(timestamp), body)}"


@without_locals
def keyed(secret: str) -> hmac.HMAC:
    """What verifies many signatures with one secret: to copy it costs less than to make it anew."""
    # surrogatepass: an error from encode() would carry the secret in its attributes.
    return hmac.new(secret.encode("utf-8", "surrogatepass"), digestmod="sha256")


class Signature(NamedTuple):
    """What a header says. It proves nothing until ``signs`` does."""

    #: Digits as sent, since they are what is signed.
    timestamp: str
    #: The ``v1`` signatures, in lower case.
    digests: list[str]

    def is_timely(self, tolerance: int, now: float) -> bool:
        """Whether the timestamp is at most ``tolerance`` seconds from ``now``, either way."""
        return abs(now - int(self.timestamp)) <= tolerance

    def signs(self, body: bytes, key: hmac.HMAC) -> bool:
        """Whether it was made of exactly these raw bytes, with the secret that ``key`` was made of."""
        expected = _digest(key, self.timestamp, body)
        # All are compared, so that the time taken doesn't reveal which one matched.
        matches = [hmac.compare_digest(expected, digest) for digest in self.digests]
        return any(matches)


def verify(
    secret: str,
    header: str,
    body: bytes,
    *,
    tolerance: int = SIGNATURE_TOLERANCE_SECONDS,
    now: float | None = None,
) -> bool:
    """Whether ``header`` signs exactly the raw bytes ``body`` with ``secret``, lately.

    Never raises, whatever ``header`` holds.

    :param tolerance: seconds that the timestamp may lie in the past or in the future.
    :param now: Unix seconds; the system clock's when left out.
    """
    signature = parse(header)
    if signature is None or not secret:  # anyone can sign with an empty key
        return False
    timely = signature.is_timely(tolerance, time.time() if now is None else now)
    return timely and signature.signs(body, keyed(secret))


def parse(header: str) -> Signature | None:
    """Read a header, whatever it holds; None when it is malformed.

    Parts may come in any order, unknown ones are ignored and several ``v1`` are allowed (any may match); everything
    else that is malformed is refused.
    """
    timestamps: list[str] = []
    signatures: list[str] = []
    for part in header.split(","):
        name, equals, value = part.partition("=")
        if not (name and equals):
            return None
        if name == "t":
            timestamps.append(value)
        elif name == "v1":
            signatures.append(value.lower())
    if len(timestamps) != 1 or not _TIMESTAMP.fullmatch(timestamps[0]):
        return None
    if not signatures or not all(map(_SIGNATURE.fullmatch, signatures)):
        return None
    return Signature(timestamps[0], signatures)


def _digest(key: hmac.HMAC, timestamp: str, body: bytes) -> str:
    code = key.copy()
    code.update(timestamp.encode("ascii") + b".")
    code.update(body)
    return code.hexdigest()
