"""What the receiver costs behind real web servers, as a share of a bare view behind the same: CPU per request.

::

    python -m benchmarks.servers [--requests 1000] [--rounds 5]

gunicorn's sync and threaded workers, the latter also with Django's default middleware around both views, and uvicorn
with Django's pool of connections. One client, one request after the other, in alternating rounds; the CPU time is
that of the server's processes (Linux). Printed are the medians.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from django.db import connection

from benchmarks.lines import Line, command
from benchmarks.receiver import bodies, make_floor, sign
from benchmarks.site import database
from tests.factories import make_endpoint, make_install

GUNICORN = [
    "gunicorn",
    "--log-level",
    "error",
    "--keep-alive",
    "60",
    "django.core.wsgi:get_wsgi_application()",
]
UVICORN = ["uvicorn", "--log-level", "error", "--timeout-keep-alive", "60", "--factory"]
THREADED = [*GUNICORN, "--worker-class", "gthread", "--threads", "4"]
BARE, DEFAULT = "bare", "default"
#: The share of the floor's speed that is wanted.
WANTED = 0.9


class Server(NamedTuple):
    """A web server's command, and the middleware of its site."""

    command: list[str]
    middleware: str = BARE
    share: float | None = WANTED
    #: Each request has a thread of its own, and so a connection, unless these are taken from a pool.
    pooled: bool = False

    def arguments(self, port: int) -> list[str]:
        """The command line on which it listens to this port."""
        bind = ["--bind", f"127.0.0.1:{port}"] if self.command[0] == "gunicorn" else ["--port", str(port)]
        return [sys.executable, "-m", *self.command, *bind]


SERVERS = {
    "gunicorn, sync": Server(GUNICORN),
    "gunicorn, threads": Server(THREADED),
    "gunicorn, threads, middleware": Server(THREADED, DEFAULT),
    "uvicorn": Server([*UVICORN, "django.core.asgi:get_asgi_application"], share=None, pooled=True),
}


def cpu_seconds(pid: int) -> float:
    """What a process and its children have used. Source: proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(int(child)) for child in children)


class Client:
    """Sends one request after the other, on one connection where the server keeps it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def post(self, path: str, body: bytes, signature: str) -> None:
        """Deliver. Raises ``SystemExit`` when the answer isn't 200."""
        headers = {"Content-Type": "application/json", "X-OpenTrain-Signature": signature}
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"Expected 200, got {answer.status}")


@contextmanager
def running(server: Server) -> Iterator[tuple[int, int]]:
    """A server of this site; its process's id and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = connection.settings_dict["NAME"]
    site = {"BENCHMARK_NAME": name, "BENCHMARK_MIDDLEWARE": server.middleware}
    if server.pooled:
        site["BENCHMARK_POOL"] = "yes"
    process = subprocess.Popen(server.arguments(port), env={**os.environ, **site})
    try:
        _wait_for(port)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > until:
            raise SystemExit("The server doesn't listen.")
        time.sleep(0.1)


def cost(pid: int, client: Client, path: str, requests: int, secret: str) -> float:
    """The CPU microseconds of a delivery."""
    sample = list(bodies(requests))
    began = cpu_seconds(pid)
    for body in sample:
        client.post(path, body, sign(secret, body))
    return (cpu_seconds(pid) - began) / requests * 1e6


def measure(options: argparse.Namespace) -> Iterator[Line]:
    """What a delivery costs behind each server."""
    with database():
        make_floor()
        endpoint = make_endpoint(make_install())
        secret, paths = (
            str(endpoint.secret),
            (f"/floor/{endpoint.key}/", f"/opentrain/webhooks/{endpoint.key}/"),
        )
        for name, server in SERVERS.items():
            with running(server) as (pid, port):
                client = Client(port)
                rounds = [
                    [cost(pid, client, path, options.requests, secret) for path in paths]
                    for _round in range(options.rounds + 1)  # the first one warms up
                ][1:]
            floor, ours = (statistics.median(each) for each in zip(*rounds, strict=True))
            yield Line(name=name, unit="µs CPU", ours=ours, floor=floor, share=server.share)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    command(measure, parser)


if __name__ == "__main__":
    main()
