"""The site: ``tox -e docs`` builds it below ``.cache/site``.

The source folder is the repository, so that links between ``docs`` and the documents beside it (README, CHANGELOG, …)
lead to the same pages here as on GitHub.
"""

from __future__ import annotations

import re
from typing import Any, Final

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

project = "django-opentrain"
author = "django-opentrain contributors"
copyright = author
extensions = ["myst_parser"]
include_patterns = ["docs/**.md", "*.md"]
exclude_patterns = [".*", "benchmarks", "django_opentrain", "example_project", "findings", "tests"]
root_doc = "docs/index"

myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["front"]  # the root leads to the first page
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

PICTURE: Final = re.compile(
    r'<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">\s*'
    r'<img alt="(?P<alt>[^"]*)" src="(?P<light>[^"]+)"'
)
LISTED: Final = re.compile(r"^[-|] \[[^\]]+\]\(([^)#:]+)\.md\)", re.MULTILINE)


class Pictures(SphinxTransform):
    """Makes two images of each ``<picture>``: the site's own switch chooses, not only the system's colours."""

    default_priority = 200

    def apply(self, **_options: Any) -> None:
        for raw in list(self.document.findall(nodes.raw)):
            if found := list(PICTURE.finditer(raw.astext())):
                raw.replace_self([self._image(each, theme) for each in found for theme in ("light", "dark")])

    def _image(self, found: re.Match[str], theme: str) -> nodes.image:
        return nodes.image(uri=found[theme], alt=found["alt"], classes=[f"only-{theme}"])


def add_navigation(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Let the pages that an ``index.md`` lists be its part of the navigation: GitHub's readers see the list."""
    if docname.endswith("/index"):
        pages = "\n".join(LISTED.findall(source[0]))
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n\n{pages}\n```\n"


def setup(app: Sphinx) -> None:
    app.add_transform(Pictures)
    app.connect("source-read", add_navigation)
