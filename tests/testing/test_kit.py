"""The kit tells stories: each of its verbs does what it says, through the real site."""

from __future__ import annotations

from django.contrib.auth.models import User

from django_opentrain.models import AccessGrant, Install
from django_opentrain.testing.kit import OpenTrain


def test_a_trainer_gets_in_with_the_hire_and_out_with_its_end(opentrain: OpenTrain) -> None:
    opentrain.connect("acme")
    opentrain.link("1")
    maria = opentrain.hire("Maria S.")
    opentrain.run()
    user = User.objects.get(email=maria.work_email)
    assert user.groups.count() == 1

    opentrain.end(maria)
    opentrain.run()
    assert user.groups.count() == 0
    assert maria.grant.state == AccessGrant.State.REVOKED


def test_connecting_subscribes_and_reconciles(opentrain: OpenTrain) -> None:
    install = opentrain.connect("acme")
    assert install.status == Install.Status.ACTIVE
    assert install.reconciled_at is not None
    assert install.webhook_endpoints.get().status == "ACTIVE"
