"""OpenTrain's webhook signature: ``t=<unix seconds>,v1=<hex HMAC-SHA256(secret, "<t>.<raw body>")>``.

Source: OpenTrain's developer documentation, "Webhooks", on the ``X-OpenTrain-Signature`` header.
The key is the whole ``whsec_…`` string, prefix included.
"""

from __future__ import annotations

import hmac
import re
import time

from django_opentrain.platform.catalog import SIGNATURE_TOLERANCE_SECONDS
from django_opentrain.platform.tracebacks import without_locals

# [0-9], not \d or str.isdigit(): those let "²" and other scripts' digits through, which int() refuses.
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")


def sign(secret: str, body: bytes, timestamp: int) -> str:
    """The value of ``X-OpenTrain-Signature`` for ``body`` sent at ``timestamp`` (Unix seconds)."""
    return f"t={timestamp},v1={_digest(secret, str(timestamp), body)}"


def verify(
    secret: str,
    header: str,
    body: bytes,
    *,
    tolerance: int = SIGNATURE_TOLERANCE_SECONDS,
    now: float | None = None,
) -> bool:
    """Whether ``header`` signs exactly the raw bytes ``body`` with ``secret``, lately.

    Never raises, whatever ``header`` holds. Parts may come in any order, unknown ones are ignored
    and several ``v1`` are allowed (any may match); everything else that is malformed is refused.

    :param tolerance: seconds that the timestamp may lie in the past or in the future.
    :param now: Unix seconds; the system clock's when left out.
    """
    parsed = _parse_timely(header, tolerance, time.time() if now is None else now)
    if parsed is None or not secret:  # anyone can sign with an empty key
        return False
    timestamp, signatures = parsed
    expected = _digest(secret, timestamp, body)
    # All are compared, so that the time taken doesn't reveal which one matched.
    matches = [hmac.compare_digest(expected, signature) for signature in signatures]
    return any(matches)


def is_timely(header: str, *, tolerance: int, now: float) -> bool:
    """Whether ``header`` can sign anything now: all that can be refused before the body is read."""
    return _parse_timely(header, tolerance, now) is not None


def _parse_timely(header: str, tolerance: int, now: float) -> tuple[str, list[str]] | None:
    parsed = _parse(header)
    return parsed if parsed and abs(now - int(parsed[0])) <= tolerance else None


@without_locals
def _digest(secret: str, timestamp: str, body: bytes) -> str:
    # surrogatepass: an error from encode() would carry the secret in its attributes.
    key = secret.encode("utf-8", "surrogatepass")
    return hmac.digest(key, timestamp.encode("ascii") + b"." + body, "sha256").hex()


def _parse(header: str) -> tuple[str, list[str]] | None:
    """The timestamp (digits as sent, since they are what is signed) and the ``v1`` signatures."""
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
    return timestamps[0], signatures
