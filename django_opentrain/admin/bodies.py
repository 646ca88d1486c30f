"""The body of a webhook event, as shown to operators."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from django_opentrain.platform.payloads import parse_body
from django_opentrain.platform.redaction import MAX_MASKED, mask

_INDENTED: Final = json.JSONEncoder(indent=2, ensure_ascii=False)


def readable_body(body: bytes) -> str:
    """At most ``MAX_MASKED`` characters of ``body``: indented where it is JSON, masked, and safe to encode."""
    payload = parse_body(body)
    text = _decoded(body) if payload is None else _beginning(_INDENTED.iterencode(payload))
    # JSON may hold lone surrogates, which no response can encode.
    return mask(text.encode("utf-8", "backslashreplace").decode())


def _beginning(chunks: Iterable[str]) -> str:
    """As much as is shown. Indented, a deeply nested body can be a thousand times as long.

    So deep nesting is cut off long before it is as deep as Python's stack.
    """
    text: list[str] = []
    length = 0
    for chunk in chunks:
        text.append(chunk)
        length += len(chunk)
        if length > MAX_MASKED:
            break
    return "".join(text)


def _decoded(body: bytes) -> str:
    return body.decode("utf-8", "backslashreplace")
