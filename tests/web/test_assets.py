"""Our static files, served by ourselves."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from django_opentrain.web.views.assets import ROOT, all_assets, asset_url
from tests.web.markup import page_of


@pytest.mark.parametrize("name", sorted(all_assets()))
def test_a_file_is_kept_for_a_year(client: Client, name: str) -> None:
    response = client.get(asset_url(name))
    assert response.status_code == 200
    assert response.content == (ROOT / name).read_bytes()
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Type"].startswith(("text/css", "text/javascript", "image/svg+xml"))


def test_another_versions_file_is_not_kept(client: Client) -> None:
    url = reverse("opentrain:asset", kwargs={"digest": "0" * 16, "name": "opentrain.css"})
    response = client.get(url)
    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")


@pytest.mark.parametrize("name", ["nothing.css", "..%2Fopentrain.css", "%2e%2e", "opentrain.css%00"])
def test_nothing_else_is_served(client: Client, name: str) -> None:
    assert client.get(f"/opentrain/assets/0/{name}").status_code == 404


def test_it_is_only_read(client: Client) -> None:
    url = asset_url("opentrain.css")
    assert client.head(url).status_code == 200
    assert client.post(url).status_code == 405


def test_the_pages_use_no_file_of_others(boss: Client) -> None:
    page = page_of(boss.get("/opentrain/"))
    links = [
        e.attributes.get("href") or e.attributes.get("src", "") for e in page.all("link", "script", "img")
    ]
    assert len(links) == 4
    assert all(link.startswith("/opentrain/assets/") for link in links)


def test_the_style_brings_nothing_in_and_knows_all_its_colours() -> None:
    style = (ROOT / "opentrain.css").read_text()
    assert not re.search(r"@import|url\(", style)
    declared = set(re.findall(r"(--[a-z-]+):", style))
    used = set(re.findall(r"var\((--[a-z-]+)\)", style))
    assert used <= declared
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = re.compile(r"(--[a-z-]+): #")
    assert set(colours.findall(light)) == set(colours.findall(dark))


def _luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


PAIRS = [
    ("ink", "ground", 4.5),
    ("ink", "surface", 4.5),
    ("ink-soft", "ground", 4.5),
    ("ink-soft", "surface", 4.5),
    ("ink-soft", "sunken", 4.5),
    ("accent", "surface", 4.5),
    ("accent", "ground", 4.5),
    ("accent", "wait-ground", 4.5),
    ("accent", "bad-ground", 4.5),
    ("on-accent", "accent", 4.5),
    ("on-accent", "accent-strong", 4.5),
    ("bad", "surface", 4.5),
    ("line-strong", "surface", 3),
    ("focus", "ground", 3),
    *((tone, f"{tone}-ground", 4.5) for tone in ("ok", "wait", "warn", "bad", "off")),
    *(("ink", f"{tone}-ground", 4.5) for tone in ("ok", "wait", "warn", "bad")),
    *((tone, "sunken", 3) for tone in ("ok", "warn", "bad")),
]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_contrast_is_enough(scheme: int, front: str, back: str, least: float) -> None:
    """WCAG 2.2, 1.4.3 (text: 4.5) and 1.4.11 (what is no text: 3)."""
    style = (ROOT / "opentrain.css").read_text()
    colours = dict(
        re.findall(r"--([a-z-]+): #([0-9a-f]+);", re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme])
    )
    bright, dim = sorted((_luminance(colours[front]), _luminance(colours[back])), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= least
