"""Declining on the consent screen, whatever OpenTrain sends back then: its documentation doesn't say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from django.test import Client

from django_opentrain.models import Install
from django_opentrain.sandbox import Readings
from django_opentrain.testing.kit import OpenTrain
from tests.web.markup import text_of
from tests.web.test_connect import path_of, set_out


@pytest.fixture(params=["parameters", "error", "bare"])
def opentrain(request: pytest.FixtureRequest, db: None) -> Iterator[OpenTrain]:
    with OpenTrain(Readings(decline=request.param)) as opentrain:
        yield opentrain


def test_a_customer_who_declines_is_told_so(boss: Client, opentrain: OpenTrain) -> None:
    parameters = set_out(boss)
    with requests.Session() as browser:
        opentrain.sandbox.mount(browser)
        url = f"{opentrain.sandbox.base_url}/integrations/annotation-demo/connect"
        answer = browser.post(url, params=parameters, data={"decision": "decline"}, allow_redirects=False)
    page = boss.get(path_of(answer.headers["Location"]))
    assert page.status_code == 200
    assert "not connected" in text_of(page).lower()
    assert not Install.objects.exists()
