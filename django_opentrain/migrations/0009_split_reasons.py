"""Rows kept ``Kind: text``, and readers took the kind for one of our classes: now they keep a code and a text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from django.db import migrations

COLUMNS: Final = (
    ("Install", "last_error"),
    ("ProjectLink", "last_error"),
    ("AccessGrant", "last_error"),
    ("WebhookEndpoint", "last_error"),
    ("WebhookEvent", "error"),
    ("Contract", "announce_error"),
    ("Contract", "collect_error"),
    ("Contract", "report_error"),
    ("DailyUsage", "error"),
)
#: The codes of kinds that are certainly ours. A ``NotFound`` or ``Conflict`` may have been the host's own.
KINDS: Final = {
    "AdapterError": "CONFLICT",
    "MissingScope": "MISSING_SCOPE",
    "OpenTrainAPIError": "OPENTRAIN_UNAVAILABLE",
    "OpenTrainConnectionError": "OPENTRAIN_UNAVAILABLE",
    "UndecryptableError": "SECRET_UNREADABLE",
    "UnusableResponse": "OPENTRAIN_UNAVAILABLE",
}
#: What installs have had as codes.
INSTALL_CODES: Final = {"UNAUTHORIZED": "RECONNECT_REQUIRED", "FORBIDDEN": "OPENTRAIN_FORBIDDEN"}
KIND: Final = re.compile(r"([A-Z]\w*): ")


def split(apps: Any, _schema_editor: Any) -> None:
    """A text without a kind is a sentence of ours; one with a kind that may be the host's is for operators only."""
    rename_install_codes(apps, INSTALL_CODES.get)
    for model, column in COLUMNS:
        rows = apps.get_model("django_opentrain", model)._default_manager.filter(**{f"{column}_code": ""})
        reasons = rows.exclude(**{column: ""})
        for pk, text in list(reasons.filter(**{f"{column}__contains": ": "}).values_list("pk", column)):
            if kind := KIND.match(text):
                code = KINDS.get(kind[1])
                changes = {column: text[kind.end() :], f"{column}_code": code} if code else {}
                rows.filter(pk=pk).update(**(changes or {f"{column}_code": "INTERNAL_ERROR"}))
        reasons.update(**{f"{column}_code": "NOTE"})


def join(apps: Any, _schema_editor: Any) -> None:
    """Only the installs' codes decide anything; what is for operators only still has its kind in the text."""
    back = {new: old for old, new in INSTALL_CODES.items()}
    rename_install_codes(apps, back.get)


def rename_install_codes(apps: Any, new_name: Callable[[str], str | None]) -> None:
    installs = apps.get_model("django_opentrain", "Install")._default_manager
    for code in set(installs.values_list("last_error_code", flat=True)):
        # It had the scope behind it, which the text names.
        new = "MISSING_SCOPE" if code.startswith("MISSING_SCOPE:") else new_name(code)
        if new:
            installs.filter(last_error_code=code).update(last_error_code=new)


class Migration(migrations.Migration):
    dependencies = [
        ("django_opentrain", "0008_error_codes"),
    ]

    operations = [migrations.RunPython(split, join)]
