"""Run a command with ``TEST_PORT`` naming a PgBouncer in transaction mode, in front of the PostgreSQL on 127.0.0.1.

Usage: ``python .ci/behind_pgbouncer.py python -m pytest --reuse-db tests/…``. The exit status is the command's. The
test databases are dropped at the end: PgBouncer keeps them in use.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

RUN = f"pgbouncer_{os.getpid()}"
SETTINGS = """
[databases]
* = host=127.0.0.1 port=5432 user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
ignore_startup_parameters = extra_float_digits, options
"""


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def pgbouncer() -> Iterator[int]:
    """Its port."""
    port = free_port()
    # Debian's is in /usr/sbin.
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("PgBouncer is not installed.")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        settings = Path(folder, "pgbouncer.ini")
        settings.write_text(SETTINGS.format(port=port), encoding="utf-8")
        # It doesn't run as root.
        user = "nobody" if os.geteuid() == 0 else None
        process = subprocess.Popen([program, "--quiet", str(settings)], user=user)
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _attempt in range(100):
        if process.poll() is not None:
            break
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("PgBouncer doesn't listen.")


def drop_databases() -> None:
    with psycopg.connect("postgres://postgres@127.0.0.1:5432/postgres", autocommit=True) as server:
        names = server.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", [f"%{RUN}%"]
        ).fetchall()
        for (name,) in names:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def main(command: list[str]) -> int:
    """Returns the command's exit status."""
    try:
        with pgbouncer() as port:
            site = {"TEST_DATABASE": "postgresql", "TEST_PORT": str(port), "TEST_RUN": RUN}
            return subprocess.run(command, env=os.environ | site, check=False).returncode
    finally:
        drop_databases()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
