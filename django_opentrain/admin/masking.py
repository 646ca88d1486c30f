"""What operators may see of people's addresses: enough to recognise one, not enough to use it."""

from __future__ import annotations

import json
import re
from typing import Final

from django_opentrain.platform import catalog
from django_opentrain.platform.payloads import parse_body

#: A body is at most ``MAX_WEBHOOK_BYTES`` long; a page needs no more than this many characters of it.
MAX_SHOWN: Final = 50_000

# The @ also as a URL or JSON writes it, in a body that could not be parsed.
_EMAIL = re.compile(r"([^\s@<>\"'\\])[^\s@<>\"']*(@|%40|\\u0040)([^\s@<>\"',;]+)", re.IGNORECASE)
_CREDENTIAL = re.compile(
    rf"({catalog.TOKEN_PREFIX}|{catalog.WEBHOOK_SECRET_PREFIX})[^\s\"'<>,;]*", re.IGNORECASE
)


def mask(text: str) -> str:
    """``text`` with its e-mail addresses as ``m•••@opentrain.work``, and without tokens and secrets."""
    return _CREDENTIAL.sub(r"\1••••", _EMAIL.sub(r"\1•••\2\3", text))


def readable_body(body: bytes) -> str:
    """The body of a webhook for people: indented where it is JSON, masked, and safe to encode."""
    payload = parse_body(body)
    try:
        text = json.dumps(payload, indent=2, ensure_ascii=False) if payload is not None else _decoded(body)
    except RecursionError:
        text = _decoded(body)
    # JSON may hold lone surrogates, which no response can encode.
    text = mask(text).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def _decoded(body: bytes) -> str:
    return body.decode("utf-8", "backslashreplace")
