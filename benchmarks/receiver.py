"""What the receiver costs, as a share of a bare Django view's throughput: CPU per request, in one process.

::

    python -m benchmarks.receiver [--requests 2000] [--rounds 7]

Both views get the same requests through Django's WSGI handler, in alternating rounds: noise that lasts longer than a
round hits both. Printed are the medians.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import io
import json
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.db import connection

from benchmarks.lines import Line, command
from benchmarks.site import database
from benchmarks.urls import COLUMNS, TABLE
from django_opentrain.models import WebhookEvent
from tests.factories import make_endpoint, make_install

Environ = dict[str, Any]
#: The share of the floor's speed that is wanted, in the steady state.
WANTED = 0.9


def bodies(count: int) -> Iterator[bytes]:
    """Contract events as OpenTrain sends them, each with an id of its own."""
    contract = {"id": "ctr_1", "status": "active", "jobId": "job_1", "title": "Label photos of streets"}
    freelancer = {"opentrainUserId": "usr_1", "displayName": "Maria S.", "country": "BR"}
    link = {"id": "lnk_1", "jobId": "job_1", "externalProjectId": "42", "externalProjectName": "Streets"}
    data = {"contract": contract, "freelancer": freelancer, "projectLink": link}
    for _number in range(count):
        event = {"id": uuid.uuid4().hex, "type": "contract.started", "apiVersion": "v1", "data": data}
        about = {"createdAt": "2026-11-22T10:00:00.000Z", "resourceId": "ctr_1", "jobId": "job_1"}
        yield json.dumps({**event, **about}).encode()


def environ(path: str, body: bytes, signature: str) -> Environ:
    """One POST, as a WSGI server hands it over."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "annotate.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "annotate.example",
        "HTTP_USER_AGENT": "OpenTrain-Partner-Webhooks/1.0",
        "HTTP_X_OPENTRAIN_EVENT": "contract.started",
        "HTTP_X_OPENTRAIN_DELIVERY": "del_1",
        "HTTP_X_OPENTRAIN_SIGNATURE": signature,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
    }


def sign(secret: str, body: bytes) -> str:
    """OpenTrain's signature header, now."""
    stamp = int(time.time())
    return f"t={stamp},v1={hmac.new(secret.encode(), b'%d.' % stamp + body, hashlib.sha256).hexdigest()}"


def cpu_seconds(handler: WSGIHandler, requests: list[Environ], status: str) -> float:
    """CPU time for these requests. Raises ``SystemExit`` when one is answered otherwise than with ``status``."""
    answers: list[str] = []

    def start_response(line: str, *_headers: object) -> Callable[[bytes], object]:
        answers.append(line)
        return lambda _body: None

    began = time.process_time()
    for each in requests:
        response = handler(each, start_response)
        response.close()
    took = time.process_time() - began
    if set(answers) != {status}:
        raise SystemExit(f"Expected {status}, got {set(answers)}")
    return took


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """What a delivery costs that is stored, and one that is forged."""
    with database():
        make_floor()
        rounds = [*_rounds(options.requests, options.rounds + 1)][1:]  # the first one warms up
    floor, stored, forged = (statistics.median(each) * 1e6 for each in zip(*rounds, strict=True))
    yield Line(name="a delivery, stored", unit="µs CPU", ours=stored, floor=floor, share=WANTED)
    yield Line(name="a delivery, forged", unit="µs CPU", ours=forged, floor=floor)


def _rounds(requests: int, rounds: int) -> Iterator[tuple[float, float, float]]:
    """The CPU seconds of a request: the floor's, a stored one's, a forged one's."""
    handler = WSGIHandler()
    endpoint = make_endpoint(make_install())
    secret = str(endpoint.secret)
    floor, ours = f"/floor/{endpoint.key}/", f"/opentrain/webhooks/{endpoint.key}/"
    for _round in range(rounds):
        sample = list(bodies(requests))
        base = cpu_seconds(handler, [environ(floor, body, "") for body in sample], "200 OK")
        mine = cpu_seconds(handler, [environ(ours, body, sign(secret, body)) for body in sample], "200 OK")
        fake = cpu_seconds(handler, [environ(ours, body, "t=1,v1=00") for body in sample], "400 Bad Request")
        yield base / requests, mine / requests, fake / requests
    assert WebhookEvent.objects.count() == requests * rounds


def make_floor() -> None:
    """The floor's table."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} ({_columns()}, UNIQUE (endpoint, digest))")


def _columns() -> str:
    binary = {"postgresql": "bytea", "mysql": "longblob"}.get(connection.vendor, "blob")
    moment = {"postgresql": "timestamptz"}.get(connection.vendor, "datetime")
    types = {"body": binary, "received_at": moment}
    return ", ".join(f"{name} {types.get(name, 'varchar(200)')} NOT NULL" for name in COLUMNS.split(", "))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.receiver", description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    command(measure, parser)


if __name__ == "__main__":
    main()
