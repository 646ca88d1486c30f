"""How long one customer's removal waits behind another customer's flood of events, with one worker.

::

    python -m benchmarks.fairness [--events 50000]

While one sweep processes the flood, the other customer's ``contract.ended`` arrives. Printed are the seconds from
then until the adapter has revoked the access, and how much of the flood was still waiting.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator

from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from benchmarks.lines import Line, command
from benchmarks.site import database
from django_opentrain.models import AccessGrant, WebhookEndpoint, WebhookEvent
from django_opentrain.platform import catalog
from django_opentrain.services import sweep
from tests.factories import (
    make_contract,
    make_endpoint,
    make_event,
    make_grant,
    make_install,
    make_link,
    make_participant,
)
from tests.services.conftest import RecordingAdapter

#: Seconds that the removal may wait.
WANTED = 5.0
BATCH = 2000


def flood(endpoint: WebhookEndpoint, count: int) -> None:
    """Events of one customer, each about a contract of its own."""
    for start in range(0, count, BATCH):
        WebhookEvent.objects.bulk_create(
            WebhookEvent(
                endpoint=endpoint,
                digest=f"{number:064x}",
                event_id=str(number),
                type=catalog.CONTRACT_ENDED,
                resource_id=f"ctr_{number}",
                body=json.dumps(
                    {
                        "id": str(number),
                        "type": catalog.CONTRACT_ENDED,
                        "resourceId": f"ctr_{number}",
                        "data": {},
                    }
                ).encode(),
                received_at=timezone.now(),
            )
            for number in range(start, min(start + BATCH, count))
        )


def hired(install_name: str) -> tuple[AccessGrant, WebhookEndpoint]:
    """Another customer, and a trainer who has access."""
    install = make_install(install_name)
    link = make_link(install, external_project_id="p1")
    contract = make_contract(install, [link], opentrain_id="ctr_of_maria")
    return make_grant(contract, link, make_participant(install)), make_endpoint(install)


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """How long the removal waits, and how much of the flood is left then."""
    adapter = f"{RecordingAdapter.__module__}.{RecordingAdapter.__qualname__}"
    with database(), override_settings(OPENTRAIN={**settings.OPENTRAIN, "ADAPTER": adapter}):
        waited, left = removal_behind(options.events)
    yield Line(name="a removal behind a flood", unit="s", ours=waited, limit=WANTED)
    yield Line(name="of the flood still waiting", unit="events", ours=left)


def removal_behind(events: int) -> tuple[float, int]:
    """Seconds that the removal waited, and how many events of the flood waited longer."""
    flood(make_endpoint(make_install("globex")), events)
    grant, endpoint = hired("acme")
    settled: list[float] = []

    def ended_meanwhile() -> bool:
        """Asked after each item: the event comes in while the flood is under way, and the sweep ends with it."""
        now = time.perf_counter()
        if not settled:
            make_event(endpoint, type="contract.ended", event_id="end", resource_id="ctr_of_maria")
            settled.append(now)
        return not AccessGrant.objects.filter(pk=grant.pk).exclude(state="REVOKED").exists()

    sweep.process_due(stopping=ended_meanwhile)
    waited = time.perf_counter() - settled[0]
    return waited, WebhookEvent.objects.filter(status=WebhookEvent.Status.PENDING).count()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    command(measure, parser)


if __name__ == "__main__":
    main()
