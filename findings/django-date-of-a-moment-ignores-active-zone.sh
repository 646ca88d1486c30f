#!/usr/bin/env bash
# Found: a DateField that is given an aware datetime stores its day in settings.TIME_ZONE, even where another zone is
# active. All that reads a day out of a moment (localdate(), TruncDate, `__date`, templates) uses the active zone. And
# `filter(at__date=moment)` compares a day in the active zone with one in TIME_ZONE, so a row may not equal itself.
#
# Versions: Django 5.2.19 on SQLite (6.1 was the same; the value is converted in Python, whatever the database).
#
# Source: Django's documentation of time zones says what the "current time zone" is for, and that lookups and Trunc
# functions use it; that a DateField uses the other one is said in a comment in DateField.to_python() (ticket 17742).
#
# Why a good guess is wrong: timezone.override() is what a per-user zone is made with, and everything around obeys it.
# In TIME_ZONE's own zone, where developers sit, both days are the same; elsewhere they differ for some hours a day.
# Whom it hurts: who writes `WorkDay(day=timezone.now())` for contributors in many zones: hours appear on another day
# than the report's query, which sums by TruncDate, expects, and a lookup by the stored moment finds nothing.
# The way out: timezone.localdate(moment), explicitly, wherever a date is meant.
#
# Output seen:
#   TIME_ZONE America/New_York, active Asia/Tokyo, moment 2026-03-01 20:00 UTC
#   localdate(): 2026-03-02   TruncDate: 2026-03-02   DateField: 2026-03-01
#   filter(at__date=moment): 0 rows   filter(at__date=localdate(moment)): 1 row   filter(day=moment): 1 row
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check django==5.2.19 tzdata==2026.3
cat >"$work/finding.py" <<'PYTHON'
import datetime as dt
import sys

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
    TIME_ZONE="America/New_York",
)
django.setup()

from django.db import connection, models  # noqa: E402 - needs Django's settings
from django.db.models.functions import TruncDate  # noqa: E402
from django.utils import timezone  # noqa: E402


class Work(models.Model):
    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    day = models.DateField()

    class Meta:
        app_label = "site"


with connection.schema_editor() as editor:
    editor.create_model(Work)
moment = dt.datetime(2026, 3, 1, 20, tzinfo=dt.timezone.utc)
with timezone.override("Asia/Tokyo"):
    Work.objects.create(at=moment, day=moment)
    local = timezone.localdate(moment)
    truncated, stored = Work.objects.values_list(TruncDate("at"), "day").get()
    rows = [Work.objects.filter(**by).count() for by in ({"at__date": moment}, {"at__date": local}, {"day": moment})]
print(f"TIME_ZONE America/New_York, active Asia/Tokyo, moment {moment:%Y-%m-%d %H:%M} UTC")
print(f"localdate(): {local}   TruncDate: {truncated}   DateField: {stored}")
print(
    f"filter(at__date=moment): {rows[0]} rows   filter(at__date=localdate(moment)): {rows[1]} row   "
    f"filter(day=moment): {rows[2]} row"
)
if (local, truncated, stored) != (dt.date(2026, 3, 2), dt.date(2026, 3, 2), dt.date(2026, 3, 1)) or rows != [0, 1, 1]:
    sys.exit("this has changed")
PYTHON
cd "$work" && venv/bin/python finding.py
