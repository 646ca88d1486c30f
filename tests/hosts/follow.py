"""Write the package ``annotate`` that docs/how-to/PAGE.md describes for a platform: ``follow.py PAGE FOLDER``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs" / "how-to"
FILE = re.compile(r"^```python\n# (annotate/\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def main(page: str, folder: Path) -> None:
    """Each block that begins with a file's name becomes that file."""
    document = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    (folder / "annotate").mkdir(parents=True, exist_ok=True)
    (folder / "annotate" / "__init__.py").touch()
    for name, text in FILE.findall(document):
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
