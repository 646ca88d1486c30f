"""A TCP proxy that misbehaves on request: between the site and its broker, database, mail server and OpenTrain."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from tests.chaos.ports import Port

PASS, REFUSE, SILENT, DRIP = "pass", "refuse", "silent", "drip"
_CHUNK: Final = 65_536
#: Seconds between two bytes that drip: headers take longer than the site waits for a response.
_DRIP_SECONDS: Final = 0.05


class Wire:
    """Passes connections on; or refuses them; or accepts them and never says a word; or answers byte by byte."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self._port = Port()
        self._mode = PASS
        #: How many answers dripped.
        self.dripped = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._talking = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)

    @property
    def port(self) -> int:
        return self._port.number

    def start(self) -> None:
        self._thread.start()
        self._do(self._listen())
        self._loop.call_soon_threadsafe(self._talking.set)

    def stop(self) -> None:
        """Refuse and cut everything, and end the thread."""
        self.behave(REFUSE)
        self._do(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._port.close()

    def behave(self, mode: str) -> None:
        """``PASS``, ``REFUSE``, ``SILENT`` or ``DRIP``. Whatever was silent, or is to be refused, is cut."""
        self._do(self._behave(mode))

    def cut(self) -> None:
        """Cut all connections; new ones are welcome."""
        self._do(self._cut())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _behave(self, mode: str) -> None:
        was, self._mode = self._mode, mode
        if mode == SILENT:
            self._talking.clear()
        else:
            self._talking.set()
        if mode == REFUSE or was == SILENT:
            await self._cut()
        if mode == REFUSE and self._server is not None:
            await self._close(self._server)
            self._server = None
        elif mode != REFUSE and self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, sock=self._port.listen())

    async def _close(self, server: asyncio.Server) -> None:
        # A connection that was accepted, and not yet begun with, would be left open: asyncio's server forgets it.
        self._loop.remove_reader(server.sockets[0])
        await asyncio.sleep(0)
        server.close()

    async def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _finish(self) -> None:
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await self._cut()
            await asyncio.wait(others, timeout=1)
        # In which the loop lets go of what was closed.
        await asyncio.sleep(0.05)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == REFUSE:  # it came in while the door was being closed
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            await self._talking.wait()
            # The server may be away: the client learns of it by the end of its connection.
            with suppress(OSError):
                await self._connect(reader, writer)
        finally:
            self._open.discard(writer)
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both directions, until either ends."""
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        self._open.add(far_writer)
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer, answers=True)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.discard(far_writer)
            far_writer.close()
            writer.close()
            await asyncio.wait(pumps)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        with suppress(OSError):  # cut
            while chunk := await reader.read(_CHUNK):
                await self._talking.wait()
                if answers and self._mode == DRIP:
                    chunk = await self._drip(chunk, writer)
                writer.write(chunk)
                await writer.drain()

    async def _drip(self, chunk: bytes, writer: asyncio.StreamWriter) -> bytes:
        """Write byte by byte, for as long as it is to; returns what is left."""
        self.dripped += 1
        while chunk and self._mode == DRIP:
            writer.write(chunk[:1])
            await writer.drain()
            chunk = chunk[1:]
            await asyncio.sleep(_DRIP_SECONDS)
        return chunk
