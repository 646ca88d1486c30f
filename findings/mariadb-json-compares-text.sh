#!/usr/bin/env bash
# Found: on MariaDB, comparing a JSONField with an object compares texts: the same object with its keys in another order
# isn't found, nor is 2 where 2.0 was stored. A string inside is compared with padding: "hired " finds "hired".
#
# Versions: Django 5.2.19, PyMySQL 1.2.4, MariaDB 10.11, psycopg 3.3.9, PostgreSQL 15. Needs both on 127.0.0.1, at 3306
# (root, no password) and 5432 (postgres, trust); makes a database on each and drops it.
#
# Source: MariaDB's documentation of its JSON type: an alias of LONGTEXT with the collation utf8mb4_bin, which pads.
# Django's documentation of JSONField lists MariaDB among the databases that support it, and lists no such difference
# beside those of other databases; django/db/models/fields/json.py, JSONExact, compares with a text from json.dumps().
#
# Why a good guess is wrong: an object of JSON has no order of keys, and Django, PostgreSQL and SQLite's users compare by
# value. A test that stores and looks up the same literal passes.
# Whom it hurts: who recognises a repeated webhook, or an unchanged resource, by its stored body: senders don't promise an
# order of keys, so a repeat is taken for news. get_or_create(payload=…) creates a second row.
# The way out: compare a digest of a canonical form, or single keys.
#
# Output seen:
#   MariaDB:    same order True, other order False, 2 for 2.0 False, "hired " for "hired" True
#   PostgreSQL: same order True, other order True, 2 for 2.0 True, "hired " for "hired" False
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
name = f"finding_json_{os.getpid()}"
maria = {"ENGINE": "django.db.backends.mysql", "NAME": name, "USER": "root", "HOST": "127.0.0.1"}
postgres = {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": "postgres", "HOST": "127.0.0.1"}
settings.configure(DATABASES={"default": maria, "postgres": postgres})
django.setup()

from django.db import connections, models  # noqa: E402 - needs Django's settings


class Event(models.Model):
    id = models.BigAutoField(primary_key=True)
    payload = models.JSONField()

    class Meta:
        app_label = "site"


def look(alias):
    with connections[alias].schema_editor() as editor:
        editor.create_model(Event)
    events = Event.objects.using(alias)
    events.create(payload={"type": "hired", "hours": 2.0})
    found = {
        "same order": events.filter(payload={"type": "hired", "hours": 2.0}),
        "other order": events.filter(payload={"hours": 2.0, "type": "hired"}),
        "2 for 2.0": events.filter(payload__hours=2),
        '"hired " for "hired"': events.filter(payload__type="hired "),
    }
    return {label: rows.exists() for label, rows in found.items()}


mysql = pymysql.connect(host="127.0.0.1", user="root", autocommit=True).cursor()
pg = psycopg.connect("host=127.0.0.1 user=postgres dbname=postgres", autocommit=True)
try:
    for server in (mysql, pg):
        server.execute(f"CREATE DATABASE {name}")
    seen = {"MariaDB": look("default"), "PostgreSQL": look("postgres")}
finally:
    connections.close_all()
    for server in (mysql, pg):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
for server, results in seen.items():
    print(f"{server + ':':<11}", ", ".join(f"{label} {found}" for label, found in results.items()))
if [list(results.values()) for results in seen.values()] != [[True, False, False, True], [True, True, True, False]]:
    sys.exit("this has changed")
PYTHON
cd "$work" && venv/bin/python finding.py
