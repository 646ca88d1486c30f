"""Celery's messages as files, written atomically.

Kombu's own transport creates a message's file first and fills it then. A worker that looks in between takes an empty
file, and ends: https://github.com/celery/kombu/issues/1551. Here each file gets its name when it is whole.
"""

from __future__ import annotations

import fcntl
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Kombu's, but for how it writes."""

    def _put(  # type: ignore[override] # kombu's base class and its own transport disagree
        self, queue: str, payload: dict[str, Any], **_options: Any
    ) -> None:
        moment = round(time.monotonic() * 1000)
        _write(Path(self.data_folder_out) / f"{moment}_{uuid.uuid4()}.{queue}.msg", payload)

    def _queue_bind(
        self, exchange: str, routing_key: str | None, pattern: str | None, queue: str | None
    ) -> None:
        folder = Path(self.control_folder)
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            table = self.get_table(exchange)
            bound = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
            if bound not in table:
                _write(folder / f"{exchange}.exchange", [bound, *table])


class Transport(filesystem.Transport):
    """``filesystem://``, once ``celery.py`` has registered it with kombu."""

    Channel = Channel


def _write(path: Path, content: object) -> None:
    """The whole file or none. Its draft's name is no queue's."""
    draft = path.with_name(f".draft-{uuid.uuid4()}")
    draft.write_text(dumps(content), encoding="utf-8")
    draft.replace(path)
