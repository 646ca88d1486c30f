#!/usr/bin/env bash
# Found: `db_collation="utf8mb4_bin"`, the usual remedy for ids that MySQL and MariaDB compare without regard to case,
# still holds "acme" and "acme " to be equal: in UNIQUE, in get(), in `in`, in get_or_create(). A case-sensitive id is
# not an exact one.
#
# Versions: Django 5.2.19, PyMySQL 1.2.4, MariaDB 10.11. Needs it on 127.0.0.1:3306 (root, no password); makes a
# database and drops it.
#
# Source: MariaDB's and MySQL's documentation of collations ("PAD SPACE": trailing spaces don't count in comparisons).
# Django's notes on MySQL ("Collation settings") point to a binary collation where case has to count, and don't
# mention blanks. MariaDB has utf8mb4_nopad_bin; MySQL 8 has utf8mb4_0900_bin, which MariaDB hasn't.
#
# Why a good guess is wrong: "binary" reads as "byte by byte". SQLite and PostgreSQL do compare so, so tests pass there,
# and Python's == on what the row holds says that it is another id than the one that was asked for.
# Whom it hurts: who looks up a tenant, an account or a webhook's id by a text from outside. One customer is given the
# row of another whose name differs by a blank at its end, and the second of two ids is refused as a duplicate.
# The way out: a collation that doesn't pad, or comparing again in Python.
#
# Output seen:
#   utf8mb4_bin:       get("acme ") returns 'acme'; get_or_create("acme ") created: False; a second row: IntegrityError
#   utf8mb4_nopad_bin: get("acme ") raises DoesNotExist; get_or_create("acme ") created: True; a second row: stored
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check django==5.2.19 pymysql==1.2.4
cat >"$work/finding.py" <<'PYTHON'
import os
import sys

import django
import pymysql
from django.conf import settings

pymysql.version_info = (2, 2, 7, "final", 0)  # what Django requires of mysqlclient
pymysql.install_as_MySQLdb()
name = f"finding_pads_{os.getpid()}"
database = {"ENGINE": "django.db.backends.mysql", "NAME": name, "USER": "root", "HOST": "127.0.0.1"}
settings.configure(DATABASES={"default": database})
django.setup()

from django.db import IntegrityError, connection, models  # noqa: E402 - needs Django's settings


class Tenant(models.Model):
    id = models.BigAutoField(primary_key=True)
    padded = models.CharField(max_length=20, unique=True, null=True, db_collation="utf8mb4_bin")
    exact = models.CharField(max_length=20, unique=True, null=True, db_collation="utf8mb4_nopad_bin")

    class Meta:
        app_label = "site"


def look(column):
    Tenant.objects.create(**{column: "acme"})
    if Tenant.objects.filter(**{column: "ACME"}).exists():
        sys.exit("case doesn't count: that isn't a binary collation")
    try:
        got = f"returns {getattr(Tenant.objects.get(**{column: 'acme '}), column)!r}"
    except Tenant.DoesNotExist:
        got = "raises DoesNotExist"
    try:
        Tenant.objects.create(**{column: "acme "})
        second = "stored"
    except IntegrityError:
        second = "IntegrityError"
    Tenant.objects.filter(**{column: "acme "}).exclude(**{column: "acme"}).delete()
    created = Tenant.objects.get_or_create(**{column: "acme "})[1]
    return f'get("acme ") {got}; get_or_create("acme ") created: {created}; a second row: {second}'


server = pymysql.connect(host="127.0.0.1", user="root", autocommit=True).cursor()
server.execute(f"CREATE DATABASE {name}")
try:
    with connection.schema_editor() as editor:
        editor.create_model(Tenant)
    padded, exact = look("padded"), look("exact")
finally:
    connection.close()
    server.execute(f"DROP DATABASE {name}")
print("utf8mb4_bin:      ", padded)
print("utf8mb4_nopad_bin:", exact)
if "returns 'acme'" not in padded or "created: False" not in padded or "IntegrityError" not in padded:
    sys.exit("utf8mb4_bin has changed")
if "DoesNotExist" not in exact or "created: True" not in exact or "stored" not in exact:
    sys.exit("utf8mb4_nopad_bin has changed")
PYTHON
cd "$work" && venv/bin/python finding.py
