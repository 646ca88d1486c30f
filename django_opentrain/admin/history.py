"""What is recorded of operators, in the history of the rows."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.http import HttpRequest


def record(request: HttpRequest, rows: Iterable[models.Model], what: str) -> None:
    """Say in the history of each row that the user of this request did this."""
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=str(request.user.pk),
            content_type=ContentType.objects.get_for_model(row),
            object_id=str(row.pk),
            object_repr=str(row)[:200],
            action_flag=CHANGE,
            change_message=what,
        )
        for row in rows
    )
