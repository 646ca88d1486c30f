#!/usr/bin/env bash
# Found: since Django 6.0 a flag such as Case(When(pk__in=ids, then=True), default=False) is a syntax error on MySQL and
# MariaDB when `ids` is empty. It works for all other values, and on SQLite and PostgreSQL for all.
#
# Versions: Django 6.0.10 and 6.1.3 against 5.2.19, PyMySQL 1.2.4, MariaDB on 127.0.0.1:3306 (root, empty password).
# Needs Python 3.12 or newer.
#
# Source: Django's documentation, "Conditional Expressions": `default` is returned if no condition holds.
# django/db/models/expressions.py: in 6.0, Case.as_sql() casts the default to its field when no condition is left, and
# MySQL's name for a BooleanField's column, bool, is no type that CAST() takes there.
#
# Why a good guess is wrong: the query is the same, and pages work for everyone who has at least one favourite, read
# message or whatever the flag marks. The first user without any gets the error.
# Whom it hurts: every site on MySQL or MariaDB that marks rows with a list of keys, after the upgrade. A model whose own
# boolean columns are used is not affected.
# The way out: flags as numbers, Case(When(pk__in=ids, then=1), default=0, output_field=IntegerField()), or Exists().
#
# Output seen:
#   Django 5.2.19: with keys [True, False], without [False, False]; as numbers [0, 0]
#   Django 6.0.10: with keys [True, False], without ProgrammingError 1064; as numbers [0, 0]
#   Django 6.1.3:  with keys [True, False], without ProgrammingError 1064; as numbers [0, 0]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-python3}" "$HOME"/.pyenv/versions/3.1[2-9].*/bin/python; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then break; fi
done
cat >"$work/finding.py" <<'PYTHON'
import sys

import django
import pymysql
from django.conf import settings
from django.db import ProgrammingError, connection, models
from django.db.models import BooleanField, Case, IntegerField, When

pymysql.version_info = (2, 2, 7, "final", 0)  # what Django requires of mysqlclient
pymysql.install_as_MySQLdb()
server = {"ENGINE": "django.db.backends.mysql", "NAME": "", "HOST": "127.0.0.1", "USER": "root"}
settings.configure(DATABASES={"default": server})
django.setup()


class Photo(models.Model):
    id = models.BigAutoField(primary_key=True)

    class Meta:
        app_label = "photos"


def favourites(keys, yes=True, no=False, field=BooleanField):
    flag = Case(When(pk__in=keys, then=yes), default=no, output_field=field())
    try:
        return list(Photo.objects.annotate(flag=flag).order_by("pk").values_list("flag", flat=True))
    except ProgrammingError as problem:
        return f"ProgrammingError {problem.args[0]}"


with connection.cursor() as cursor:
    cursor.execute("CREATE DATABASE finding_empty_case")
    try:
        cursor.execute("USE finding_empty_case")
        cursor.execute("CREATE TABLE photos_photo (id bigint PRIMARY KEY)")
        cursor.execute("INSERT INTO photos_photo VALUES (1), (2)")
        some, none, numbers = favourites([1]), favourites([]), favourites([], 1, 0, IntegerField)
    finally:
        cursor.execute("DROP DATABASE finding_empty_case")
version = f"Django {django.__version__}:"
print(f"{version:<14} with keys {some}, without {none}; as numbers {numbers}")
expected = [False, False] if django.VERSION < (6, 0) else "ProgrammingError 1064"
if (some, none, numbers) != ([True, False], expected, [0, 0]):
    sys.exit("this has changed")
PYTHON
for version in 5.2.19 6.0.10 6.1.3; do
  rm -rf "$work/venv"
  "$python" -m venv "$work/venv"
  "$work/venv/bin/pip" install -qq --disable-pip-version-check "django==$version" pymysql==1.2.4 2>/dev/null
  (cd "$work" && venv/bin/python finding.py)
done
