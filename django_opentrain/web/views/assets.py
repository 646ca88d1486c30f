"""Our few static files, served from the package itself.

If a host has not run ``collectstatic``, our pages would have no style. The content's hash is in the URL, so that a
browser caches a file for a year and never uses an old one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from django_opentrain.view_decorators import never_atomic, open_to_anonymous

if TYPE_CHECKING:
    from django.http import HttpRequest

ROOT: Final = Path(__file__).resolve().parents[2] / "static" / "opentrain"
CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file, and the hash by which its URL names it."""

    content: bytes
    content_type: str
    digest: str


@lru_cache(maxsize=1)
def all_assets() -> dict[str, Asset]:
    """Every file that we serve, by name. They are few and small, so they are kept in memory."""
    return {
        path.name: _load(path)
        for path in sorted(ROOT.iterdir())
        if path.is_file() and path.suffix in CONTENT_TYPES
    }


def _load(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, CONTENT_TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:16])


def asset_url(name: str) -> str:
    """The URL path of one of our files. Raises ``KeyError`` for an unknown name."""
    return reverse("opentrain:asset", kwargs={"digest": all_assets()[name].digest, "name": name})


@open_to_anonymous
@never_atomic
@require_safe
def serve(_request: HttpRequest, digest: str, name: str) -> HttpResponse:
    """One file. During a deployment a request may have another version's hash: that response isn't cached."""
    asset = all_assets().get(name)
    if asset is None:
        raise Http404
    current = digest == asset.digest
    return HttpResponse(
        asset.content,
        content_type=asset.content_type,
        headers={
            "Cache-Control": "public, max-age=31536000, immutable" if current else "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )
