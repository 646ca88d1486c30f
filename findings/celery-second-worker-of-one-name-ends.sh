#!/usr/bin/env bash
# Found: since Celery 5.7 a second worker of the same name ends with RESOURCE_LOCKED and status 1, over RabbitMQ. Two
# workers on one machine have the same name as long as none is given one, also where each has queues of its own.
#
# Versions: Celery 5.7.0 with kombu 5.7.0, and 5.5.3 with kombu 5.5.4. Needs a RabbitMQ on 127.0.0.1:5672 (seen with
# 3.10.8), user guest; makes two queues there, and deletes them.
#
# Source: celery/app/defaults.py, `control_queue_exclusive`: True by default. A worker's mailbox for remote control,
# `NAME.celery.pidbox`, is then one connection's alone, and the broker refuses the second that declares it.
#
# Why a good guess is wrong: the name was a label. Up to 5.5 two of one name both work, and over Redis they still do. The
# workers guide asks for names; the routing guide's way to a queue of its own, `celery -A proj worker -Q feeds`, has none.
# Whom it hurts: who adds a worker for a queue beside another on one machine, or starts the new one of a deployment before
# the old one has ended: one of them is missing, though both were started.
# The way out: `--hostname feeds@%h`, in a systemd unit `feeds@%%h`.
#
# Output seen:
#   5.5.3: the first worker runs, the second worker runs
#   5.7.0: the first worker runs, the second worker ends with status 1 (RESOURCE_LOCKED)
#   5.7.0, with names: the first worker runs, the second worker runs
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for versions in "5.5.3 5.5.4" "5.7.0 5.7.0"; do
    read -r celery kombu <<<"$versions"
    "${PYTHON:-python3}" -m venv "$work/$celery"
    "$work/$celery/bin/pip" install -qq --disable-pip-version-check "celery==$celery" "kombu==$kombu" amqp==5.4.2
done
cat >"$work/site_celery.py" <<'PYTHON'
from celery import Celery

app = Celery("site", broker="amqp://guest:guest@127.0.0.1:5672//")
PYTHON
cat >"$work/finding.py" <<'PYTHON'
import subprocess
import sys
import time
from pathlib import Path

from site_celery import app

QUEUES = ["finding-first", "finding-second"]


def outcome(worker, log):
    """What has become of it within 20 seconds."""
    until = time.monotonic() + 20
    while worker.poll() is None and " ready." not in log.read_text() and time.monotonic() < until:
        time.sleep(0.2)
    time.sleep(2)
    if worker.poll() is None:
        return "runs"
    why = " (RESOURCE_LOCKED)" if "RESOURCE_LOCKED" in log.read_text() else ""
    return f"ends with status {worker.returncode}{why}"


def start(version, *, named):
    workers, outcomes = [], []
    for queue in QUEUES:
        name = queue if named else "celery"
        log = Path(f"{queue}.log")
        command = [f"{version}/bin/celery", "--app", "site_celery", "worker", "--concurrency", "1", "--queues", queue]
        with log.open("w") as out:
            command += ["--hostname", f"{name}@finding", "--loglevel", "INFO"]
            workers.append(subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT))
        outcomes.append(outcome(workers[-1], log))
    for worker in workers:
        worker.terminate()
        worker.wait(30)
    print(f"{version}{', with names' if named else ''}: the first worker {outcomes[0]}, the second worker {outcomes[1]}")
    return outcomes


try:
    seen = [start("5.5.3", named=False), start("5.7.0", named=False), start("5.7.0", named=True)]
finally:
    with app.connection_for_write() as connection, connection.channel() as channel:
        for queue in QUEUES:
            channel.queue_delete(queue)
if seen != [["runs", "runs"], ["runs", "ends with status 1 (RESOURCE_LOCKED)"], ["runs", "runs"]]:
    sys.exit("this has changed")
PYTHON
cd "$work" && 5.7.0/bin/python finding.py
