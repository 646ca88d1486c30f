"""The renderer: JSON, whatever the host's defaults are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder


class ApiRenderer(JSONRenderer):
    """JSON that can always be encoded: with a host's ``UNICODE_JSON`` a lone surrogate would break the response."""

    encoder_class = JSONEncoder
    ensure_ascii = True
    compact = True
    strict = True

    def get_indent(self, accepted_media_type: str | None, renderer_context: Mapping[str, Any]) -> None:
        """None: what a client accepts doesn't change the response."""
