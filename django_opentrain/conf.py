"""The one ``OPENTRAIN`` dict of a site's settings: its keys, defaults and types.

Values are read at every access, so ``override_settings(OPENTRAIN={...})`` works. What a value has to look
like is said by the system checks (``checks.py``); a key that is missing and has no default raises
``ImproperlyConfigured`` where it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from django.utils.translation import override

from django_opentrain.platform import catalog

SETTING: Final = "OPENTRAIN"

REQUIRED: Final = ("APP_SLUG", "ENCRYPTION_KEYS", "PUBLIC_URL")

DEFAULTS: Final[Mapping[str, Any]] = {
    "ADAPTER": "django_opentrain.adapters.users.DjangoUsersAdapter",
    "BASE_URL": "https://app.opentrain.ai",
    "SCOPES": catalog.SCOPES,
    "EVENT_TYPES": catalog.EVENT_TYPES,
    "CONNECT_TIMEOUT": 3.05,
    "READ_TIMEOUT": 20,
    "MAX_RETRIES": 3,
    "SIGNATURE_TOLERANCE": 300,
    "MAX_WEBHOOK_BYTES": 262_144,
    "USAGE_TIME_ZONE": "UTC",
    "REVOKE_GRACE": 900,
    "EVENT_RETENTION_DAYS": 30,
    "PII_RETENTION_DAYS": 30,
    "REMOVAL_BREAKER": 0.5,
    "DISPATCH": "celery",
}

#: A breaker needs a handful of grants before a share of them means anything.
REMOVAL_BREAKER_MINIMUM: Final = 5


class OpenTrainSettings:
    """Typed access to ``settings.OPENTRAIN``."""

    def __getitem__(self, key: str) -> Any:
        configured = getattr(django_settings, SETTING, {})
        if key in configured:
            return configured[key]
        if key in DEFAULTS:
            return DEFAULTS[key]
        raise ImproperlyConfigured(f"Add {key!r} to the {SETTING} setting (see docs/settings.md).")

    @property
    def app_slug(self) -> str:
        """The immutable slug of the platform app that is registered with OpenTrain."""
        return str(self["APP_SLUG"])

    @property
    def encryption_keys(self) -> tuple[str, ...]:
        """Fernet keys: the first encrypts, all decrypt."""
        return tuple(self["ENCRYPTION_KEYS"])

    @property
    def public_url(self) -> str:
        """The site's public origin, without a slash at its end."""
        return str(self["PUBLIC_URL"]).rstrip("/")

    @property
    def adapter(self) -> str:
        """Dotted path of the host's adapter class."""
        return str(self["ADAPTER"])

    @property
    def base_url(self) -> str:
        """OpenTrain's origin, without a slash at its end."""
        return str(self["BASE_URL"]).rstrip("/")

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the platform app asks for."""
        return tuple(self["SCOPES"])

    @property
    def event_types(self) -> tuple[str, ...]:
        """The event types that webhook endpoints subscribe to."""
        return tuple(self["EVENT_TYPES"])

    @property
    def connect_timeout(self) -> float:
        """Seconds to wait for a connection to OpenTrain."""
        return float(self["CONNECT_TIMEOUT"])

    @property
    def read_timeout(self) -> float:
        """Seconds to wait for OpenTrain's next bytes."""
        return float(self["READ_TIMEOUT"])

    @property
    def max_retries(self) -> int:
        """How often a safe call is tried again."""
        return int(self["MAX_RETRIES"])

    @property
    def signature_tolerance(self) -> int:
        """Seconds by which a webhook's timestamp may differ from our clock."""
        return int(self["SIGNATURE_TOLERANCE"])

    @property
    def max_webhook_bytes(self) -> int:
        """The longest webhook body that is read."""
        return int(self["MAX_WEBHOOK_BYTES"])

    @property
    def usage_time_zone(self) -> str:
        """IANA name of the time zone whose midnight separates work days."""
        return str(self["USAGE_TIME_ZONE"])

    @property
    def revoke_grace(self) -> int:
        """Seconds between ``install.revoked`` and the removal of the access it paid for."""
        return int(self["REVOKE_GRACE"])

    @property
    def event_retention_days(self) -> int:
        """Days for which the body of a processed event is kept."""
        return int(self["EVENT_RETENTION_DAYS"])

    @property
    def pii_retention_days(self) -> int:
        """Days for which names and Work Emails are kept after the end of a contract."""
        return int(self["PII_RETENTION_DAYS"])

    @property
    def removal_breaker(self) -> float:
        """The share of an install's grants that one reconcile may remove."""
        return float(self["REMOVAL_BREAKER"])

    @property
    def dispatch(self) -> str:
        """``"celery"`` wakes workers by Celery; ``"none"`` leaves all to sweeps and ``opentrain_work``."""
        return str(self["DISPATCH"])

    def view_url(self, name: str, **arguments: object) -> str:
        """The public URL of the view ``opentrain:<name>``, the same in every language.

        Under ``i18n_patterns`` a path begins with the language of whoever asks. OpenTrain compares a redirect URI
        with a registered one, and we compare an endpoint's URL with the one it has there.
        """
        with override(django_settings.LANGUAGE_CODE):
            return self.absolute_url(reverse(f"opentrain:{name}", kwargs=arguments))

    def absolute_url(self, path: str) -> str:
        """The public URL of ``path`` (a path that ``reverse()`` made) on this site.

        ``ALLOWED_HOSTS`` is ``["*"]`` on real platforms: a URL must never come from a request's Host header.
        """
        origin = urlsplit(self.public_url)
        return f"{origin.scheme}://{origin.netloc}{path}"


conf = OpenTrainSettings()
