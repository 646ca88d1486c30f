"""GitHub's workflows name what there is, for the Pythons that are promised; ``tox -e lint`` reads the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from configparser import RawConfigParser
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
VERSION = re.compile(r"[\w./-]+@v\d+(\.\d+)*")
ENVIRONMENT = re.compile(r"tox run .*-e ([\w-]+)")
CLASSIFIER = re.compile(r'"Programming Language :: Python :: (3\.\d+)"')


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def named(file: Path) -> str:
    return file.stem


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in WORKFLOWS:
        for name, job in read(file)["jobs"].items():
            yield f"{file.stem}: {name}", job


JOBS = dict(jobs())


def rows(job: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of the job's matrix."""
    included: list[dict[str, Any]] = job.get("strategy", {}).get("matrix", {}).get("include", [])
    return included


def steps(job: dict[str, Any], action: str) -> list[dict[str, Any]]:
    return [step for step in job["steps"] if step.get("uses", "").startswith(f"{action}@")]


def expand(text: str) -> list[str]:
    """Tox's ``py{310,311}-dj42``, as names."""
    parts = [part.split(",") for part in re.split(r"[{}]", text)]
    return ["".join(chosen) for chosen in product(*parts)]


@pytest.fixture(scope="module")
def tox() -> RawConfigParser:
    parser = RawConfigParser()
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def environments(tox: RawConfigParser) -> set[str]:
    sections = [name.removeprefix("testenv:") for name in tox.sections() if name.startswith("testenv:")]
    lines = [*tox["tox"]["env_list"].split(), *sections]
    return {name for line in lines for name in expand(line)}


def python_of(environment: str, tox: RawConfigParser) -> str:
    """The Python that tox takes for it, as in ``3.12``."""
    [section] = [name for name in tox.sections() if environment in expand(name.removeprefix("testenv:"))] or [
        "testenv"
    ]
    factor = tox[section].get("base_python", environment.partition("-")[0])
    return f"3.{factor.removeprefix('py3')}"


def test_there_are_workflows_and_forms() -> None:
    assert [file.stem for file in WORKFLOWS] == ["docs", "release", "tests", "watch"]
    assert len(FORMS) >= 2


def test_every_environment_of_a_workflow_is_one_of_toxs(environments: set[str], tox: RawConfigParser) -> None:
    used = set()
    for job in JOBS.values():
        used |= {row["env"] for row in rows(job) if "env" in row}
        used |= {name for step in job["steps"] for name in ENVIRONMENT.findall(step.get("run", ""))}
    assert len(used) > 30
    assert used - environments == set()


def test_each_row_installs_the_python_that_its_environment_takes(tox: RawConfigParser) -> None:
    for row in (row for job in JOBS.values() for row in rows(job) if "env" in row):
        assert row["python"] == python_of(row["env"], tox), row


def test_the_suite_runs_on_the_pythons_that_the_package_promises() -> None:
    promised = CLASSIFIER.findall((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    suites = rows(JOBS["tests: suites"])
    assert {row["python"] for row in suites if not row.get("experimental")} == set(promised)
    # A newer one may fail, until it is promised.
    assert all(row["python"] not in promised for row in suites if row.get("experimental"))


def test_every_django_that_is_promised_is_tested(environments: set[str]) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    promised = re.findall(r'"Framework :: Django :: (\d\.\d)"', text)
    for version in promised:
        factor = "dj6x" if version == max(promised) else f"dj{version.replace('.', '')}"
        assert any(name.endswith(f"-{factor}") for name in environments), version


def test_what_tox_lists_runs_on_github(environments: set[str]) -> None:
    run = {row["env"] for job in JOBS.values() for row in rows(job) if "env" in row}
    # Pictures are looked at by a person; `sbom` is part of a release, and `quality` of `docs`.
    assert environments - run == {"screenshots", "sbom", "quality"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=named)
def test_a_workflow_may_nothing_that_a_job_does_not_ask_for(file: Path) -> None:
    assert read(file)["permissions"] == {}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_job_ends_and_asks_for_little(job: dict[str, Any]) -> None:
    assert job["timeout-minutes"] <= 60
    assert job["permissions"]
    uses = [step["uses"] for step in job["steps"] if "uses" in step]
    assert [use for use in uses if not VERSION.fullmatch(use)] == []
    assert all(step["with"]["persist-credentials"] is False for step in steps(job, "actions/checkout"))


def test_only_the_job_that_publishes_can_prove_to_pypi_who_it_is() -> None:
    publishing = [name for name, job in JOBS.items() if steps(job, "pypa/gh-action-pypi-publish")]
    assert publishing == ["release: publish"]
    job = JOBS["release: publish"]
    assert (job["environment"]["name"], job["permissions"]) == ("pypi", {"id-token": "write"})
    [step] = steps(job, "pypa/gh-action-pypi-publish")
    assert "with" not in step, "no password, and attestations as by default"


@pytest.mark.parametrize("file", FORMS, ids=named)
def test_forms_have_what_github_wants(file: Path) -> None:
    form = read(file)
    if file.stem == "config":
        assert form["blank_issues_enabled"] is False
        return
    assert {"name", "description", "body"} <= set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_updates_are_looked_for() -> None:
    ecosystems = {each["package-ecosystem"] for each in read(GITHUB / "dependabot.yml")["updates"]}
    assert ecosystems == {"github-actions", "pip"}
