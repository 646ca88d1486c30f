#!/usr/bin/env bash
# Found: a migration that alters a column on SQLite makes Django forget which ids it has given. The next row gets an id
# that a deleted row had, although Django declares AUTOINCREMENT so that this can't happen.
#
# Versions: Django 5.2.19 and 4.2.30 (6.1 was the same), with Python's sqlite3.
#
# Source: SQLite's documentation of AUTOINCREMENT: an automatically chosen rowid is larger than any that has ever been in
# the table. Django declares it for AutoField and BigAutoField, and says in its notes on SQLite nothing to the contrary.
# django/db/backends/sqlite3/schema.py, _remake_table(): what SQLite can't alter is copied into a new table, whose entry
# in sqlite_sequence begins with the largest id that was copied. After a table was emptied, ids begin with 1 again.
#
# Why a good guess is wrong: without a migration ids aren't reused, which every test shows. An AlterField, an
# AddField that isn't nullable or a check constraint is enough, also in a third-party app that is upgraded.
# Whom it hurts: who keeps ids outside of the table: an account that was created for a contractor and deleted, whose
# number still stands in an access list, a report that was sent to another system, an audit log, a signed link. The next
# account inherits what was meant for the old one. Label Studio and doccano use SQLite by default.
# The way out: delete no rows whose ids are kept elsewhere, use UUIDs, or restore the sequence in the migration.
#
# Output seen:
#   ids given: [1, 2, 3]; 3 was deleted; the next id is 4: not reused
#   4 was deleted, a column was altered: the next id is 3, which was another row's before
#   all were deleted, a column was altered: the next id is 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/finding.py" <<'PYTHON'
import sys

import django
from django.conf import settings

settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()

from django.db import connection, models  # noqa: E402 - needs Django's settings


class Account(models.Model):
    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=10)

    class Meta:
        app_label = "site"


def alter(length):
    """What `AlterField` does in a migration."""
    field = models.CharField(max_length=length)
    field.set_attributes_from_name("name")
    field.model = Account
    with connection.schema_editor() as editor:
        editor.alter_field(Account, Account._meta.get_field("name"), field)


def create():
    return Account.objects.create(name="x").pk


with connection.schema_editor() as editor:
    editor.create_model(Account)
given = [create() for _ in range(3)]
Account.objects.filter(pk=3).delete()
usual = create()
print("Django", django.__version__)
print(f"ids given: {given}; 3 was deleted; the next id is {usual}: not reused")
Account.objects.filter(pk=usual).delete()
alter(20)
after = create()
print(f"{usual} was deleted, a column was altered: the next id is {after}, which was another row's before")
Account.objects.all().delete()
alter(30)
first = create()
print(f"all were deleted, a column was altered: the next id is {first}")
if (given, usual, after, first) != ([1, 2, 3], 4, 3, 1):
    sys.exit("this has changed")
PYTHON
for version in 4.2.30 5.2.19; do
  rm -rf "$work/venv"
  "${PYTHON:-python3}" -m venv "$work/venv"
  "$work/venv/bin/pip" install -qq --disable-pip-version-check "django==$version"
  (cd "$work" && venv/bin/python finding.py)
done
