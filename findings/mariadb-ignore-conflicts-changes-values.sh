#!/usr/bin/env bash
# Found: on MariaDB and MySQL, in strict mode too, `bulk_create(ignore_conflicts=True)` stores other values than it was
# given: an id that is too long is truncated, a number that is too large becomes the column's largest, and a row whose
# parent is gone isn't stored. There is no exception and no warning. Two long ids that begin alike become one row.
#
# Versions: Django 5.2.19, PyMySQL 1.2.4, MariaDB 10.11 with STRICT_TRANS_TABLES, psycopg 3.3.9, PostgreSQL 15. Needs
# both on 127.0.0.1, at 3306 (root, no password) and 5432 (postgres, trust); makes a database on each and drops it.
#
# Source: Django's documentation of bulk_create() says of the parameter that rows which fail constraints such as
# duplicate unique values are ignored, and notes that on MySQL and MariaDB it turns other errors into warnings. What it
# doesn't say is that the row is stored nevertheless, with a value that fits: MariaDB's documentation of INSERT IGNORE.
#
# Why a good guess is wrong: the parameter reads as "skip what is there already", and does just that on PostgreSQL,
# where the same call with a value that doesn't fit raises DataError. Model fields' max_length isn't checked either.
# Whom it hurts: receivers of webhooks that store deliveries so, to ignore repeats. A second event whose id begins like
# the first's is dropped as its repeat, and a total of hours that doesn't fit is stored as a smaller one.
# The way out: check lengths and ranges before (full_clean()), or get_or_create().
#
# Output seen:
#   MariaDB, given 2 ids and 1 large number: [('evt_000000000000', 1), ('evt_big', 2147483647)]
#   MariaDB, given a row whose parent is gone: 0 rows
#   PostgreSQL, given 2 ids: DataError
#   PostgreSQL, given a large number: DataError
#   PostgreSQL, given a row whose parent is gone: IntegrityError
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check django==5.2.19 pymysql==1.2.4 "psycopg[binary]==3.3.9"
cat >"$work/finding.py" <<'PYTHON'
import os
import sys

import django
import psycopg
import pymysql
from django.conf import settings

pymysql.version_info = (2, 2, 7, "final", 0)  # what Django requires of mysqlclient
pymysql.install_as_MySQLdb()
name = f"finding_ignore_{os.getpid()}"
maria = {"ENGINE": "django.db.backends.mysql", "NAME": name, "USER": "root", "HOST": "127.0.0.1"}
postgres = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": "postgres", "HOST": "127.0.0.1"}
settings.configure(DATABASES={"default": maria, "postgres": postgres})
django.setup()

from django.db import DatabaseError, connections, models, transaction  # noqa: E402 - needs Django's settings


class Endpoint(models.Model):
    id = models.BigAutoField(primary_key=True)

    class Meta:
        app_label = "site"


class Event(models.Model):
    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=16, unique=True)
    seconds = models.IntegerField()
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, null=True)

    class Meta:
        app_label = "site"


def store(alias, *rows):
    """What is stored after `rows` were, or the exception."""
    events = Event.objects.using(alias)
    events.all().delete()
    try:
        with transaction.atomic(using=alias):
            events.bulk_create([Event(**row) for row in rows], ignore_conflicts=True)
        return list(events.order_by("key").values_list("key", "seconds"))
    except DatabaseError as problem:
        return type(problem).__name__


LONG = [{"key": f"evt_{number:018}", "seconds": number} for number in (1, 2)]
LARGE, ORPHAN = {"key": "evt_big", "seconds": 3_000_000_000}, {"key": "evt_orphan", "seconds": 1, "endpoint_id": 404}
mysql = pymysql.connect(host="127.0.0.1", user="root", autocommit=True).cursor()
pg = psycopg.connect("host=127.0.0.1 user=postgres dbname=postgres", autocommit=True)
try:
    for server in (mysql, pg):
        server.execute(f"CREATE DATABASE {name}")
    for alias in ("default", "postgres"):
        with connections[alias].schema_editor() as editor:
            editor.create_model(Endpoint)
            editor.create_model(Event)
    seen = [store("default", *LONG, LARGE), store("default", ORPHAN)]
    strict = [store("postgres", *rows) for rows in (LONG, [LARGE], [ORPHAN])]
finally:
    connections.close_all()
    for server in (mysql, pg):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
print("MariaDB, given 2 ids and 1 large number:", seen[0])
print("MariaDB, given a row whose parent is gone:", len(seen[1]), "rows")
print("PostgreSQL, given 2 ids:", strict[0])
print("PostgreSQL, given a large number:", strict[1])
print("PostgreSQL, given a row whose parent is gone:", strict[2])
if seen != [[("evt_000000000000", 1), ("evt_big", 2147483647)], []]:
    sys.exit("MariaDB's part has changed")
if strict != ["DataError", "DataError", "IntegrityError"]:
    sys.exit("PostgreSQL's part has changed")
PYTHON
cd "$work" && venv/bin/python finding.py
