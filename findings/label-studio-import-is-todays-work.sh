#!/usr/bin/env bash
# Found: Label Studio's own JSON export, imported again (a backup, a move to another project), makes each annotation one
# that was created at the moment of the import, with its old author and its old lead_time. No post_save is sent for it.
# On SQLite it also gets an id that a deleted annotation had.
#
# Versions: Label Studio 1.23.2 on SQLite, Python 3.10 to 3.12. The installation takes a few minutes.
#
# Source: the import guide of Label Studio describes the annotations' format, the export's own, in which created_at
# stands. label_studio/tasks/serializers.py, TaskSerializerBulk.add_annotations(): created_at isn't read, and the
# column is auto_now_add; rows come from bulk_create(), which sends no signals of the model (Django's documentation);
# on SQLite ids are set to the largest present one plus one, which AUTOINCREMENT would never give.
#
# Why a good guess is wrong: the file names the day, author and seconds of the work, and the import keeps two of three.
# Whom it hurts: who adds up lead_time by created_at, author by author, for pay or invoices: moving a project books all
# of its past hours a second time, today. A site that counts in post_save sees none of it instead. Where annotation ids
# are keys elsewhere, one that was deleted stands for another's work.
# The way out: leave rows with an import_id out of the sums. It is the id in the file, so it is there for an export.
#
# Output seen:
#   exported: {'created_at': '2026-01-05', 'lead_time': 3600.0, 'completed_by': 1}
#   imported: created_at is today True, lead_time 3600.0, completed_by 1, import_id 1
#   post_save of annotations: 1 for the submitted one, 0 for the imported one
#   ids: 1 was deleted, the imported one has 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check label-studio==1.23.2
cat >"$work/finding.py" <<'PYTHON'
import json
import sys
from datetime import datetime, timezone

import django

django.setup()

from django.db.models.signals import post_save  # noqa: E402 - needs Django's settings
from organizations.models import Organization  # noqa: E402
from projects.models import Project  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402
from tasks.models import Annotation, Task  # noqa: E402
from users.models import User  # noqa: E402

LABELS = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/></Choices></View>'
RESULT = [{"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": ["A"]}}]
owner = User.objects.create_user(email="owner@example.com", password="only for this finding")
organization = Organization.create_organization(created_by=owner, title="Example")
owner.active_organization = organization
owner.save()
client = APIClient()
client.force_authenticate(owner)
saved = []
post_save.connect(lambda instance, **_: saved.append(instance.pk), sender=Annotation, weak=False)


def project(title):
    return Project.objects.create(title=title, organization=organization, created_by=owner, label_config=LABELS)


def call(method, path, *body):
    response = getattr(client, method)(path, *body, format="json")
    assert response.status_code in (200, 201, 204), (path, response.status_code)
    return response


old, new = project("old"), project("new")
call("post", f"/api/projects/{old.pk}/import", [{"data": {"text": "one"}}])
call("post", f"/api/tasks/{Task.objects.get().pk}/annotations/", {"result": RESULT, "lead_time": 3600.0})
work = Annotation.objects.get()
Annotation.objects.update(created_at=datetime(2026, 1, 5, 12, tzinfo=timezone.utc))  # it was done in January
submitted, deleted = len(saved), work.pk
response = call("get", f"/api/projects/{old.pk}/export?exportType=JSON")
exported = json.loads(b"".join(response.streaming_content) if response.streaming else response.content)
call("delete", f"/api/annotations/{deleted}/")
call("post", f"/api/projects/{new.pk}/import", exported)
imported = Annotation.objects.get(project=new)
today = imported.created_at.date() == datetime.now(timezone.utc).date()
shown = exported[0]["annotations"][0]
shown = {"created_at": shown["created_at"][:10], "lead_time": shown["lead_time"], "completed_by": shown["completed_by"]}
with open("seen", "w") as seen:
    print("exported:", shown, file=seen)
    print(
        f"imported: created_at is today {today}, lead_time {imported.lead_time}, "
        f"completed_by {imported.completed_by_id}, import_id {imported.import_id}",
        file=seen,
    )
    print(
        f"post_save of annotations: {submitted} for the submitted one, {len(saved) - submitted} for the imported one",
        file=seen,
    )
    print(f"ids: {deleted} was deleted, the imported one has {imported.pk}", file=seen)
if shown["created_at"] != "2026-01-05" or not today or imported.lead_time != 3600.0:
    sys.exit("what an import keeps has changed")
if imported.completed_by_id != owner.pk or imported.import_id != deleted:
    sys.exit("whose an imported annotation is has changed")
if (submitted, len(saved), imported.pk) != (1, 1, deleted):
    sys.exit("signals or ids have changed")
PYTHON
cd "$work"
mkdir data
export DJANGO_SETTINGS_MODULE=core.settings.label_studio DJANGO_DB=sqlite LABEL_STUDIO_BASE_DATA_DIR=$work/data
export CI=false LATEST_VERSION_CHECK=0 COLLECT_ANALYTICS=0 SENTRY_DSN= FRONTEND_SENTRY_DSN=
PYTHONPATH=$(echo "$work"/venv/lib/python3*/site-packages/label_studio)
export PYTHONPATH
{ venv/bin/python -m django migrate && venv/bin/python finding.py; } >log 2>&1 || failed=yes
if [[ -f seen ]]; then cat seen; fi
if [[ ${failed-} ]]; then
  tail -20 log
  exit 1
fi
