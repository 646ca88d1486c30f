#!/usr/bin/env bash
# Found: on a MariaDB or MySQL without time zone tables, Django's TruncDate, TruncTime, ExtractHour, dates() and filters
# by `__date` or `__hour` give NULL, or no rows, without an error. TruncDay and datetimes() on the same column raise one.
# `exclude(at__date=…)` leaves the rows out as well, so a row is in neither half.
#
# Versions: Django 5.2.19, PyMySQL 1.2.4, MariaDB 10.11 without time zone tables, as it is after installation. Needs it
# on 127.0.0.1:3306 (root, no password); makes a database and drops it.
#
# Source: Django's documentation asks for `mysql_tzinfo_to_sql` where time zones are used ("Time zone definitions", in
# the notes on MySQL) and mentions the exception of datetimes(). In django/db/models/functions/datetime.py,
# TruncBase.convert_value() raises "Are time zone definitions for your database installed?" for datetimes only; a date
# that is NULL passes as a date that isn't known.
#
# Why a good guess is wrong: the helpful exception exists, so a report that doesn't raise it seems to be right. A site
# in UTC works, since no conversion is made; the day on which TIME_ZONE or tzinfo changes, all work falls on no day.
# Whom it hurts: who reports hours by day. The sum is there, under the date None, or the filtered total is 0.
# The way out: load the tables, and take a day that is None for an error; filter by moments, not by `__date`.
#
# Output seen:
#   TruncDate:         [(None, 60)]
#   TruncTime:         [None]
#   ExtractHour:       [None]
#   dates():           [None]
#   filter(__date):    0 rows; exclude(__date): 0 rows
#   TruncDay:          ValueError: Database returned an invalid datetime value. Are time zone definitions …
#   datetimes():       ValueError: Database returned an invalid datetime value. Are time zone definitions …
#   TruncDate, in UTC: [(datetime.date(2026, 3, 1), 60)]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check django==5.2.19 pymysql==1.2.4
cat >"$work/finding.py" <<'PYTHON'
import datetime as dt
import os
import sys

import django
import pymysql
from django.conf import settings

pymysql.version_info = (2, 2, 7, "final", 0)  # what Django requires of mysqlclient
pymysql.install_as_MySQLdb()
name = f"finding_zones_{os.getpid()}"
database = {"ENGINE": "django.db.backends.mysql", "NAME": name, "USER": "root", "HOST": "127.0.0.1"}
settings.configure(DATABASES={"default": database}, USE_TZ=True, TIME_ZONE="Europe/Berlin")
django.setup()

from django.db import connection, models  # noqa: E402 - needs Django's settings
from django.db.models import Sum  # noqa: E402
from django.db.models.functions import ExtractHour, TruncDate, TruncDay, TruncTime  # noqa: E402


class Work(models.Model):
    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    seconds = models.IntegerField()

    class Meta:
        app_label = "site"


def attempt(query):
    try:
        return list(query)
    except ValueError as problem:
        return f"ValueError: {problem}"


def column(function):
    return attempt(Work.objects.annotate(part=function).values_list("part", flat=True))


server = pymysql.connect(host="127.0.0.1", user="root", autocommit=True).cursor()
server.execute("SELECT COUNT(*) FROM mysql.time_zone_name")
if server.fetchone()[0]:
    sys.exit("this server has time zone tables: nothing to see here")
server.execute(f"CREATE DATABASE {name}")
try:
    with connection.schema_editor() as editor:
        editor.create_model(Work)
    Work.objects.create(at=dt.datetime(2026, 3, 1, 12, tzinfo=dt.timezone.utc), seconds=60)
    day = dt.date(2026, 3, 1)
    by_day = Work.objects.annotate(day=TruncDate("at")).values_list("day").annotate(Sum("seconds"))
    in_utc = Work.objects.annotate(day=TruncDate("at", tzinfo=dt.timezone.utc)).values_list("day").annotate(Sum("seconds"))
    rows = (Work.objects.filter(at__date=day).count(), Work.objects.exclude(at__date=day).count())
    silent = {
        "TruncDate": list(by_day),
        "TruncTime": column(TruncTime("at")),
        "ExtractHour": column(ExtractHour("at")),
        "dates()": attempt(Work.objects.dates("at", "day")),
    }
    loud = {"TruncDay": column(TruncDay("at")), "datetimes()": attempt(Work.objects.datetimes("at", "day"))}
    utc = list(in_utc)
finally:
    connection.close()
    server.execute(f"DROP DATABASE {name}")
for label, result in silent.items():
    print(f"{label + ':':<18} {result}")
print(f"filter(__date):    {rows[0]} rows; exclude(__date): {rows[1]} rows")
for label, result in loud.items():
    print(f"{label + ':':<18} {result}")
print(f"TruncDate, in UTC: {utc}")
if list(silent.values()) != [[(None, 60)], [None], [None], [None]] or rows != (0, 0) or utc != [(day, 60)]:
    sys.exit("what was silent has changed")
if not all(str(result).startswith("ValueError") for result in loud.values()):
    sys.exit("what was loud has changed")
PYTHON
cd "$work" && venv/bin/python finding.py
