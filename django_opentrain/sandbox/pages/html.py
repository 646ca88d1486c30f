"""HTML by function calls: whatever isn't markup already is escaped."""

from __future__ import annotations

from html import escape

VOID = {"input", "meta", "link", "br"}


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | bool | None) -> Markup:
    """One element. Attributes: ``class_`` for ``class``, ``aria_label`` for ``aria-label``.

    True writes an attribute without a value; False and None leave it out.
    """
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        written += f" {attribute}" if value is True else f' {attribute}="{escape(str(value))}"'
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Children one after the other, escaped unless they are markup; None is nothing."""
    parts = (child if isinstance(child, Markup) else escape(child) for child in children if child)
    return Markup("".join(parts))
