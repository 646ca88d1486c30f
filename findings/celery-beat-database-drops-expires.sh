#!/usr/bin/env bash
# Found: django-celery-beat's DatabaseScheduler drops `options["expires"]` of the entries in `beat_schedule` without a
# word. The key that it reads instead is `expire_seconds`, which is a column of its table and no option of Celery's.
#
# Versions: django-celery-beat 2.9.0, Celery 5.7.0, Django 5.2.19.
#
# Source: Celery's guide on periodic tasks, "Available Fields": `options` takes any argument of apply_async(), with
# `expires` as an example. django_celery_beat/schedulers.py, ModelEntry._unpack_options(), keeps six keys and swallows
# all others in **kwargs; issues 280 (2019) and 954 (2025) of celery/django-celery-beat report it.
#
# Why a good guess is wrong: the same setting works with the default scheduler, and nothing warns when a site changes to
# the database's. `celery.backend_cleanup`, beside it in the same table, does show an expiry, since that one is set in code.
# Whom it hurts: sites that let a frequent task expire so that it doesn't pile up while workers are down. After an outage
# every missed run is executed: 120 sweeps for each hour.
# The way out: `expires` in the task's own declaration, which holds under every scheduler.
#
# Output seen:
#   Celery's scheduler:  {'expires': 25, 'time_limit': 20}
#   DatabaseScheduler:   expires None, time_limit None
#   with expire_seconds: expires 25
#   on the task itself:  the message of send() has an expiry: True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check celery==5.7.0 django-celery-beat==2.9.0 django==5.2.19
cat >"$work/finding.py" <<'PYTHON'
import sys

import django
from celery import Celery
from celery.beat import Scheduler
from django.conf import settings
from django.core.management import call_command

settings.configure(
    INSTALLED_APPS=["django_celery_beat"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
)
django.setup()
call_command("migrate", verbosity=0)

from django_celery_beat.schedulers import DatabaseScheduler  # noqa: E402 - needs Django's settings

app = Celery("site", broker="memory://")
app.conf.beat_schedule = {
    "sweep": {"task": "sweep", "schedule": 30.0, "options": {"expires": 25, "time_limit": 20}},
    "other": {"task": "sweep", "schedule": 31.0, "options": {"expire_seconds": 25}},
}


@app.task(name="sweep", expires=25)
def sweep(): ...


usual = Scheduler(app)
usual.setup_schedule()
print("Celery's scheduler: ", usual.schedule["sweep"].options)
stored = {name: entry.options for name, entry in DatabaseScheduler(app=app).schedule.items()}
print(f"DatabaseScheduler:   expires {stored['sweep'].get('expires')}, time_limit {stored['sweep'].get('time_limit')}")
print("with expire_seconds: expires", stored["other"].get("expires"))
sweep.apply_async(**{key: value for key, value in stored["sweep"].items() if value is not None})
with app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
    own = queue.get(timeout=5).headers["expires"]
print("on the task itself:  the message of send() has an expiry:", own is not None)
if usual.schedule["sweep"].options["expires"] != 25 or "expires" in stored["sweep"] or "time_limit" in stored["sweep"]:
    sys.exit("this has changed")
if stored["other"].get("expires") != 25 or own is None:
    sys.exit("the ways out have changed")
PYTHON
cd "$work" && venv/bin/python finding.py
