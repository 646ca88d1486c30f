#!/usr/bin/env bash
# Found: where the settings module raises KeyError, as `os.environ["SECRET_KEY"]` does for a variable that isn't set,
# Celery takes it for a missing setting of its own. The command `celery` then complains of another name, without a
# traceback, and `getattr(app.conf, name, default)` answers the default as if all were well.
#
# Versions: Celery 5.7.0 and 5.5.3 (the same).
#
# Source: celery/utils/collections.py, AttributeDictMixin.__getattr__: `except KeyError: raise AttributeError`. The look-up
# inside is what loads the settings the first time, so it catches their KeyErrors, too.
#
# Why a good guess is wrong: a module that can't be imported is expected to fail with its own error, as it does for
# ImportError or ValueError, which are passed on.
# Whom it hurts: who starts a worker without its environment, where the Celery module reads `app.conf`. They look for
# `beat_schedule` in settings that were never read. And code that asks `app.conf` with a default goes on with it.
# The way out: only assign to `app.conf` in the Celery module, or import the settings there first.
#
# Output seen, for both:
#   celery worker says: 'settings' object has no attribute 'beat_schedule'; SECRET_KEY named: False
#   getattr(app.conf, 'task_always_eager', 'default') = 'default'
#   with ValueError instead: ValueError: no SECRET_KEY
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 5.5.3 5.7.0; do
    "${PYTHON:-python3}" -m venv "$work/$version"
    "$work/$version/bin/pip" install -qq --disable-pip-version-check "celery==$version"
done
mkdir "$work/site"
cd "$work/site"
cat >lost.py <<'PYTHON'
import os

SECRET_KEY = os.environ["SECRET_KEY"]
task_always_eager = True
PYTHON
echo 'raise ValueError("no SECRET_KEY")' >wrong.py
cat >site_celery.py <<'PYTHON'
from celery import Celery

app = Celery("site")
app.config_from_object("lost")
app.conf.beat_schedule = {**(app.conf.beat_schedule or {})}
PYTHON
cat >finding.py <<'PYTHON'
import subprocess
import sys

from celery import Celery, __version__

done = subprocess.run(
    [sys.executable, "-m", "celery", "--app", "site_celery", "worker"], capture_output=True, text=True
)
says, named = done.stderr.strip().splitlines()[-1], "SECRET_KEY" in done.stderr + done.stdout
print(f"{__version__}: celery worker says: {says}; SECRET_KEY named: {named}")

app = Celery("lost")
app.config_from_object("lost")
eager = getattr(app.conf, "task_always_eager", "default")
print(f"{__version__}: getattr(app.conf, 'task_always_eager', 'default') = {eager!r}")

app = Celery("wrong")
app.config_from_object("wrong")
try:
    getattr(app.conf, "task_always_eager", "default")
    other = "nothing"
except Exception as error:
    other = f"{type(error).__name__}: {error}"
print(f"{__version__}: with ValueError instead: {other}")

if ("no attribute" in says, named, eager, other) != (True, False, "default", "ValueError: no SECRET_KEY"):
    sys.exit("this has changed")
PYTHON
for version in 5.5.3 5.7.0; do
    env -u SECRET_KEY "$work/$version/bin/python" finding.py
done
