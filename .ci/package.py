"""Build the sdist and the wheel twice, and hold them against what git tracks.

    python .ci/package.py FOLDER [TEST ARGUMENT...]

The second time they are built from the unpacked sdist, in another folder, at another time, in another zone, by a user
with another umask: who has only the sdist makes the same wheel, byte for byte. Then the sdist's own tests run in what
was unpacked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "django_opentrain/"


def main(folder: Path, tests: Sequence[str]) -> None:
    """Run the whole story in ``folder``; any step that fails ends it."""
    first, second = folder / "first", folder / "second"
    build(ROOT, first, umask=0o022, zone="UTC")
    sdist, wheel = only(first, "*.tar.gz"), only(first, "*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel, cwd=folder)
    run(sys.executable, "-m", "check_wheel_contents", "--config", ROOT / "pyproject.toml", wheel, cwd=folder)
    hold_what_they_should(sdist, wheel)
    unpacked = unpack(sdist, folder / "unpacked")
    build(unpacked, second, umask=0o077, zone="Pacific/Kiritimati")
    for one in (sdist, wheel):
        expect(
            one.read_bytes() == (second / one.name).read_bytes(), f"{one.name} differs when it is built again"
        )
    print(f"{sdist.name} and {wheel.name}: twice the same", flush=True)
    if tests:
        run(sys.executable, "-m", "pytest", *tests, cwd=unpacked)


def expect(condition: bool, problem: str) -> None:
    """End with ``problem`` unless ``condition``."""
    if not condition:
        raise SystemExit(f"FAILED: {problem}")


def run(*command: str | Path, cwd: Path, umask: int = -1, **environment: str) -> None:
    """Run ``command`` and show what it prints; its failure is ours."""
    print("$", *command, flush=True)
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, umask=umask, check=False)
    expect(done.returncode == 0, f"exit status {done.returncode}")


def build(source: Path, target: Path, *, umask: int, zone: str) -> None:
    """Build the sdist of ``source``, and the wheel from that sdist, as a release does."""
    command = [sys.executable, "-m", "build", "--installer", "uv", "--outdir", target, source]
    run(*command, cwd=source, umask=umask, TZ=zone)


def only(folder: Path, pattern: str) -> Path:
    """The one file of this kind."""
    [found] = folder.glob(pattern)
    return found


def tracked() -> set[str]:
    """The files that belong to the project: what is lying about in a working copy doesn't."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(filter(None, listed.stdout.split("\0")))


def hold_what_they_should(sdist: Path, wheel: Path) -> None:
    """The sdist has all files of the project, the wheel those of the package, and each its metadata."""
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = tracked()
    same(sdist.name, in_sdist, files | {"PKG-INFO"})
    same(wheel.name, in_wheel, {name for name in files if name.startswith(PACKAGE)})


def same(archive: str, names: set[str], wanted: set[str]) -> None:
    """``archive`` has all that is wanted, and nothing else."""
    expect(names >= wanted, f"{archive} lacks {sorted(wanted - names)}")
    expect(names <= wanted, f"{archive} should not have {sorted(names - wanted)}")


def unpack(sdist: Path, target: Path) -> Path:
    """The sdist's files, below ``target``, with the times of now."""
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    return only(target, "*")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
