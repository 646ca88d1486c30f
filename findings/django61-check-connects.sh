#!/usr/bin/env bash
# Found: since Django 6.1 a plain `manage.py check` can connect to the database. On MySQL and MariaDB it fails where no
# server is reachable as soon as a model has an index on an expression. And a site's own check that is tagged `database`
# as well as `site` is no longer run by `check`, but by `check --tag site`, with every alias of DATABASES.
#
# Versions: Django 6.1.3 against 5.2.19, PyMySQL 1.2.4. Needs Python 3.12 or newer for 6.1; no server: port 1 refuses.
#
# Source: Django's documentation of the check framework and of `check --database`: database checks aren't run by default
# because they do more than static analysis. django/core/checks/registry.py: in 6.1, run_checks() replaces
# `databases=None` by all aliases before it calls the checks, the ones of models included, which then ask
# `connection.features` for what the server supports; MySQL's backend has to ask its server whether it is MariaDB.
#
# Why a good guess is wrong: nothing of the command or the project has changed, and on SQLite and PostgreSQL nothing is
# seen, since their features are constants for this.
# Whom it hurts: who runs `check` while an image is built, in a pre-commit hook or in a CI step without the database; and
# authors of reusable apps whose tests call run_checks() without `databases`: pytest-django refuses the access.
# The way out: run_checks(databases=[]) in tests; `check` where the database is, or with tags that need none.
#
# Output seen:
#   Django 5.2.19: check: fine; own check: [None]; check --tag site: [None]
#   Django 6.1.3:  check: OperationalError; own check: []; check --tag site: [['default', 'replica']]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-python3}" "$HOME"/.pyenv/versions/3.1[2-9].*/bin/python; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then break; fi
done
mkdir "$work/events"
touch "$work/events/__init__.py"
cat >"$work/events/models.py" <<'PYTHON'
from django.db import models
from django.db.models.functions import Lower


class Event(models.Model):
    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=20)

    class Meta:
        indexes = [models.Index(Lower("key"), name="key_in_lower_case")]
PYTHON
cat >"$work/finding.py" <<'PYTHON'
import io
import sys

import django
import pymysql
from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.db import OperationalError

pymysql.version_info = (2, 2, 7, "final", 0)  # what Django requires of mysqlclient
pymysql.install_as_MySQLdb()
nowhere = {"ENGINE": "django.db.backends.mysql", "NAME": "none", "HOST": "127.0.0.1", "PORT": 1}
settings.configure(INSTALLED_APPS=["events"], DATABASES={"default": nowhere, "replica": dict(nowhere)})
django.setup()
calls = []


@checks.register("site", checks.Tags.database)
def own(app_configs, databases, **kwargs):
    calls.append(databases)
    return []


def check(**options):
    calls.clear()
    try:
        call_command("check", stderr=io.StringIO(), stdout=io.StringIO(), **options)
        result = "fine"
    except OperationalError as problem:
        result = type(problem).__name__
    return result, list(calls)


(result, plain), (_, tagged) = check(), check(tags=["site"])
version = f"Django {django.__version__}:"
print(f"{version:<14} check: {result}; own check: {plain}; check --tag site: {tagged}")
old = ("fine", [None], [None])
new = ("OperationalError", [], [["default", "replica"]])
if (result, plain, tagged) != (old if django.VERSION < (6, 1) else new):
    sys.exit("this has changed")
PYTHON
for version in 5.2.19 6.1.3; do
  rm -rf "$work/venv"
  "$python" -m venv "$work/venv"
  "$work/venv/bin/pip" install -qq --disable-pip-version-check "django==$version" pymysql==1.2.4
  (cd "$work" && venv/bin/python finding.py)
done
