"""The body of a webhook event, as shown to operators."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import islice
from operator import or_
from typing import Any, Final

from django.db.models import Q
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString

from django_opentrain.admin.row_links import RowLinks
from django_opentrain.models import Contract, Install, Participant, ProjectLink
from django_opentrain.platform.payloads import parse_body
from django_opentrain.platform.redaction import MAX_MASKED, mask

#: Characters of a body that is indented; what would be longer is shown as it was received.
MAX_INDENTED: Final = 1_000_000
#: Texts of a body that are looked up.
MAX_LOOKED_UP: Final = 400

_INDENTED: Final = json.JSONEncoder(indent=2, ensure_ascii=False)
#: A text of JSON that may be an id, with its key if it has one; not a key. With a NUL PostgreSQL compares nothing.
_TEXT: Final = re.compile(r'(?:"(?P<key>\w{1,64})":\s?)?"(?P<id>[^"\\\s\x00]{1,200})"(?!:)')
#: The columns in which an id may be, and the key under which it then is in a body: "" is any. A host's own ids are
#: short: "1" elsewhere in a body is something else.
_IDS: Final[Mapping[Any, Mapping[str, str]]] = {
    Contract: {"opentrain_id": ""},
    Participant: {"opentrain_user_id": ""},
    ProjectLink: {"opentrain_id": "", "external_project_id": "externalProjectId"},
}


def readable_body(body: bytes) -> str:
    """At most ``MAX_MASKED`` characters of ``body``: indented where it is JSON, masked, and safe to encode."""
    payload = parse_body(body)
    text = _decoded(body) if payload is None else _beginning(_INDENTED.iterencode(payload), MAX_MASKED)
    return mask(_encodable(text))


def whole_body(body: bytes) -> str:
    """All of ``body``, unmasked and safe to encode: indented where it is JSON that doesn't become too long by it."""
    payload = parse_body(body)
    if payload is None:
        return _decoded(body)
    text = _beginning(_INDENTED.iterencode(payload), MAX_INDENTED)
    return _encodable(text) if len(text) <= MAX_INDENTED else _decoded(body)


def linked(text: str, install: Install, links: RowLinks) -> SafeString:
    """``text`` as HTML, in which the ids of this install's rows lead to them. At most one statement per model."""
    texts = [*islice(_TEXT.finditer(text), MAX_LOOKED_UP)]
    urls = _urls(texts, install, links)
    parts, end = [], 0
    for found in texts:
        if url := urls.get(("", found["id"])) or urls.get((found["key"] or "", found["id"])):
            parts.append((text[end : found.start("id")], url, found["id"]))
            end = found.end("id")
    return format_html_join("", '{}<a href="{}">{}</a>', parts) + escape(text[end:])


def _urls(
    texts: Iterable[re.Match[str]], install: Install, links: RowLinks
) -> Mapping[tuple[str, str | None], str]:
    urls = {("", install.opentrain_id): links.url(Install, install.pk)}
    for model, columns in _IDS.items():
        sought = {
            f"{column}__in": {found["id"] for found in texts if key in ("", found["key"])}
            for column, key in columns.items()
        }
        if not any(sought.values()) or not links.lead_to(model):
            continue
        # After a reconnect, rows are the next install's.
        rows = model.objects.filter(
            reduce(or_, (Q(**{lookup: ids}) for lookup, ids in sought.items())),
            install__in=[install.pk, install.superseded_by_id or install.pk],
        )
        for pk, *ids in rows.order_by("pk").values_list("pk", *columns):
            urls |= dict.fromkeys(zip(columns.values(), ids, strict=True), links.url(model, pk))
    return urls


def _beginning(chunks: Iterable[str], length: int) -> str:
    """More than ``length`` characters, or all. Indented, a deeply nested body can be a thousand times as long.

    So deep nesting is cut off long before it is as deep as Python's stack.
    """
    text: list[str] = []
    so_far = 0
    for chunk in chunks:
        text.append(chunk)
        so_far += len(chunk)
        if so_far > length:
            break
    return "".join(text)


def _decoded(body: bytes) -> str:
    return body.decode("utf-8", "backslashreplace")


def _encodable(text: str) -> str:
    """JSON may hold lone surrogates, which no response can encode."""
    return text.encode("utf-8", "backslashreplace").decode()
