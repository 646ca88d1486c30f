"""``python -m tests.chaos.scene VERB``: sets or prints a scene in the database of the site under test, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Final

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402 - models are there once Django is set up

from django_opentrain.models import AccessGrant, WebhookEvent  # noqa: E402 - the same
from example_project.labelling.models import Project, Seat, Team  # noqa: E402 - the same
from tests import factories  # noqa: E402 - the same


def connect() -> dict[str, Any]:
    """A connected customer with a webhook endpoint, and one trainer who waits for access."""
    team = Team.objects.create(name="Team")
    project = Project.objects.create(team=team, name="Project")
    install = factories.make_install(tenant=str(team.pk))
    link = factories.make_link(install, external_project_id=str(project.pk))
    contract = factories.make_contract(install, [link])
    factories.make_grant(
        contract,
        link,
        factories.make_participant(install),
        state=AccessGrant.State.PENDING,
        host_user_ref="",
        granted_at=None,
    )
    endpoint = factories.make_endpoint(install)
    return {"key": str(endpoint.key), "secret": str(endpoint.secret)}


def hire() -> dict[str, Any]:
    """Another trainer of the same customer, who waits for access, too."""
    waiting = AccessGrant.objects.get()
    install, link = waiting.contract.install, waiting.link
    trainer = factories.make_participant(install)
    state = {"state": AccessGrant.State.PENDING, "host_user_ref": "", "granted_at": None}
    factories.make_grant(factories.make_contract(install, [link]), link, trainer, **state)
    return {}


def end() -> dict[str, Any]:
    """All access is to end."""
    AccessGrant.objects.update(desired=AccessGrant.Desired.REVOKED)
    return {}


def events() -> dict[str, Any]:
    """How many events there are, by status."""
    statuses = list(WebhookEvent.objects.values_list("status", flat=True))
    return {status: statuses.count(status) for status in set(statuses)}


def access() -> dict[str, Any]:
    """What became of the trainer's access."""
    return {
        "grants": list(AccessGrant.objects.order_by("pk").values_list("state", flat=True)),
        "accounts": User.objects.count(),
        "seats": Seat.objects.count(),
    }


VERBS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "connect": connect,
    "hire": hire,
    "end": end,
    "events": events,
    "access": access,
}

if __name__ == "__main__":
    print(json.dumps(VERBS[sys.argv[1]]()))
