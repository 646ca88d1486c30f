"""Ports that stay reserved for a run while no process listens on them."""

from __future__ import annotations

import socket


class Port:
    """A free port on 127.0.0.1, held by a socket that is bound and never listens.

    A process that is killed gives its port back, and any connection of another program may be made from it. While
    this is held only sockets with ``SO_REUSEADDR`` get the port, as servers set it; connecting to it is refused.
    """

    def __init__(self) -> None:
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.number = int(self._holder.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.number}"

    def listen(self) -> socket.socket:
        """A new socket that listens on it."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.number))
        listener.listen(128)
        return listener

    def close(self) -> None:
        self._holder.close()
