"""Real mail servers on 127.0.0.1: one that takes mails, one that never says a word, and one that isn't there."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django

SMTP = "django.core.mail.backends.smtp.EmailBackend"


class Postbox(socketserver.ThreadingTCPServer):
    """A mail server, and what it was given; with ``refuses`` it takes no recipient."""

    daemon_threads = True
    refuses = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[str] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Session(socketserver.StreamRequestHandler):
    server: Postbox

    def handle(self) -> None:
        self.say("220 ready")
        for line in self.rfile:
            verb = line[:4].upper()
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
