"""How long one customer's removal waits behind another customer's flood of events, with one worker.

::

    python -m benchmarks.fairness [--events 50000]

While one sweep processes the flood, the other customer's ``contract.ended`` arrives. Printed are the seconds from
then until the adapter has revoked the access, and how much of the flood was still waiting.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.test.utils import setup_databases, teardown_databases  # noqa: E402
from django.utils import timezone  # noqa: E402

from django_opentrain.models import AccessGrant, WebhookEndpoint, WebhookEvent  # noqa: E402
from django_opentrain.platform import catalog  # noqa: E402
from django_opentrain.services import sweep  # noqa: E402
from tests.factories import (  # noqa: E402
    make_contract,
    make_endpoint,
    make_event,
    make_grant,
    make_install,
    make_link,
    make_participant,
)
from tests.services.conftest import RecordingAdapter  # noqa: E402

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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    events = parser.parse_args().events
    adapter = f"{RecordingAdapter.__module__}.{RecordingAdapter.__qualname__}"
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        with override_settings(OPENTRAIN={**settings.OPENTRAIN, "ADAPTER": adapter}):
            waited, left = removal_behind(events)
    finally:
        teardown_databases(databases, verbosity=0)
    print(
        f"removed after {waited:.2f} s (wanted: {WANTED:.0f} s), {left} of {events} events were still waiting"
    )


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


if __name__ == "__main__":
    main()
