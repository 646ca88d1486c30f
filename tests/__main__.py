"""``python3 -m tests [pytest arguments]``: the quick test suite, in an environment that it makes for itself."""

from __future__ import annotations

import os
import sys

from example_project.bootstrap import run_module

#: On SQLite, on all cores, without long stories and what starts processes or browsers; an argument given later wins.
QUICK = ("--numprocesses=auto", "-m", "not slow and not long and not browser")

if __name__ == "__main__":
    command = ["pytest", *QUICK, *sys.argv[1:]]
    # Without bytecode each run would rewrite the assertions of all tests anew, in each of its processes.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if os.environ.get("TEST_COVERAGE"):
        # CI adds the slow and the long tests to it: `coverage` in tox.ini.
        command = ["coverage", "run", "-m", *command]
    run_module(command[0], command[1:], name="tests", groups=["test"])
