"""A browser without a screen: it keeps cookies, follows redirects and links, and fills in forms that it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

#: Seconds. A busy machine's first answer can take its time.
TIMEOUT: Final = 60.0
#: Elements that have no end.
_EMPTY: Final = frozenset({"input", "br", "img", "meta", "link", "hr", "source", "wbr"})
#: Elements within a line. All others part the words before them from those in them.
_INLINE: Final = frozenset({"a", "b", "code", "em", "i", "small", "span", "strong", "time", "wbr"})


class Unexpected(Exception):  # noqa: N818 - says what it is
    """A page differs from what is expected."""


@dataclass
class Form:
    """A form as it was received: its action, its values, and its buttons."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    #: Names of what can be ticked or typed, also what is not filled in.
    names: set[str] = field(default_factory=set)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    #: By the name of each select: its options as (value, text).
    options: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


@dataclass
class Page:
    """What a browser shows, as far as the demo needs it."""

    url: str
    status: int
    text: str = ""
    forms: list[Form] = field(default_factory=list)
    #: By id: the text of an element, and its href.
    elements: dict[str, str] = field(default_factory=dict)
    hrefs: dict[str, str] = field(default_factory=dict)
    #: By the text of a link: its href.
    links: dict[str, str] = field(default_factory=dict)

    def form(self, *names: str, action: str = "") -> Form:
        """The first form that has these fields and whose action has ``action`` in it. Raises ``Unexpected``."""
        for form in self.forms:
            if set(names) <= form.names and action in form.action:
                return form
        raise Unexpected(f"{self.url} has no form with {names or action}: {self.text[:300]}")

    def expect(self, *texts: str) -> Page:
        """The page itself, if it has all these texts. Raises ``Unexpected``."""
        for text in texts:
            if text not in self.text:
                raise Unexpected(f"{self.url} ({self.status}) doesn't say {text!r}: {self.text[:300]}")
        return self


class _Reader(HTMLParser):
    """Reads a page."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self._form: Form | None = None
        self._select = ""
        self._option: tuple[str, bool] | None = None
        self._link: tuple[str, int] | None = None
        self._open: list[str] = []
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag not in _INLINE:
            self.handle_data(" ")
        if tag not in _EMPTY:
            self._open.append(attributes.get("id", ""))
        if "id" in attributes:
            self.page.elements[attributes["id"]] = ""
            if "href" in attributes:
                self.page.hrefs[attributes["id"]] = urljoin(self.page.url, attributes["href"])
        if tag == "a" and "href" in attributes:
            self._link = (urljoin(self.page.url, attributes["href"]), len(self._words))
        elif tag == "form":
            action = urljoin(self.page.url, attributes.get("action") or self.page.url)
            self._form = Form(action, attributes.get("method", "get").lower())
            self.page.forms.append(self._form)
        elif self._form is not None:
            self._read_field(self._form, tag, attributes)

    def _read_field(self, form: Form, tag: str, attributes: dict[str, str]) -> None:
        name, value = attributes.get("name", ""), attributes.get("value", "")
        kind = attributes.get("type", "text")
        if tag == "button":
            form.buttons.append((name, value))
        elif tag in ("input", "textarea", "select") and name:
            form.names.add(name)
            self._select = name if tag == "select" else ""
            ticked = kind not in ("checkbox", "radio") or "checked" in attributes
            if tag == "input" and kind != "submit" and ticked:
                form.fields[name] = value
        elif tag == "option" and self._select:
            self._option = (value, "selected" in attributes)
            form.options.setdefault(self._select, [])

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._link is not None:
            href, start = self._link
            self.page.links.setdefault(" ".join("".join(self._words[start:]).split()), href)
        elif tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "option":
            self._option = None
        if self._open and tag not in _EMPTY:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._words.append(data)
        for identity in filter(None, self._open):
            self.page.elements[identity] += data
        if self._option is not None and self._form is not None:
            value, selected = self._option
            options = self._form.options[self._select]
            options.append((value, data.strip()))
            if selected or len(options) == 1:
                self._form.fields[self._select] = value

    def finish(self) -> Page:
        self.page.text = " ".join("".join(self._words).split())
        self.page.elements = {key: " ".join(text.split()) for key, text in self.page.elements.items()}
        return self.page


def read(page: Page, html: str) -> Page:
    """The page that ``html`` describes."""
    reader = _Reader(page)
    reader.feed(html)
    return reader.finish()


class _Unpooled(HTTPAdapter):
    """A connection for each request. Where one is kept, a server may close it just as it is reused.

    Django's own server does that after each request that says ``Connection: close``, without saying so itself.
    """

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.poolmanager.clear()
        return super().send(*args, **kwargs)


class Browser:
    """One person's browser."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.headers["Connection"] = "close"
        self._session.mount("http://", _Unpooled())
        # The environment's proxies are not for 127.0.0.1.
        self._session.trust_env = False
        self.page = Page("about:blank", 0)

    def close(self) -> None:
        self._session.close()

    def open(self, url: str) -> Page:
        """Go to ``url``, relative to the current page."""
        return self._go("GET", urljoin(self.page.url, url))

    def submit(self, form: Form, button: str | None = None, **values: str) -> Page:
        """Send a form with these fields filled in, by the button of that value."""
        data = {**form.fields, **values}
        unknown = set(values) - form.names
        if unknown:
            raise Unexpected(f"{self.page.url}: the form has no field {unknown}.")
        if button is not None:
            data.update(self._button(form, button))
        return self._go(form.method.upper(), form.action, data)

    def call(self, method: str, url: str, body: object = None) -> Any:
        """One call of an API, in this browser's session, as a page's script makes it. Raises ``Unexpected``."""
        headers = {"X-CSRFToken": self._session.cookies.get("csrftoken", ""), "Referer": url}
        response = self._session.request(method, url, json=body, headers=headers, timeout=TIMEOUT)
        if not response.ok:
            raise Unexpected(f"{url} answers {response.status_code}: {response.text[:300]}")
        return response.json()

    def _button(self, form: Form, wanted: str) -> dict[str, str]:
        pressed = {name: value for name, value in form.buttons if value == wanted}
        if not pressed:
            raise Unexpected(f"{self.page.url}: the form has no button {wanted!r}.")
        return pressed

    def _go(self, method: str, url: str, data: dict[str, str] | None = None) -> Page:
        headers = {"Accept": "text/html"}
        if method == "POST":
            here = urlsplit(self.page.url)
            headers |= {"Origin": f"{here.scheme}://{here.netloc}", "Referer": self.page.url}
        sent = {"params": data} if method == "GET" else {"data": data}
        response = self._session.request(method, url, headers=headers, timeout=TIMEOUT, **sent)  # type: ignore[arg-type] # one of two keywords
        self.page = read(Page(response.url, response.status_code), response.text)
        return self.page
