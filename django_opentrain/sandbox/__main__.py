"""Runs the sandbox as a server."""

from __future__ import annotations

import sys

from django_opentrain.sandbox.cli import main

if __name__ == "__main__":
    sys.exit(main())
