"""Takes out of a response's words what must not reach a log or an error page."""

from __future__ import annotations

import re
from typing import Any, Final

from django_opentrain.platform.credentials import BearerToken

MAX_TEXT: Final = 300
_LOOKED_AT: Final = 1000  # more than is kept, so that nothing is cut in two before it was recognised
_MAX_DEPTH: Final = 6
_MAX_MEMBERS: Final = 200

CREDENTIAL = re.compile(r"(ot_ptk_|whsec_)[^\s\"'<>,;]*", re.IGNORECASE)
EMAIL = re.compile(r"[^\s@<>\"']+(?:@|%40)[^\s@<>\"']+", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def redact(text: str, token: BearerToken) -> str:
    """``text`` on one line, at most ``MAX_TEXT`` characters, without the token, secrets or e-mail addresses."""
    text = token.hide_in(text[:_LOOKED_AT])
    text = CREDENTIAL.sub(r"\1[…]", text)
    text = EMAIL.sub("[e-mail]", text)
    text = _UNPRINTABLE.sub(" ", text).strip()
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def redact_all(value: object, token: BearerToken, depth: int = 0) -> Any:
    """JSON with each of its texts redacted; what is nested too deep or too long to be of use is left out."""
    if isinstance(value, str):
        return redact(value, token)
    if depth == _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        members = list(value.items())[:_MAX_MEMBERS]
        return {redact(key, token): redact_all(member, token, depth + 1) for key, member in members}
    if isinstance(value, list):
        return [redact_all(member, token, depth + 1) for member in value[:_MAX_MEMBERS]]
    return value
