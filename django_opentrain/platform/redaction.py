"""Takes secrets and e-mail addresses out of texts that are logged, stored or shown.

Hosts, databases, mail servers and proxies quote what they were given. No function looks at more than a bounded
part of a text, and none takes more than linear time, whatever the text: no pattern begins with a repetition, so
that none is retried from each character of what it failed on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from django_opentrain.platform.values import MAX_EMAIL

#: Characters of an error that are kept.
MAX_TEXT: Final = 1000
#: Characters of a masked text: more than a page needs.
MAX_MASKED: Final = 50_000
_MAX_DEPTH: Final = 6
_MAX_MEMBERS: Final = 200

# The first group stays: it names what was there.
_SECRETS: Final = (
    re.compile(r"(ot_ptk_|ot_pat_|whsec_)[^\s\"'<>,;]*", re.IGNORECASE),
    re.compile(
        r"(authorization[\\\"'\s]*[:=][\\\"'\s]*(?:(?:basic|bearer|token)\s+)?)[^\s\"'<>,;]+", re.IGNORECASE
    ),
    # Shorter words after "bearer" are prose.
    re.compile(r"(\bbearer\s+)[^\s\"'<>,;]{16,}", re.IGNORECASE),
    re.compile(r"(v1(?:=|%3D))[0-9a-f]{16,}", re.IGNORECASE),
)
# Databases quote the row that they refuse, with names and addresses in it. The constraint or column stays.
_QUOTED_ROWS: Final = (
    # PostgreSQL: the lines behind the first one.
    re.compile(r"()\n(?:DETAIL|CONTEXT|QUERY): .*", re.DOTALL),
    # MySQL and MariaDB.
    re.compile(r"(Duplicate entry |Incorrect [a-z]+ value: )'.*?'(?= for (?:key|column) )", re.DOTALL),
)
# What ends an address: the characters that ``values.as_email`` refuses in one.
_SEPARATOR: Final = re.compile(r"[\s,;<>()\"]")
_WORD: Final = re.compile(r"[^\s,;<>()\"]+")
# Also as a URL or JSON writes it, in what could not be parsed.
_AT: Final = re.compile(r"@|%40|\\u0040", re.IGNORECASE)
_UNPRINTABLE: Final = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def redact(text: str, limit: int = MAX_TEXT) -> str:
    """``text`` on one line of at most ``limit`` characters, without secrets, e-mail addresses and a database's rows.

    Fit for a log, a database column and a page.
    """
    looked_at = _beginning(text, 2 * limit + MAX_EMAIL)
    for row in _QUOTED_ROWS:
        looked_at = row.sub(r"\1…", looked_at)
    line = _UNPRINTABLE.sub(" ", _WORD.sub(_without_address, _without_secrets(looked_at))).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def redact_all(value: object, redact_text: Callable[[str], str], depth: int = 0) -> Any:
    """JSON with each of its texts redacted; what is nested too deep or too long to be of use is left out."""
    if isinstance(value, str):
        return redact_text(value)
    if depth == _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        members = list(value.items())[:_MAX_MEMBERS]
        return {redact_text(key): redact_all(member, redact_text, depth + 1) for key, member in members}
    if isinstance(value, list):
        return [redact_all(member, redact_text, depth + 1) for member in value[:_MAX_MEMBERS]]
    return value


def describe(error: BaseException) -> str:
    """An exception as ``Kind: text``, redacted."""
    return redact(f"{type(error).__name__}: {error}")


def mask(text: str) -> str:
    """At most ``MAX_MASKED`` characters of ``text``, without secrets, and with ``m•••@opentrain.work`` for addresses.

    For operators, who may recognise an address and not use it. Keeps line breaks.
    """
    looked_at = _beginning(text, MAX_MASKED)
    masked = _WORD.sub(_mask_address, _without_secrets(looked_at))
    return masked if len(looked_at) == len(text) and len(masked) <= MAX_MASKED else masked[:MAX_MASKED] + "…"


def _without_secrets(text: str) -> str:
    for secret in _SECRETS:
        text = secret.sub(r"\1[redacted]", text)
    return text


def _without_address(word: re.Match[str]) -> str:
    return "[e-mail]" if _last_at(word[0]) else word[0]


def _mask_address(word: re.Match[str]) -> str:
    at = _last_at(word[0])
    return word[0] if at is None else f"{word[0][0]}•••{word[0][at.start() :]}"


def _last_at(word: str) -> re.Match[str] | None:
    """The last @ with something on both of its sides."""
    *_, last = (None, *_AT.finditer(word, 1, len(word) - 1))
    return last


def _beginning(text: str, length: int) -> str:
    """The first ``length`` characters, less what may be the first half of a secret or an address at their end."""
    if len(text) <= length:
        return text
    head, tail = text[: length - MAX_EMAIL], text[length - MAX_EMAIL : length]
    ends = [separator.end() for separator in _SEPARATOR.finditer(tail)]
    return head + tail[: ends[-1] if ends else 0]
