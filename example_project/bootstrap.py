"""Create a virtual environment for one command, once, and continue inside it: standard library only.

``python3 -m example_project`` and ``python3 -m tests`` have to work on a machine that has Python and nothing
else, also where the system's Python refuses ``pip install`` (PEP 668). So each gets an environment of its
own below ``.cache/``. Its name has the Python's version and a digest of what is installed: an unchanged
one is reused at once, and an incomplete one, which lacks its stamp, is created again.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
OLDEST_PYTHON = (3, 10)
STAMP = "complete"


class BootstrapError(Exception):
    """The environment can't be created; the message says what to do."""


def run_module(module: str, arguments: Sequence[str], *, name: str, groups: Sequence[str]) -> None:
    """Replace this process by ``python -m module arguments`` in the environment ``name``.

    ``groups`` are dependency groups of ``pyproject.toml``, installed together with the package itself (editable).
    Exits with a sentence on stderr when the environment can't be created.
    """
    try:
        python = ensure_environment(name, groups)
    except BootstrapError as error:
        raise SystemExit(f"{error}") from None
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(python, [str(python), "-m", module, *arguments])


def ensure_environment(name: str, groups: Sequence[str]) -> Path:
    """The Python of the environment ``name``, which is created first if it is missing or incomplete.

    Raises:
        BootstrapError: this Python is too old or lacks ``venv``, or an installation failed twice.
    """
    check_python()
    CACHE.mkdir(exist_ok=True)
    family = f"venv-{name}-{sys.version_info[0]}.{sys.version_info[1]}"
    environment = CACHE / f"{family}-{fingerprint(groups)}"
    with exclusive(CACHE / f"{family}.lock"):
        if not is_complete(environment):
            print(f"Preparing {environment.relative_to(ROOT)}: once, a minute or two …", flush=True)
            remove_family(family)
            make(environment, groups)
    return python_of(environment)


def check_python() -> None:
    """Raise ``BootstrapError`` unless this Python is new enough and can create virtual environments."""
    if sys.version_info < OLDEST_PYTHON:
        raise BootstrapError(
            f"This is Python {sys.version.split()[0]}, and Python 3.10 or newer is needed. "
            "Try one by its name, such as python3.12 in place of python3."
        )
    if any(importlib.util.find_spec(needed) is None for needed in ("venv", "ensurepip")):
        raise BootstrapError(
            "This Python can't create virtual environments: its venv or ensurepip module is missing. "
            "On Debian and Ubuntu: apt install python3-venv"
        )


def fingerprint(groups: Sequence[str]) -> str:
    """A short digest of everything that determines an environment's content."""
    parts = [
        (ROOT / "pyproject.toml").read_bytes(),
        ",".join(groups).encode(),
        sys.version.encode(),
        # An environment's Python is a link to this one; its editable install is a link to this checkout.
        os.path.realpath(sys.executable).encode(),
        str(ROOT).encode(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def is_complete(environment: Path) -> bool:
    """Whether ``environment`` is complete and its Python still exists."""
    return (environment / STAMP).exists() and python_of(environment).exists()


def remove_family(family: str) -> None:
    """Remove the environments that ``family`` had before ``pyproject.toml`` changed, and incomplete ones."""
    for outdated in CACHE.glob(f"{family}-*"):
        shutil.rmtree(outdated)


def make(environment: Path, groups: Sequence[str]) -> None:
    """Create ``environment`` and install the package and ``groups`` in it; the stamp comes last."""
    run([sys.executable, "-m", "venv", "--clear", str(environment)])
    pip = [str(python_of(environment)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Dependency groups need pip 25.1, and an older Python comes with an older pip.
    run([*pip, "--upgrade", "pip>=25.1"], attempts=2)
    named = [argument for group in groups for argument in ("--group", group)]
    run([*pip, "--editable", ".", *named], attempts=2)
    (environment / STAMP).touch()


def run(command: Sequence[str], *, attempts: int = 1) -> None:
    """Run ``command`` in the checkout; retry after a failure, since package indexes fail now and then.

    Raises:
        BootstrapError: the last of the ``attempts`` failed; its output has been printed by then.
    """
    # A user's pip configuration may require --user installs, which no virtual environment allows.
    surroundings = {**os.environ, "PIP_USER": "0", "PYTHONNOUSERSITE": "1"}
    for _ in range(attempts):
        status = subprocess.run(command, cwd=ROOT, env=surroundings, check=False).returncode
        if status == 0:
            return
    raise BootstrapError(f"This command ended with status {status}: {' '.join(command)}")


def python_of(environment: Path) -> Path:
    """The path of the environment's interpreter."""
    return environment / "bin" / "python"


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold ``lock`` against other processes, so that two commands at once create one environment."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
