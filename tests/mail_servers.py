"""Real mail servers on 127.0.0.1: one that takes mails or drips, one that says nothing, and one that is not there."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import django

SMTP = "django.core.mail.backends.smtp.EmailBackend"


class Postbox(socketserver.ThreadingTCPServer):
    """A mail server, and what it was given; with ``refuses`` it takes no recipient.

    Its answer to the command ``drips_at`` ("" for its greeting) comes byte by byte, and never ends.
    """

    daemon_threads = True
    refuses = False
    drips_at: str | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """The site hung up, or was killed."""


class _Session(socketserver.StreamRequestHandler):
    server: Postbox

    def handle(self) -> None:
        if self.server.drips_at == "":
            return self.drip()
        self.say("220 ready")
        for line in self.rfile:
            verb = line[:4].upper()
            if self.server.drips_at == verb.decode():
                return self.drip()
            if verb == b"QUIT":
                return self.say("221 bye")
            if verb == b"RCPT" and self.server.refuses:
                self.say(f"550 {line.decode().strip()} is not here")
            elif verb == b"DATA":
                self.say("354 go on")
                self.server.mails.append("".join(self.read_mail()))
                self.say("250 taken")
            else:
                self.say("250 fine")
        return None

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def drip(self) -> None:
        with suppress(OSError):
            while True:
                self.wfile.write(b"2")
                time.sleep(0.02)

    def read_mail(self) -> Iterator[str]:
        for line in self.rfile:
            if line == b".\r\n":
                return
            yield line.decode()


@contextmanager
def postbox() -> Iterator[Postbox]:
    """A mail server that takes mails."""
    with Postbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def silence() -> Iterator[int]:
    """The port of a mail server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    """A port at which nothing listens."""
    with silence() as port:
        return port


def send_by(settings: Any, port: int, timeout: int | None = None) -> None:
    """Let the site send its mails by this server; Django 6.1 warns of the older names."""
    options = {"host": "127.0.0.1", "port": port, "timeout": timeout}
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": SMTP, "OPTIONS": options}}
        return
    settings.EMAIL_BACKEND = SMTP
    for name, value in options.items():
        setattr(settings, f"EMAIL_{name.upper()}", value)
