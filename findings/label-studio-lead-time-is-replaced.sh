#!/usr/bin/env bash
# Found: Label Studio's lead_time is what the last client sent, not what was measured. An edit replaces the seconds of
# the work before it, and so does submitting again what was converted to a draft, which moves the work to another day
# as well: the annotation with its seconds is deleted, and a new one is created with the seconds of the last request.
#
# Versions: Label Studio 1.23.2 on SQLite, Python 3.10 to 3.12. The installation takes a few minutes.
#
# Source: the help text of the column: "How much time it took to annotate the task". label_studio/tasks/api.py:
# AnnotationConvertAPI copies lead_time to the draft and deletes the annotation; AnnotationsListAPI.perform_create()
# reads the draft's creation time, but not its lead_time; a PATCH stores lead_time like any other field.
#
# Why a good guess is wrong: drafts and annotations both have the column, so the server seems to add up. It trusts each
# client to send the sum, and the pages are not the only client: SDK and scripts send what they measured, or nothing.
# Whom it hurts: who reports hours from lead_time. A day's total that was reported already shrinks when an annotation is
# edited or converted, an hour of work becomes five seconds, and what was reported of that day isn't there any more.
# The way out: report totals that may go down, too, and don't promise that the seconds are those that were worked.
#
# Output seen:
#   submitted:          3600.0 s, on 2026-01-05
#   edited by PATCH:    7.0 s, on 2026-01-05
#   converted to draft: no annotation; the draft has 7.0 s
#   submitted again:    5.0 s, today True; drafts left: 0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check label-studio==1.23.2
cat >"$work/finding.py" <<'PYTHON'
import sys
from datetime import datetime, timezone

import django

django.setup()

from organizations.models import Organization  # noqa: E402 - needs Django's settings
from projects.models import Project  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402
from tasks.models import Annotation, AnnotationDraft, Task  # noqa: E402
from users.models import User  # noqa: E402

LABELS = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/></Choices></View>'
RESULT = [{"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": ["A"]}}]
owner = User.objects.create_user(email="owner@example.com", password="only for this finding")
organization = Organization.create_organization(created_by=owner, title="Example")
owner.active_organization = organization
owner.save()
client = APIClient()
client.force_authenticate(owner)


def project(title):
    return Project.objects.create(title=title, organization=organization, created_by=owner, label_config=LABELS)


def call(method, path, *body):
    response = getattr(client, method)(path, *body, format="json")
    assert response.status_code in (200, 201, 204), (path, response.status_code)
    return response


call("post", f"/api/projects/{project('texts').pk}/import", [{"data": {"text": "one"}}])
task = Task.objects.get().pk
call("post", f"/api/tasks/{task}/annotations/", {"result": RESULT, "lead_time": 3600.0})
Annotation.objects.update(created_at=datetime(2026, 1, 5, 12, tzinfo=timezone.utc))  # it was done in January
first = Annotation.objects.get()
call("patch", f"/api/annotations/{first.pk}/", {"result": RESULT, "lead_time": 7.0})
edited = Annotation.objects.get()
call("post", f"/api/annotations/{first.pk}/convert-to-draft")
annotations, draft = Annotation.objects.count(), AnnotationDraft.objects.get()
call("post", f"/api/tasks/{task}/annotations/", {"result": RESULT, "lead_time": 5.0, "draft_id": draft.pk})
last, drafts = Annotation.objects.get(), AnnotationDraft.objects.count()
today = last.created_at.date() == datetime.now(timezone.utc).date()
with open("seen", "w") as seen:
    print(f"submitted:          {first.lead_time} s, on {first.created_at:%Y-%m-%d}", file=seen)
    print(f"edited by PATCH:    {edited.lead_time} s, on {edited.created_at:%Y-%m-%d}", file=seen)
    print(f"converted to draft: {annotations or 'no'} annotation; the draft has {draft.lead_time} s", file=seen)
    print(f"submitted again:    {last.lead_time} s, today {today}; drafts left: {drafts}", file=seen)
if (first.lead_time, edited.lead_time, draft.lead_time, last.lead_time) != (3600.0, 7.0, 7.0, 5.0):
    sys.exit("the seconds have changed")
if annotations or drafts or not today or edited.created_at != first.created_at:
    sys.exit("what becomes of the annotation, or its day, has changed")
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
