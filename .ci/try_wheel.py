"""Build the wheel, and follow docs/how-to/install.md to the letter in a new Django project; the README in another.

The documents' own blocks are used: ``sh`` blocks are run, and a ``python`` block goes to the end of the file that
its first line names. The new site has to pass ``check --deploy`` without a warning of ours, also without ``DEBUG``,
show the login page and the customer's page, and take one signed event over HTTP. Then it tests its adapter as
``docs/how-to/test-your-site.md`` says: that wants newer packages, so ``--lowest``, with the lowest versions that
``pyproject.toml`` allows, ends before.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECTION = re.compile(r"^#+ ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (mysite/\w+\.py)(?:, (before|from) Django 6\.1(?: on)?)?\n")
#: The documents name what it needs.
MODE = ', "transaction_mode": "IMMEDIATE"'
OUR_WARNING = re.compile(r"\(opentrain\.[A-Z]\d+\)")
SECRET = "whsec_only_for_this_test"
#: Seconds for a block: a command in it that serves would never end. It ends what it has started, too.
LIMITED = ("timeout", "300")

MAKE_ENDPOINT = f"""
from django_opentrain.models import Install, WebhookEndpoint
install = Install.objects.create(tenant="1", opentrain_id="ins_1", status="ACTIVE", organization_id="org_1")
endpoint = WebhookEndpoint.objects.create(install=install, secret={SECRET!r}, opentrain_id="whe_1", status="ACTIVE")
print(endpoint.key)
"""
PROCESS = """
from django_opentrain.models import ProjectLink, WebhookEvent
from django_opentrain.services import inbox
inbox.drain()
print(WebhookEvent.objects.get().status, ProjectLink.objects.get().external_project_id)
"""
OPEN_PAGE = """
from django.contrib.auth import get_user_model
from django.test import Client
client, host = Client(), {"host": "localhost"}
login_page = client.get("/opentrain/", headers=host, follow=True)
client.force_login(get_user_model().objects.create_user("customer"))
print(login_page.status_code, client.get("/opentrain/", headers=host).status_code)
"""
PRODUCTION = "from mysite.settings import *\nDEBUG = False\n"

TRANSLATE = """
from django.utils.translation import gettext, override
with override("de"):
    print(gettext("Connect to OpenTrain"))
"""


def main(*, lowest: bool) -> None:
    """Run the whole story in a temporary directory; any step that fails ends it with a traceback."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        wheel = build(work)
        constraints = [f"django-opentrain @ {wheel.as_uri()}", *(lowest_versions(work) if lowest else [])]
        environment = new_project(work, constraints)
        bare = dict(environment)
        environment = follow(work, environment, "docs/how-to/install.md", "Install it in your site")
        (work / "mysite" / "production.py").write_text(PRODUCTION, encoding="utf-8")
        run_block(work, environment, "python manage.py check --deploy --settings mysite.production")
        run_block(work, environment, "celery --app mysite --quiet report")
        pages = shell(work, environment, OPEN_PAGE)
        expect(pages == "200 200", f"the login page and the customer's page answer {pages}")
        german = shell(work, environment, TRANSLATE)
        expect(german == "Mit OpenTrain verbinden", f"the German catalogue says {german!r}")
        receive_event(work, environment)
        # In this order: the second installs pytest.
        for heading in () if lowest else ("Without pytest", "Testing your site"):
            follow(work, environment, "docs/how-to/test-your-site.md", heading)
        follow_readme(work, bare)
    print(f"{wheel.name}: installed by the documents, one signed event received")


