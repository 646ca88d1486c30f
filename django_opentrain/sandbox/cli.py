"""``python -m django_opentrain.sandbox``: the sandbox as a server."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from django_opentrain.sandbox.consent import SLUG, is_base_uri
from django_opentrain.sandbox.journal import JournalError
from django_opentrain.sandbox.readings import Readings, described, parse
from django_opentrain.sandbox.runner import DeliveryRunner
from django_opentrain.sandbox.sandbox import DEFAULT_APP_SLUG, Sandbox
from django_opentrain.sandbox.server import SandboxServer

#: What a reading can be, for the end of ``--help``.
EPILOG = "readings, the default first:\n" + "".join(f"  {line}\n" for line in described())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options, also for the management command."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=_port, default=8800, help="0 takes a free one (%(default)s)")
    parser.add_argument(
        "--speed", type=_speed, default=1.0, help="how many times faster its clock runs (%(default)g)"
    )
    parser.add_argument("--state", type=Path, metavar="FILE", help="where everything survives a restart")
    parser.add_argument(
        "--app-slug",
        type=_app_slug,
        default=DEFAULT_APP_SLUG,
        help=f"slug of the platform app (in a site that of its settings, else {DEFAULT_APP_SLUG})",
    )
    parser.add_argument(
        "--redirect-uri",
        type=_redirect_uri,
        action="append",
        default=[],
        metavar="URI",
        help="one more base URI that consent may return to (repeatable; this machine may always)",
    )

    parser.add_argument(
        "--reading",
        type=_reading,
        action="append",
        default=[],
        dest="readings",
        metavar="NAME=VALUE",
        help="how to read a point that OpenTrain's documentation leaves open (repeatable)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Parse ``argv`` (the process's by default) and serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m django_opentrain.sandbox",
        description="A local OpenTrain: its API, consent page, control page and webhooks.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        return _serve(options, stop)
    except (JournalError, OSError) as error:
        sys.stderr.write(f"The sandbox can't start: {error}\n")
        return 1


def _serve(options: argparse.Namespace, stop: threading.Event) -> int:
    with ExitStack() as stack:
        # The address first: where it is taken, by the same command a minute ago, the state file is in use.
        server = SandboxServer(options.host, options.port)
        stack.callback(server.server_close)
        sandbox = Sandbox(
            server.url,
            speed=options.speed,
            state_file=options.state,
            app_slug=options.app_slug,
            redirect_uris=options.redirect_uri,
            readings=Readings(**dict(options.readings)),
        )
        stack.enter_context(closing(sandbox))
        runner = DeliveryRunner(sandbox.engine)
        server.start(sandbox.app)
        stack.callback(server.stop)
        runner.start()
        stack.callback(runner.stop)
        sys.stdout.write(f"Sandbox OpenTrain at {server.url}\n")
        sys.stdout.flush()
        # With a timeout: the signal may reach another thread, which doesn't wake this one.
        while not stop.wait(0.2):
            continue
    return 0


def _speed(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError("from 0 (stopped) to 1000000")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65_535:
        raise argparse.ArgumentTypeError("from 0 (a free one) to 65535")
    return value


def _reading(text: str) -> tuple[str, str]:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _app_slug(text: str) -> str:
    if not SLUG.fullmatch(text):
        raise argparse.ArgumentTypeError("1 to 50 lower-case letters, digits and hyphens")
    return text


def _redirect_uri(text: str) -> str:
    if not is_base_uri(text):
        raise argparse.ArgumentTypeError("an http or https URI, without a fragment")
    return text
