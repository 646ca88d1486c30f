"""Consent: which redirects are allowed, what a grant creates, what a disconnect ends.

Source: platform-api, "Consent". Reconnecting revokes the old install, as the documentation implies.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from django_opentrain.platform import catalog
from django_opentrain.sandbox.events import emit, revoked_content
from django_opentrain.sandbox.models import INSTALL_REVOKED, App, Install, Organization, Token, new_id
from django_opentrain.sandbox.schema import is_web_url
from django_opentrain.sandbox.store import Store

SLUG = re.compile(r"[a-z0-9-]{1,50}")

#: As a registered URI's port: any port. An extension of the sandbox, for hosts on changing ports.
ANY_PORT = ":*"

#: Where a new app may return to: any port of this machine.
LOCAL_REDIRECTS = [
    f"{scheme}://{host}{ANY_PORT}" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1")
]

#: How many redirect URIs OpenTrain registers for an app.
MAX_REDIRECT_URIS = 10


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A fresh grant. The token exists here and nowhere else: it can't be shown again."""

    install: Install
    install_id: str
    token: str = field(repr=False)
    return_url: str | None


def token_digest(token: str) -> str:
    """What the sandbox keeps of a token."""
    return hashlib.sha256(token.encode("utf-8", errors="backslashreplace")).hexdigest()


def grant(
    store: Store, app: App, organization: Organization, scopes: Sequence[str], pii_consent: bool, site: str
) -> tuple[Install, str]:
    """A new install with its token; an earlier one of the two is revoked."""
    for earlier in store.owned(Install, organization.id):
        live = earlier.app_slug == app.slug and earlier.status == catalog.INSTALL_ACTIVE
        if live and (store.readings.reconnect == "any-site" or earlier.site == site):
            revoke(store, earlier, "reconnected")
    install = Install(
        id=new_id("ins"),
        app_slug=app.slug,
        organization_id=organization.id,
        scopes=[*scopes],
        pii_consent=pii_consent,
        created_at=store.clock.now(),
        site=site,
    )
    store.put(install)
    value = catalog.TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = Token(
        id=new_id("tok"),
        install_id=install.id,
        name=f"{app.name} for {organization.name}",
        digest=token_digest(value),
        scopes=[*scopes],
    )
    store.put(token)
    return install, value


def revoke(store: Store, install: Install, reason: str) -> None:
    """End an install: its token dies, and ``install.revoked`` is the last event of its endpoints."""
    now = store.clock.now()
    install.status = INSTALL_REVOKED
    install.revoked_at = now
    store.put(install)
    for token in store.owned(Token, install.id):
        token.revoked_at = now
        store.put(token)
    emit(store, install, catalog.INSTALL_REVOKED, revoked_content(store, install, reason))


def return_url(redirect_uri: str | None, parameters: Mapping[str, str | None]) -> str | None:
    """Where the customer goes back to, or None without a ``redirect_uri``. Never has the token.

    Its query keeps what isn't in ``parameters``; those that are None are left out.
    """
    if redirect_uri is None:
        return None
    parts = urlsplit(redirect_uri)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in parameters]
    added = [(key, value) for key, value in parameters.items() if value is not None]
    return urlunsplit(parts._replace(query=urlencode(kept + added)))


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_base_uri(uri: str) -> bool:
    """Whether an app may register ``uri`` to return to."""
    return is_web_url(uri.replace(ANY_PORT, "", 1)) and "#" not in uri


def redirect_allowed(app: App, redirect_uri: str) -> bool:
    """Whether a registered URI has the same origin and a path that ``redirect_uri`` is under."""
    if not is_web_url(redirect_uri) or "#" in redirect_uri or "\\" in redirect_uri:
        return False
    if ".." in unquote(urlsplit(redirect_uri).path).split("/"):
        return False
    return any(_is_under(redirect_uri, registered) for registered in app.redirect_uris)


def _is_under(redirect_uri: str, registered: str) -> bool:
    uri, base = urlsplit(redirect_uri), urlsplit(registered.replace(ANY_PORT, "", 1))
    if (uri.scheme, uri.hostname) != (base.scheme, base.hostname):
        return False
    if ANY_PORT not in registered and _port(redirect_uri) != _port(registered):
        return False
    root = base.path.rstrip("/")
    return uri.path == root or uri.path.startswith(root + "/")


def _port(url: str) -> int | None:
    parts = urlsplit(url)
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)
