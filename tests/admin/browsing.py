"""What staff do in the admin, for tests: open pages, run actions, read the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.messages import get_messages
from django.core import serializers
from django.db import models
from django.test import Client
from django.urls import reverse

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

REASON = "left the team"
CAUSE = f"operator ada: {REASON}"


def url(model: type[models.Model], page: str, *arguments: object, site: str = "admin") -> str:
    return reverse(
        f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments, current_app=site
    )


def stored(row: models.Model) -> str:
    """All columns, secrets as their ciphertext."""
    return str(serializers.serialize("json", type(row)._default_manager.filter(pk=row.pk)))


def text_of(response: Response) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def act(client: Client, row: models.Model, action: str, **data: str) -> Response:
    """Run an action on one row; without ``confirmed`` the answer is the confirmation."""
    chosen = {"action": action, "_selected_action": str(row.pk)}
    return client.post(url(type(row), "changelist"), {**chosen, **data})


def confirm(client: Client, row: models.Model, action: str, **data: str) -> list[str]:
    """Run an action and confirm it; returns the messages to the operator."""
    response = act(client, row, action, confirmed="yes", reason=REASON, **data)
    assert response.status_code == 302
    return messages_of(response)


def messages_of(response: Response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def fresh(row: Any) -> Any:
    """The row as the database has it now."""
    return type(row).objects.get(pk=row.pk)
