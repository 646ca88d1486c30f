"""unfold's admin site under a strict policy: its Alpine evaluates expressions, and sets styles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from unfold.sites import UnfoldAdminSite

POLICY: Final = {
    **settings.SECURE_CSP,
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "font-src": [CSP.SELF],
}


class AdminSite(UnfoldAdminSite):  # type: ignore[misc] # untyped
    """Relaxes the policy of its own pages only."""

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Callable[..., Any]:
        shown: Callable[..., Any] = super().admin_view(view, cacheable)
        return csp_override(POLICY)(shown)
