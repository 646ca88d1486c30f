"""The pages inside a host's own base template, as docs/how-to/own-pages.md shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client, override_settings
from django.urls import reverse

from tests.web.markup import page_of, text_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "own-pages.md"
YOURS = """<!doctype html><html lang="en"><head><title>{% block TITLE %}Acme{% endblock %}</title>
{% block extra_head %}{% endblock %}</head><body><main>{% block content %}{% endblock %}</main></body></html>"""


def recipe() -> str:
    blocks: list[str] = re.findall(r"^```html\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    (found,) = [block for block in blocks if "yours.html" in block]
    return found


@pytest.fixture(params=["title", "page_title"])
def own_base(request: Any, tmp_path: Path) -> Any:
    """The host's base template, and the documented one that puts the pages into it."""
    own = recipe()
    if request.param != "title":
        own += f"{{% block {request.param} %}}{{% block title %}}{{% endblock %}}{{% endblock %}}"
    (tmp_path / "opentrain").mkdir()
    (tmp_path / "opentrain" / "base.html").write_text(own)
    (tmp_path / "yours.html").write_text(YOURS.replace("TITLE", request.param))
    templates = [{**django_settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    with override_settings(TEMPLATES=templates):
        yield


@pytest.mark.usefixtures("own_base")
def test_title_style_navigation_and_notices_stay(boss: Client) -> None:
    page = page_of(boss.get(reverse("opentrain:home"), {"done": "disconnected"}))
    (title,) = page.all("title")
    assert title.text.strip() == "Overview"
    hrefs = [element.attributes.get("href", "") for element in page.all("link", "a")]
    assert any(href.endswith(".css") for href in hrefs)
    assert reverse("opentrain:contracts") in hrefs
    assert any(script.attributes["src"].endswith(".js") for script in page.all("script"))
    assert "Disconnected." in text_of(boss.get(reverse("opentrain:home"), {"done": "disconnected"}))


@pytest.mark.usefixtures("own_base")
def test_the_browser_is_forwarded(boss: Client) -> None:
    boss.cookies["csrftoken"] = "c" * 32
    response = boss.post(reverse("opentrain:connect"), {"csrfmiddlewaretoken": "c" * 32})
    assert b'<meta http-equiv="refresh" content="0;url=https://app.opentrain.test/' in response.content


@pytest.mark.usefixtures("own_base")
def test_pages_for_others_have_no_links_to_the_customers(client: Client) -> None:
    page = page_of(client.post(reverse("opentrain:connect")))
    assert reverse("opentrain:contracts") not in [element.attributes.get("href") for element in page.all("a")]
