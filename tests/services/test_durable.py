"""What goes to OpenTrain is refused inside of a transaction that can be rolled back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.test import RequestFactory

from django_opentrain.models import ProjectLink, WebhookEndpoint
from django_opentrain.services import connect, endpoints, linking, reconcile, usage
from django_opentrain.testing.kit import OpenTrain


def begin() -> None:
    request = RequestFactory().post("/")
    request.user = AnonymousUser()
    connect.begin(request)


CALLS: dict[str, Callable[[Any], object]] = {
    "consent.begin": lambda _install: begin(),
    "connect.capture_token": lambda install: connect.capture_token(install, "ot_ptk_" + "x" * 40),
    "tokens.verify": connect.verify,
    "lifecycle.link": lambda install: linking.link(install, "p2"),
    "lifecycle.unlink": lambda _install: linking.unlink(ProjectLink.objects.get()),
    "endpoints.subscribe": endpoints.subscribe,
    "endpoints.rotate_secret": lambda _install: endpoints.rotate_secret(WebhookEndpoint.objects.get()),
    "endpoints.recover": lambda _install: endpoints.recover(WebhookEndpoint.objects.get()),
    "endpoints.pause": lambda _install: endpoints.pause(WebhookEndpoint.objects.get()),
    "endpoints.redeliver": lambda _install: endpoints.redeliver(WebhookEndpoint.objects.get()),
    "runs.install": reconcile.install,
}


@pytest.mark.django_db(transaction=True)
def test_what_opentrain_would_keep_is_refused_inside_a_transaction(opentrain: OpenTrain) -> None:
    install = opentrain.connect("acme")
    opentrain.link("p1")
    hire = opentrain.hire("Maria S.")
    opentrain.run()
    contract = hire.contract
    before = len(opentrain.sandbox.app.calls)
    for name, call in CALLS.items():
        with (
            transaction.atomic(),
            pytest.raises(RuntimeError, match=rf"{name}\(\) was called inside a transaction"),
        ):
            call(install)
    with transaction.atomic(), pytest.raises(RuntimeError, match=r"reporting.report\(\) was called"):
        usage.report(contract)
    assert len(opentrain.sandbox.app.calls) == before
    assert ProjectLink.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_after_the_commit_it_is_not(opentrain: OpenTrain) -> None:
    install = opentrain.connect("acme")
    with transaction.atomic():
        transaction.on_commit(partial(linking.link, install, "p1"))
    assert ProjectLink.objects.get().status == ProjectLink.Status.ACTIVE


@pytest.mark.long
def test_the_transaction_of_a_test_does_not_count(opentrain: OpenTrain) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError):
        linking.link(opentrain.connect("acme"), "p1")
