"""What all pages share: the frame, the headers, and small pieces."""

from __future__ import annotations

from datetime import datetime

from django_opentrain.sandbox.http import Response
from django_opentrain.sandbox.pages.html import Markup, join, tag

STYLESHEET = "/static/sandbox.css"


def page(
    title: str, *content: Markup, status: int = 200, wide: bool = False, form_target: str = ""
) -> Response:
    """A whole page.

    :param form_target: one more origin that its forms may lead to.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · OpenTrain sandbox"),
        tag("link", rel="stylesheet", href=STYLESHEET),
    )
    brand = tag("a", "OpenTrain ", tag("span", "sandbox"), href="/", class_="brand")
    note = "A local stand-in for tests and demos. Nothing here reaches OpenTrain."
    body = tag(
        "body",
        tag("header", brand, tag("p", note), class_="top"),
        tag("main", *content, class_="wide" if wide else "narrow"),
    )
    html = join(Markup("<!doctype html>"), tag("html", head, body, lang="en"))
    # Chromium applies form-action to where a form's answer redirects to, so a decline needs it.
    policy = (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {form_target}".rstrip()
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    return Response(status=status, headers=headers, body=html.encode())


def redirect(location: str) -> Response:
    """303: look there, with GET."""
    headers = {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    return Response(status=303, headers=headers, body=b"")


def error_page(status: int, title: str, message: str) -> Response:
    return page(title, tag("h1", title), tag("p", message, class_="notice bad"), status=status)


def badge(text: str) -> Markup:
    """A status word, coloured by what it means."""
    good = {"ACTIVE", "OK", "active", "DELIVERED", "on", "ACTIVE_FUNDED"}
    bad = {"REVOKED", "DISABLED", "FAILED", "DEPLETED", "off"}
    kind = "good" if text in good else "bad" if text in bad else "mild"
    return tag("span", text, class_=f"badge {kind}")


def when(moment: str) -> Markup:
    """A time in OpenTrain's form (:func:`.clock.iso`), as people read it."""
    read = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return tag("time", f"{read.day} {read:%b %Y, %H:%M} UTC", datetime=moment, title=moment)


def happened(what: str, moment: str | None) -> Markup:
    """A small line that says when; nothing if it didn't happen."""
    return tag("p", f"{what} ", when(moment), class_="aside") if moment else join()


def ids(**known: str | None) -> Markup:
    """The ids of a row, folded away: names come first."""
    lines = [tag("p", f"{name} ", tag("code", value)) for name, value in known.items() if value]
    return tag("details", tag("summary", "Ids"), *lines, class_="ids")


#: The cells of a row, by column. The first names it.
Row = tuple[str | None, ...]


def table(caption: str, columns: tuple[str, ...], rows: list[Row], empty: str) -> Markup:
    """A table, or a sentence when it has no rows.

    Where it is too wide it has its own scroll bar; on a small screen each row is a card, with the column's name
    beside each value.
    """
    if not rows:
        return tag("p", empty, class_="empty")
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", *(tag("th", column, scope="col") for column in columns))),
            tag("tbody", *(_row(columns, cells) for cells in rows)),
        ),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=caption,
    )


def _row(columns: tuple[str, ...], cells: Row) -> Markup:
    name, *others = cells
    values = (
        tag("td", tag("div", cell), data_label=column)
        for column, cell in zip(columns[1:], others, strict=True)
    )
    return tag("tr", tag("th", name, scope="row"), *values)


def section(anchor: str, title: str, *content: Markup | None) -> Markup:
    return tag("section", tag("h2", title), *content, id=anchor)


def field(label: str, control: Markup) -> Markup:
    return tag("label", tag("span", label), control)


def text_input(name: str, *, value: str = "", kind: str = "text", required: bool = True) -> Markup:
    step = "any" if kind == "number" else None
    return tag(
        "input",
        type=kind,
        name=name,
        value=value,
        required=required,
        step=step,
        min="0" if step else None,
        autocomplete="off",
    )


def select(name: str, options: list[tuple[str, str]]) -> Markup:
    """``options``: value and text of each."""
    return tag("select", *(tag("option", text, value=value) for value, text in options), name=name)


def action(verb: str, button: str, *fields: Markup, section: str, **hidden: str) -> Markup:
    """A form that does one of the control API's verbs and comes back to ``section``."""
    kept = [tag("input", type="hidden", name=key, value=value) for key, value in hidden.items()]
    return tag(
        "form",
        *kept,
        *fields,
        tag("button", button, type="submit"),
        method="post",
        action=f"/control/{verb}?section={section}",
        class_="inline",
    )
