"""The environments that the two commands make for themselves; pip itself runs in ``.ci/run``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from example_project import bootstrap


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A checkout of its own, and the environments that were made in it, without pip."""
    environments: list[Path] = []

    def make(environment: Path, groups: Sequence[str]) -> None:
        python = bootstrap.python_of(environment)
        python.parent.mkdir(parents=True)
        python.touch()
        (environment / bootstrap.STAMP).touch()
        environments.append(environment)

    (tmp_path / "pyproject.toml").write_text("[project]", encoding="utf-8")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "CACHE", tmp_path / ".cache")
    monkeypatch.setattr(bootstrap, "make", make)
    return environments


def test_an_environment_is_made_once(made: list[Path]) -> None:
    first = bootstrap.ensure_environment("tests", ["test"])
    assert bootstrap.ensure_environment("tests", ["test"]) == first
    assert [bootstrap.python_of(environment) for environment in made] == [first]


def test_a_half_made_environment_is_made_again(made: list[Path]) -> None:
    bootstrap.ensure_environment("tests", ["test"])
    (made[0] / bootstrap.STAMP).unlink()
    (made[0] / "half a package").touch()
    bootstrap.ensure_environment("tests", ["test"])
    assert len(made) == 2
    assert not (made[1] / "half a package").exists()


def test_an_environment_whose_python_is_gone_is_made_again(made: list[Path]) -> None:
    bootstrap.ensure_environment("tests", ["test"]).unlink()
    bootstrap.ensure_environment("tests", ["test"])
    assert len(made) == 2


def test_new_dependencies_make_a_new_environment_and_drop_the_old(made: list[Path], tmp_path: Path) -> None:
    bootstrap.ensure_environment("tests", ["test"])
    (tmp_path / "pyproject.toml").write_text("[project] # more", encoding="utf-8")
    bootstrap.ensure_environment("tests", ["test"])
    assert [environment.exists() for environment in made] == [False, True]


def test_the_two_commands_keep_apart(made: list[Path]) -> None:
    bootstrap.ensure_environment("tests", ["test"])
    bootstrap.ensure_environment("demo", ["demo"])
    assert [environment.exists() for environment in made] == [True, True]


@pytest.mark.usefixtures("made")
def test_an_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(SystemExit, match=r"Python 3\.10 or newer is needed"):
        bootstrap.run_module("pytest", [], name="tests", groups=["test"])


@pytest.mark.usefixtures("made")
def test_a_python_without_ensurepip_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ensurepip" else 1)
    with pytest.raises(SystemExit, match="apt install python3-venv"):
        bootstrap.run_module("pytest", [], name="tests", groups=["test"])


def test_a_failed_installation_is_tried_again(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    fails_once = (
        f"import pathlib, sys; t = pathlib.Path({str(trace)!r}); e = t.exists(); t.touch(); sys.exit(not e)"
    )
    bootstrap.run([sys.executable, "-c", fails_once], attempts=2)
    assert trace.exists()


def test_an_installation_that_keeps_failing_says_which_command() -> None:
    with pytest.raises(
        bootstrap.BootstrapError, match=r"ended with status 3: .* -c import sys; sys\.exit\(3\)"
    ):
        bootstrap.run([sys.executable, "-c", "import sys; sys.exit(3)"], attempts=2)
