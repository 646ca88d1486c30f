#!/usr/bin/env bash
# Found: kombu's filesystem transport deletes a message's file when a consumer takes it, not when it is acknowledged.
# If the consumer is killed, the message is gone, so `acks_late` protects nothing there. RabbitMQ delivers it again.
#
# Versions: kombu 5.7.0. Needs RabbitMQ on 127.0.0.1:5672 (guest); declares a queue and deletes it.
#
# Source: Celery's documentation of `acks_late`: the message is acknowledged after the task was executed, so that a task
# may be executed again if the worker crashes in between. The page of the filesystem transport names what it doesn't
# support (priorities, TTL); acknowledgements are not among it. kombu/transport/filesystem.py, Channel._get(), moves the
# file away and removes it before the payload is returned; what isn't acknowledged lives in the consumer's memory.
#
# Why a good guess is wrong: it does give back what is unacknowledged when the consumer ends in order, so a test with
# SIGTERM passes, and files on a disk look more durable than a broker's memory.
# Whom it hurts: who chooses files so as to need no broker, for a demo, a small site or an appliance: whatever a worker
# held when the machine lost power, or the OOM killer came, isn't executed, and nothing says so.
# The way out: keep what is due in the database, with messages as mere reminders; or a broker.
#
# Output seen:
#   filesystem: taken {'event': 1}, then killed; the next consumer gets []; files left: []
#   RabbitMQ:   taken {'event': 1}, then killed; the next consumer gets [{'event': 1}]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check kombu==5.7.0
mkdir "$work/messages"
cat >"$work/finding.py" <<'PYTHON'
import os
import signal
import subprocess
import sys
import time

import kombu

NAME = f"finding_unacknowledged_{os.environ.get('FINDING', os.getpid())}"
QUEUE = kombu.Queue(NAME, kombu.Exchange(NAME), routing_key=NAME)
FOLDERS = {"data_folder_in": "messages", "data_folder_out": "messages", "control_folder": "control"}


def connect(transport):
    if transport == "filesystem":
        return kombu.Connection("filesystem://", transport_options=FOLDERS)
    return kombu.Connection("amqp://guest:guest@127.0.0.1:5672//")


def take_and_die(transport):
    """A consumer that is killed while it handles its message."""

    def handle(body, message):
        print(body, end="", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    with connect(transport) as connection, connection.Consumer([QUEUE], callbacks=[handle]):
        connection.drain_events(timeout=10)


def look(transport):
    got = []
    with connect(transport) as connection:
        connection.Producer().publish({"event": 1}, exchange=QUEUE.exchange, routing_key=NAME, declare=[QUEUE])
        child = [sys.executable, __file__, transport]
        killed = subprocess.run(child, env={**os.environ, "FINDING": NAME.rpartition("_")[2]}, stdout=subprocess.PIPE)
        if killed.returncode != -signal.SIGKILL:
            sys.exit("the first consumer got nothing")
        time.sleep(1)
        with connection.Consumer([QUEUE], callbacks=[lambda body, message: (got.append(body), message.ack())]):
            try:
                connection.drain_events(timeout=5)
            except TimeoutError:
                pass
        QUEUE(connection.default_channel).delete()
        QUEUE.exchange(connection.default_channel).delete()
    return f"taken {killed.stdout.decode()}, then killed; the next consumer gets {got}", got


if sys.argv[1:]:
    take_and_die(sys.argv[1])
text, lost = look("filesystem")
left = os.listdir("messages")
print(f"filesystem: {text}; files left: {left}")
text, kept = look("amqp")
print(f"RabbitMQ:   {text}")
if (lost, left, kept) != ([], [], [{"event": 1}]):
    sys.exit("this has changed")
PYTHON
cd "$work" && venv/bin/python finding.py