def follow_readme(work: Path, environment: dict[str, str]) -> None:
    """Its few lines are enough: another new project in the same environment."""
    project = work / "short"
    project.mkdir()
    run("django-admin", "startproject", "mysite", ".", cwd=project, environment=environment)
    blocks = dict(SECTION.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    add_block(project, BLOCK.findall(blocks["Write an adapter"])[0][1])
    environment = follow(project, environment, "README.md", "Install in your site")
    run_block(project, environment, "python manage.py opentrain_work")
    pages = shell(project, environment, OPEN_PAGE.replace("localhost", "annotate.example.com"))
    expect(pages == "200 200", f"the README's login page and customer's page answer {pages}")


def expect(condition: bool, problem: str) -> None:
    """End with ``problem`` unless ``condition``."""
    if not condition:
        raise SystemExit(f"FAILED: {problem}")


def run(*command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run ``command``, show what it prints on either stream, and return that."""
    print("$", *command, flush=True)
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout, end="", flush=True)
    expect(done.returncode == 0, f"exit status {done.returncode}")
    return done.stdout


def build(work: Path) -> Path:
    """The wheel, built from the source distribution, as a release is."""
    run(sys.executable, "-m", "venv", work / "build", cwd=work)
    python = work / "build" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "build[uv]", cwd=work)
    run(python, "-m", "build", "--installer", "uv", "--outdir", work / "dist", ROOT, cwd=work)
    return next((work / "dist").glob("*.whl"))


def lowest_versions(work: Path) -> list[str]:
    """The requirements that are met by the lowest versions which the package allows, each with a version."""
    uv, target = work / "build" / "bin" / "uv", work / "lowest.txt"
    options = [
        "--quiet",
        "--no-header",
        "--no-annotate",
        "--resolution",
        "lowest-direct",
        "--python",
        sys.executable,
    ]
    run(uv, "pip", "compile", *options, "--output-file", target, ROOT / "pyproject.toml", cwd=work)
    return target.read_text(encoding="utf-8").splitlines()


def new_project(work: Path, constraints: Sequence[str]) -> dict[str, str]:
    """What a reader has before the first step: a virtual environment with Django, and a project."""
    run(sys.executable, "-m", "venv", work / "venv", cwd=work)
    binaries = work / "venv" / "bin"
    constraint = work / "constraint.txt"
    constraint.write_text("\n".join(constraints), encoding="utf-8")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DJANGO"))},
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PIP_CONSTRAINT": str(constraint),
        "CELERY_BROKER_URL": "memory://",
    }
    run(binaries / "pip", "install", "--quiet", "django", cwd=work, environment=environment)
    run(binaries / "django-admin", "startproject", "mysite", ".", cwd=work, environment=environment)
    return environment


def follow(work: Path, environment: dict[str, str], document: str, heading: str) -> dict[str, str]:
    """Do what a section says, and return the environment that its ``export`` lines have left."""
    section = dict(SECTION.findall((ROOT / document).read_text(encoding="utf-8"))).get(heading, "")
    blocks = BLOCK.findall(section)
    expect(bool(blocks), f"{document} has nothing to do under {heading!r}")
    for language, text in blocks:
        if language == "sh":
            environment = run_block(work, environment, text)
        else:
            add_block(work, text)
    return environment


def run_block(work: Path, environment: Mapping[str, str], text: str) -> dict[str, str]:
    """Run one ``sh`` block, and return its environment."""
    left_behind = work / "environment"
    script = f"set -euo pipefail\n{text}\nenv -0 > {left_behind}"
    output = run(*LIMITED, "bash", "-c", script, cwd=work, environment=environment)
    expect(not OUR_WARNING.search(output), "check --deploy has a warning of ours")
    pairs = left_behind.read_bytes().decode().rstrip("\0").split("\0")
    return dict(pair.split("=", 1) for pair in pairs)


def add_block(work: Path, text: str) -> None:
    """Append one ``python`` block to its file."""
    named = FILE_NAME.match(text)
    if named is None:
        raise SystemExit(f"FAILED: this block names no file:\n{text}")
    settings = (work / "mysite" / "settings.py").read_text(encoding="utf-8")
    # A new project of Django 6.1 has this setting.
    usual = "from" if "MAILERS" in settings else "before"
    if "using Django 4.2" in settings:
        text = text.replace(MODE, "")
    if named[2] in (None, usual):
        with (work / named[1]).open("a", encoding="utf-8") as file:
            file.write("\n" + text)


def shell(work: Path, environment: Mapping[str, str], code: str) -> str:
    """Run ``code`` inside the new site; returns the last line that it prints."""
    command = ["python", "manage.py", "shell", "-c", code]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    expect(done.returncode == 0, done.stderr)
    return done.stdout.strip().splitlines()[-1]


def receive_event(work: Path, environment: Mapping[str, str]) -> None:
    """Deliver one event to the running site as OpenTrain does: once well signed, and once forged."""
    key = shell(work, environment, MAKE_ENDPOINT)
    link = {"id": "lnk_1", "externalProjectId": "1", "jobId": "job_1", "provisioningMode": "PARTNER_WEBHOOK"}
    event = {"id": "1", "type": "project_link.created", "apiVersion": "v1", "resourceId": "lnk_1"}
    body = json.dumps({**event, "jobId": "job_1", "data": {"projectLink": link}}).encode()
    with serving(work, environment) as origin:
        url = f"{origin}/opentrain/webhooks/{key}/"
        expect((status := post(url, body, SECRET)) == 200, f"a signed event was answered {status}")
        expect((status := post(url, body, "whsec_forged")) == 400, f"a forged event was answered {status}")
    result = shell(work, environment, PROCESS)
    expect(result == "PROCESSED 1", f"the event is {result}")


def post(url: str, body: bytes, secret: str) -> int:
    """The status with which the site answers ``body``, signed with ``secret``."""
    timestamp = int(time.time())
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "OpenTrain-Partner-Webhooks/1.0",
        "X-OpenTrain-Event": "project_link.created",
        "X-OpenTrain-Delivery": "dlv_1",
        "X-OpenTrain-Signature": f"t={timestamp},v1={digest}",
    }
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@contextmanager
def serving(work: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The site's origin, for as long as it is served."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(work / "venv" / "bin" / "python"),
        "manage.py",
        "runserver",
        "--noreload",
        f"127.0.0.1:{port}",
    ]
    server = subprocess.Popen(command, cwd=work, env=environment)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_for(port: int) -> None:
    """Return when something listens on ``port``; give up after half a minute."""
    for _ in range(150):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    expect(condition=False, problem="the site did not start")


if __name__ == "__main__":
    main(lowest="--lowest" in sys.argv[1:])
