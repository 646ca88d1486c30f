"""The keys of ``OPENTRAIN``, from their declarations."""

from __future__ import annotations

import json
from typing import Any, Final

from django_opentrain.conf import SETTINGS, OpenTrainSettings, Setting
from tests.reference.markdown import PACKAGE, comments, table

#: By key.
MEANINGS: Final = {
    name.upper(): text for name, text in comments(PACKAGE / "conf.py", OpenTrainSettings.__name__).items()
}


def settings() -> str:
    """A row for each."""
    rows = [(f"`{key}`", _default(each), MEANINGS[key], _check(each)) for key, each in SETTINGS.items()]
    return table("Key", "Default", "Meaning", "Check", rows=rows)


def _check(setting: Setting[Any]) -> str:
    name = f"E{setting.check:03d}"
    return f"[{name}](docs/reference/checks.md#{name.lower()})"


def _default(setting: Setting[Any]) -> str:
    if setting.default is None:
        return "required"
    if isinstance(setting.default, tuple) and len(setting.default) > 1:
        return f"all {len(setting.default)}"
    return f"`{json.dumps(setting.default)}`"
