"""The keys of ``OPENTRAIN``, from their declarations."""

from __future__ import annotations

import json
from typing import Any, Final

from django_opentrain.conf import SETTINGS, OpenTrainSettings, Setting
from tests.reference.markdown import PACKAGE, comments

#: By key: the paragraphs of the comment above its declaration.
COMMENTS: Final = {
    name.upper(): text.split("\n\n")
    for name, text in comments(PACKAGE / "conf.py", OpenTrainSettings.__name__).items()
}


def settings() -> str:
    """An entry for each."""
    return "\n\n".join(
        f"### {key}\n\n{_default(each)}. {meaning(key)} ({_check(each)})" for key, each in SETTINGS.items()
    )


def meaning(key: str) -> str:
    """What it is."""
    own = SETTINGS[key].check
    return " ".join(text for text in COMMENTS[key] if not text.startswith(f"{own}: "))


def of_its_check(key: str) -> str:
    """What is said of its check."""
    own = SETTINGS[key].check
    return " ".join(text.removeprefix(f"{own}: ") for text in COMMENTS[key] if text.startswith(f"{own}: "))


def _check(setting: Setting[Any]) -> str:
    return f"[{setting.check}](docs/reference/checks.md#{setting.check.lower()})"


def _default(setting: Setting[Any]) -> str:
    if setting.default is None:
        return "Required"
    if isinstance(setting.default, tuple) and len(setting.default) > 1:
        return f"Default: all {len(setting.default)}"
    return f"Default: `{json.dumps(setting.default)}`"
