"""Moving to another database, as docs/how-to/move-databases.md says: what was encrypted can be read there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from django_opentrain.models import AccessGrant, Install, Participant, WebhookEndpoint, WebhookEvent
from django_opentrain.testing.kit import OpenTrain

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "move-databases.md"


def documented() -> list[str]:
    found = re.findall(r"manage\.py (dumpdata .+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return shlex.split(found[0])[1:]


def stored() -> list[object]:
    install, endpoint = Install.objects.get(), WebhookEndpoint.objects.get()
    emails = [each.work_email for each in Participant.objects.order_by("opentrain_user_id")]
    bodies = [bytes(each.body or b"") for each in WebhookEvent.objects.order_by("pk")]
    grants = list(AccessGrant.objects.order_by("pk").values_list("pk", "state", "host_user_ref"))
    return [install.token, endpoint.secret, emails, bodies, grants]


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_a_dump_can_be_loaded_and_read(opentrain: OpenTrain, settings: Any, tmp_path: Path) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": "tests.testing.hosts.ObservingAdapter"}
    # Who left: ids have gaps.
    User.objects.create(pk=7, username="left").delete()
    User.objects.create(pk=12, username="stays")
    opentrain.connect()
    opentrain.link("1")
    opentrain.hire("Maria S.")
    opentrain.run()
    before = stored()
    users = list(User.objects.order_by("pk").values_list("pk", "username"))
    assert before[2]
    assert before[3]
    arguments = [str(tmp_path / each) if each.endswith(".gz") else each for each in documented()]
    call_command("dumpdata", *arguments)
    call_command("flush", interactive=False, verbosity=0)
    assert not Install.objects.exists()
    call_command("loaddata", tmp_path / "data.json.gz", verbosity=0)
    assert stored() == before
    assert list(User.objects.order_by("pk").values_list("pk", "username")) == users
    assert User.objects.filter(pk=AccessGrant.objects.get().host_user_ref).exists()
