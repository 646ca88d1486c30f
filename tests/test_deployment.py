"""The unit files, the proxy's settings and the Compose file in the documents: parsed, and held against the code."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from django_opentrain import tasks
from django_opentrain.conf import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
UNIT = re.compile(r"# /etc/systemd/system/(mysite-\w+\.service)\n")
PROXY = ROOT / "docs" / "how-to" / "behind-a-proxy.md"
#: Seconds that a call to the host can take after SIGTERM, until it is killed.
LONGEST = tasks.LIMIT + tasks.GRACE


def blocks(page: Path, language: str) -> list[str]:
    """The page's blocks in this language, without the indent that a list gives them."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [
        re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
        for indent, name, text in found
        if name == language
    ]


UNITS = {
    named[1]: text
    for page in PAGES
    for text in blocks(page, "ini")
    if (named := UNIT.match(text)) is not None
}


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # keys of units have capitals
    parser.read_string(UNITS[name])
    return parser


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_restarted_and_starts_with_the_machine(name: str) -> None:
    parsed = unit(name)
    assert parsed["Service"]["Restart"] == "always"
    assert parsed["Install"]["WantedBy"] == "multi-user.target"
    assert parsed["Service"]["ExecStart"].startswith("/srv/mysite/venv/bin/")
    assert parsed["Service"]["EnvironmentFile"] == "/etc/mysite/environment"


@pytest.mark.parametrize("name", ["mysite-worker.service", "mysite-work.service"])
def test_a_worker_has_the_time_that_a_call_to_the_host_can_take(name: str) -> None:
    assert int(unit(name)["Service"]["TimeoutStopSec"]) == LONGEST


def test_a_worker_alone_is_told_to_stop() -> None:
    """Its pool's processes would die of SIGTERM in the middle of a task."""
    assert unit("mysite-worker.service")["Service"]["KillMode"] == "mixed"


def test_the_web_process_listens_where_the_proxy_asks() -> None:
    (conf,) = blocks(PROXY, "nginx")
    (socket,) = re.findall(r"server (unix:\S+);", conf)
    service = unit("mysite-web.service")["Service"]
    assert f"--bind {socket} " in service["ExecStart"]
    assert socket.startswith(f"unix:/run/{service['RuntimeDirectory']}/")
    graceful = re.findall(r"--graceful-timeout (\d+)", service["ExecStart"])
    assert int(service["TimeoutStopSec"]) > int(graceful[0])


def test_the_proxy_lets_through_what_the_receiver_reads() -> None:
    (conf,) = blocks(PROXY, "nginx")
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", conf)
    assert int(megabytes) * 2**20 > SETTINGS["MAX_WEBHOOK_BYTES"].default
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in conf


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_the_units(name: str, tmp_path: Path) -> None:
    """With a program that is there."""
    file = tmp_path / name
    file.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", UNITS[name]), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if name in line]) == (0, [])


# The Compose file ------------------------------------------------------------------------------

COMPOSE = yaml.safe_load((ROOT / "example_project" / "compose.yaml").read_text(encoding="utf-8"))
OURS = {name: each for name, each in COMPOSE["services"].items() if "build" in each}
SETTINGS_TEXT = (ROOT / "example_project" / "settings.py").read_text(encoding="utf-8")


def words(service: str) -> str:
    command = OURS[service]["command"]
    return command if isinstance(command, str) else " ".join(command)


@pytest.mark.parametrize("name", OURS)
def test_a_container_gets_what_the_examples_settings_read(name: str) -> None:
    given = set(OURS[name]["environment"])
    assert given <= set(re.findall(r'env[.\w]*\(\s*"(\w+)"', SETTINGS_TEXT))
    dockerfile = ROOT / "example_project" / OURS[name]["build"]["context"] / OURS[name]["build"]["dockerfile"]
    assert "DATA_DIR=/data" in dockerfile.read_text(encoding="utf-8")
    assert OURS[name]["volumes"] == ["data:/data"]


@pytest.mark.parametrize(
    ("url", "server", "names"),
    [
        ("DATABASE_URL", "database", ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB")),
        ("CELERY_BROKER_URL", "broker", ("RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS")),
    ],
)
def test_the_containers_know_their_servers(url: str, server: str, names: tuple[str, ...]) -> None:
    given = COMPOSE["services"][server]["environment"]
    parts = urlsplit(OURS["worker"]["environment"][url])
    assert (parts.hostname, parts.username, parts.password) == (server, given[names[0]], given[names[1]])
    assert parts.path.strip("/") == (given[names[2]] if len(names) > 2 else "")


def test_what_talks_to_127_0_0_1_is_in_one_network() -> None:
    """The sandbox delivers to ``PUBLIC_URL``, and the site and its workers call ``BASE_URL``."""
    beside = {name for name, each in OURS.items() if each.get("network_mode") == "service:web"}
    assert beside == set(OURS) - {"web"}
    published = {each.rpartition(":")[2] for each in OURS["web"]["ports"]}
    assert published == {
        str(urlsplit(OURS["web"]["environment"][key]).port) for key in ("PUBLIC_URL", "OPENTRAIN_BASE_URL")
    }
    assert "--bind 0.0.0.0:8000" in words("web")
    assert "--host 0.0.0.0 --port 8800" in words("sandbox")
    assert int(OURS["worker"]["stop_grace_period"].rstrip("s")) == LONGEST


def test_each_container_waits_for_what_it_needs() -> None:
    for each in COMPOSE["services"].values():
        for needed, how in each.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in COMPOSE["services"][needed]
