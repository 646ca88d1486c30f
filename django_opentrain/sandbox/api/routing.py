"""The operations of the API by method and path, and what each needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from django_opentrain.sandbox.models import App, Install, Token
from django_opentrain.sandbox.payloads import Json
from django_opentrain.sandbox.store import Store
from django_opentrain.sandbox.validation import Fields


@dataclass(frozen=True, kw_only=True)
class Call:
    """One authorized call: whose it is, and what it sent."""

    store: Store
    app: App
    install: Install
    token: Token
    ids: tuple[str, ...]
    query: Fields
    body: Fields


@dataclass(frozen=True, kw_only=True)
class Operation:
    """``path`` is OpenAPI's; its parameters arrive, decoded, in :attr:`Call.ids`."""

    method: str
    path: str
    scope: str | None
    run: Callable[[Call], Json]
    status: int = 200

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{\w+\}", "([^/]+)", self.path))
