"""What is recorded of operators, in the history of the rows."""

from __future__ import annotations

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.http import HttpRequest


def entry(request: HttpRequest, row: models.Model, what: str) -> LogEntry:
    """An unsaved entry in the history of ``row``: the user of this request did this."""
    return LogEntry(
        user_id=str(request.user.pk),
        content_type=ContentType.objects.get_for_model(row),
        object_id=str(row.pk),
        object_repr=str(row)[:200],
        action_flag=CHANGE,
        change_message=what,
    )
