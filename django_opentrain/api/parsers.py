"""The parser: JSON only, and bounded, whatever the host's defaults are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, Final, NoReturn

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from django_opentrain.crypto import SecretStr

#: The longest body that is read; a report of 100 usage entries takes about 30,000 bytes.
MAX_BODY_BYTES: Final = 131_072
#: Keys whose values must not show in the local variables of an error report.
SECRET_KEYS: Final = frozenset({"token"})


class PayloadTooLarge(APIException):
    """The body is longer than ``MAX_BODY_BYTES``."""

    status_code = 413
    default_detail = _("The body is too long.")
    default_code = "payload_too_large"


class ApiParser(BaseParser):
    """Strict JSON: bounded before it is read, no ``NaN``, nothing but UTF-8, -16 or -32 (RFC 8259)."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {}).get("request")
        if request is not None and _content_length(request) > MAX_BODY_BYTES:
            raise PayloadTooLarge
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLarge
        try:
            return json.loads(body, parse_constant=_refuse_constant, object_hook=_mask)
        except (ValueError, RecursionError):
            # Not chained: the exception holds the body, which may hold a token.
            raise ParseError(_("The body is not JSON.")) from None


def _content_length(request: Request) -> int:
    length = str(request.META.get("CONTENT_LENGTH") or "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _mask(found: dict[str, Any]) -> dict[str, Any]:
    return {
        key: SecretStr(value) if key in SECRET_KEYS and isinstance(value, str) else value
        for key, value in found.items()
    }
