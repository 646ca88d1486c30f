"""``python3 -m tests [pytest arguments]``: the quick test suite, in an environment that it makes for itself."""

from __future__ import annotations

import sys

from example_project.bootstrap import run_module

#: On SQLite, on all cores, without what starts processes or browsers; an argument given later wins.
QUICK = ("--numprocesses=auto", "-m", "not slow and not browser")

if __name__ == "__main__":
    run_module("pytest", [*QUICK, *sys.argv[1:]], name="tests", groups=["test"])
