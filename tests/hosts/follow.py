"""Write the package ``annotate`` that docs/hosts.md describes for a platform: ``follow.py PLATFORM FOLDER``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "hosts.md"
SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^```python\n# (annotate/\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main(platform: str, folder: Path) -> None:
    """Each block that begins with a file's name becomes that file."""
    section = dict(SECTION.findall(DOCUMENT.read_text(encoding="utf-8")))[platform]
    (folder / "annotate").mkdir(parents=True, exist_ok=True)
    (folder / "annotate" / "__init__.py").touch()
    for name, text in FILE.findall(section):
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
