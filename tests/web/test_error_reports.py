"""What an error reporter sees of our frames: some print every local variable, and send it to their vendor."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings

from django_opentrain.testing.kit import OpenTrain
from tests.factories import make_endpoint, make_install
from tests.web.deliveries import deliver
from tests.web.test_connect import arrive, send

BODY = json.dumps(
    {"id": "1", "type": "contract.started", "data": {"freelancer": {"workEmail": "SECRET@opentrain.work"}}}
).encode()


def reported(call: Callable[[], object]) -> str:
    """All local variables from our view inwards, when this fails as it does on a site that has lost its keys."""
    lost = override_settings(OPENTRAIN={**settings.OPENTRAIN, "ENCRYPTION_KEYS": []})
    with lost, pytest.raises(ImproperlyConfigured) as caught:
        call()
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [number for number, frame in enumerate(frames.stack) if "/django_opentrain/" in frame.filename]
    return repr([frame.locals for frame in frames.stack[ours[0] :]])


@pytest.mark.parametrize("known", [False, True], ids=["before it is verified", "when it is stored"])
def test_a_delivery_that_fails_shows_no_work_email(known: bool) -> None:
    client, endpoint = Client(), make_endpoint(make_install())
    if known:
        deliver(client, endpoint)
    assert "SECRET" not in reported(lambda: deliver(client, endpoint, BODY))


def test_a_token_that_cannot_be_kept_is_not_shown(boss: Client, opentrain: OpenTrain) -> None:
    url, token = arrive(boss, opentrain)
    assert token not in reported(lambda: send(boss, url, token=token))


def test_nor_is_one_that_comes_by_the_api(boss: Client, opentrain: OpenTrain) -> None:
    token = opentrain.sandbox.approve().token
    boss.cookies["csrftoken"] = "c" * 32
    with override_settings(DEBUG=True):  # then the API lets exceptions pass
        report = reported(
            lambda: boss.post(
                "/opentrain/api/installs/token/",
                {"token": token},
                "application/json",
                headers={"X-CSRFToken": "c" * 32},
            )
        )
    assert token not in report
