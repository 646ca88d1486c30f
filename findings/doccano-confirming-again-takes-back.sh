#!/usr/bin/env bash
# Found: in doccano, the request that confirms an example is a switch. Sent again, it takes the confirmation back, with
# the same status 201. In a project with shared annotation (`collaborative_annotation`) a second annotator's
# confirmation deletes the first one's and leaves none: whose work it was, and when, is gone.
#
# Versions: doccano 1.8.4 on SQLite, Python 3.8 to 3.11, with the pins below, which it needs and doesn't declare.
#
# Source: backend/examples/views/example_state.py: a ListCreateAPIView whose perform_create() deletes what is there
# instead of creating. By its class it lists and creates, and so says the API's description that doccano generates.
#
# Why a good guess is wrong: a POST to a collection, answered by 201 Created, creates or refuses. The button in the page
# is a toggle, but the API's client can't see which way it went: the body of the answer is a state either way.
# Whom it hurts: scripts and proxies that repeat a POST whose answer was lost; annotators who share a project; and who
# reports finished tasks per annotator and day from ExampleState: a day's count that was reported goes down, and the
# example counts as not done at all.
# The way out: GET the states before, and afterwards; report totals that may go down.
#
# Output seen:
#   one annotator: 201, confirmed by ['ann']; the same request again: 201, confirmed by []
#   shared:        201, confirmed by ['ann']; the other annotator's: 201, confirmed by []
#   not shared:    201, confirmed by ['ann']; the other annotator's: 201, confirmed by ['ann', 'bob']
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for python in "${PYTHON:-python3}" "$HOME"/.pyenv/versions/3.11.*/bin/python; do
  if "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then break; fi
done
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install -qq --disable-pip-version-check \
  doccano==1.8.4 'marshmallow<4' 'numpy<2' 'pandas<2.3' 'setuptools<81'
cat >"$work/finding.py" <<'PYTHON'
import sys

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402 - needs Django's settings
from django.core.management import call_command  # noqa: E402
from examples.models import Example, ExampleState  # noqa: E402
from projects.models import Member, Project, ProjectType  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402
from roles.models import Role  # noqa: E402

call_command("create_roles", verbosity=0)
people = [User.objects.create_user(name) for name in ("ann", "bob")]


def confirm(user, example):
    client = APIClient()
    client.force_authenticate(user)
    return client.post(f"/v1/projects/{example.project_id}/examples/{example.pk}/states").status_code


def look(first, second, shared):
    project = Project.objects.create(
        name="p",
        description="p",
        project_type=ProjectType.DOCUMENT_CLASSIFICATION,
        collaborative_annotation=shared,
        created_by=people[0],
    )
    for user in people:
        Member.objects.create(project=project, user=user, role=Role.objects.get(name="annotator"))
    example = Example.objects.create(project=project, text="one")
    seen = []
    for user in (first, second):
        status = confirm(user, example)
        states = ExampleState.objects.filter(example=example).order_by("confirmed_by__username")
        seen.append((status, list(states.values_list("confirmed_by__username", flat=True))))
    return seen


ann, bob = people
results = {
    "one annotator": (look(ann, ann, False), "the same request again"),
    "shared": (look(ann, bob, True), "the other annotator's"),
    "not shared": (look(ann, bob, False), "the other annotator's"),
}
with open("seen", "w") as seen:
    for label, ((before, after), who) in results.items():
        text = f"{before[0]}, confirmed by {before[1]}; {who}: {after[0]}, confirmed by {after[1]}"
        print(f"{label + ':':<14} {text}", file=seen)
ends = [after for (_, after), _ in results.values()]
if ends != [(201, []), (201, []), (201, ["ann", "bob"])]:
    sys.exit("this has changed")
PYTHON
cd "$work"
export DJANGO_SETTINGS_MODULE=config.settings.development DATABASE_URL=sqlite:///$work/doccano.sqlite3
export SECRET_KEY=only-for-this-finding
PYTHONPATH=$(echo "$work"/venv/lib/python3*/site-packages/backend)
export PYTHONPATH
{ venv/bin/python -m django migrate && venv/bin/python finding.py; } >log 2>&1 || failed=yes
if [[ -f seen ]]; then cat seen; fi
if [[ ${failed-} ]]; then
  tail -20 log
  exit 1
fi
