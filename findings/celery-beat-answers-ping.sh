#!/usr/bin/env bash
# Found: since Celery 5.7, a beat with `beat_enable_remote_control` answers `ping` with the same reply as a worker. So
# `celery inspect ping` succeeds, and `app.control.ping()` counts one answer, while no worker runs at all.
#
# Versions: Celery 5.7.0, redis 8.1.0. Needs a Redis on 127.0.0.1:6379; uses its database 11, and empties it.
#
# Source: celery/beat.py, BeatPidbox: it binds `celerybeat@hostname` to the exchange of the workers' mailboxes, so that
# `celery inspect ping` also reaches beat; only `ping` is implemented. Control.ping() is documented as a question to
# workers ("Ping all (or specific) workers"), and `celery inspect --list` names it "Ping worker(s)".
#
# Why a good guess is wrong: a setting for beat's own liveness probe changes what a worker's probe says elsewhere.
# Whom it hurts: sites whose alert for "no worker" is a ping. Tasks pile up (webhooks stay unprocessed, access isn't
# revoked), and the alert is silent as long as beat runs.
# The way out: ask for something that beat doesn't answer, such as `active_queues`, or name the worker (`--destination`).
#
# Output seen:
#   nothing runs: ping answered by [], `celery inspect ping` exits with 69
#   beat alone:   ping answered by ['celerybeat@test'], `celery inspect ping` exits with 0
#   beat alone:   active_queues answered by []
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check "celery[redis]==5.7.0" redis==8.1.0
cat >"$work/site_celery.py" <<'PYTHON'
from celery import Celery

app = Celery("site", broker="redis://127.0.0.1:6379/11")
app.conf.update(beat_enable_remote_control=True, beat_schedule_filename="schedule")
PYTHON
cat >"$work/finding.py" <<'PYTHON'
import subprocess
import sys
import time

import redis
from site_celery import app

CELERY = [sys.executable, "-m", "celery", "--app", "site_celery"]


def answers(command):
    replies = app.control.broadcast(command, reply=True, timeout=2) or []
    return [name for reply in replies for name in reply]


def look(label):
    names = answers("ping")
    status = subprocess.run([*CELERY, "inspect", "ping"], capture_output=True).returncode
    print(f"{label}: ping answered by {names}, `celery inspect ping` exits with {status}")
    return names, status


broker = redis.Redis(db=11)
broker.flushdb()
alone = look("nothing runs")
with subprocess.Popen([*CELERY, "beat", "--hostname", "celerybeat@test"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as beat:
    try:
        until = time.monotonic() + 30
        while not answers("ping") and time.monotonic() < until:
            time.sleep(0.5)
        with_beat, queues = look("beat alone"), answers("active_queues")
    finally:
        beat.terminate()
broker.flushdb()
print(f"beat alone: active_queues answered by {queues}")
if (alone[0], bool(alone[1]), with_beat, queues) != ([], True, (["celerybeat@test"], 0), []):
    sys.exit("this has changed")
PYTHON
cd "$work" && venv/bin/python finding.py
