"""``python3 -m example_project``: the demo, in an environment that it makes for itself."""

from __future__ import annotations

import sys

from example_project.bootstrap import run_module

if __name__ == "__main__":
    run_module("example_project.demo", sys.argv[1:], name="demo", groups=["demo"])
