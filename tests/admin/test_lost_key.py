"""The key that encrypted everything is gone, or everything was moved here from other rows: pages open and say so,
actions answer, nothing is worse than before.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

from django_opentrain import crypto
from django_opentrain.admin import ADMINS
from django_opentrain.fields import Ciphertext
from django_opentrain.models import Install, Participant, WebhookEndpoint, WebhookEvent
from tests.admin.browsing import confirm, text_of, url
from tests.admin.cases import CASES, FORMS, Action
from tests.admin.conftest import Scene, logged_in

EXPLANATION = "the key that encrypted it is missing"


COLUMNS = {Install: "token", Participant: "work_email", WebhookEndpoint: "secret", WebhookEvent: "body"}


@pytest.fixture(params=["lost", "moved"])
def lost(scene: Scene, settings: Any, request: pytest.FixtureRequest) -> Scene:
    """The scene, after its key was lost, or with other rows' secrets."""
    if request.param == "lost":
        settings.OPENTRAIN = {**settings.OPENTRAIN, "ENCRYPTION_KEYS": [crypto.generate_key()]}
    else:
        for model, name in COLUMNS.items():
            field: Any = model._meta.get_field(name)
            moved = Ciphertext(field.encrypt(field.to_plain(b""), b"another row"))
            model._default_manager.filter(pk=scene[model].pk).update(**{name: moved})
            scene[model].refresh_from_db()
    return scene


def ciphertexts(scene: Scene) -> list[object]:
    """What the encrypted columns hold: the key may be found again."""
    rows = {model: model._default_manager.get(pk=scene[model].pk) for model in COLUMNS}
    return [rows[model]._meta.get_field(name).ciphertext(rows[model]) for model, name in COLUMNS.items()]  # type: ignore[union-attr] # our fields'


@pytest.mark.parametrize("model", ADMINS, ids=lambda model: model.__name__)
def test_every_page_opens_and_explains(model: type[models.Model], lost: Scene, superuser: User) -> None:
    client = logged_in(superuser)
    text_of(client.get(url(model, "changelist")))
    page = text_of(client.get(url(model, "change", lost[model].pk)))
    assert (EXPLANATION in page) == (model in (Install, Participant, WebhookEndpoint, WebhookEvent))


#: It destroys the secret on purpose, and needs no key for that.
DESTROYING = (WebhookEndpoint, "replace_compromised")


@pytest.mark.parametrize(
    "action",
    [action for action in CASES if action != DESTROYING],
    ids=lambda action: f"{action[0].__name__}.{action[1]}",
)
def test_every_action_answers(action: Action, lost: Scene, operator: User) -> None:
    before = ciphertexts(lost)
    WebhookEvent.objects.update(status=WebhookEvent.Status.PENDING)
    filled = {"work_date": timezone.now().date().isoformat(), **FORMS.get(action, {})}
    assert confirm(logged_in(operator), lost[action[0]], action[1], **filled)
    assert ciphertexts(lost) == before


def test_a_compromised_secret_is_destroyed_without_the_key(lost: Scene, operator: User) -> None:
    endpoint = lost[WebhookEndpoint]
    confirm(logged_in(operator), endpoint, "replace_compromised")
    endpoint.refresh_from_db()
    assert (endpoint.secret, endpoint.compromised_at is not None) == (None, True)


@pytest.mark.parametrize(
    "action",
    [
        (Install, "verify"),
        (WebhookEndpoint, "pause"),
        (WebhookEndpoint, "rotate_secret"),
        (WebhookEvent, "process_now"),
    ],
    ids=lambda action: action[1],
)
def test_what_needs_the_key_says_so(action: Action, lost: Scene, operator: User) -> None:
    WebhookEvent.objects.update(status=WebhookEvent.Status.PENDING)
    messages = confirm(logged_in(operator), lost[action[0]], action[1])
    assert EXPLANATION in messages[0]
    assert "nothing was done" in messages[1]
