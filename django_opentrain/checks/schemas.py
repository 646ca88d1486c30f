"""django-tenants: a schema of PostgreSQL for each customer of the site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage

from django_opentrain.checks.messages import CheckId, configured, message

_APP: Final = "django_opentrain"


def check_schemas(**_options: Any) -> list[CheckMessage]:
    """Our tables are in the schema that all customers share, and so are the users to whom they refer."""
    return list(_misplaced(_of_tenants())) if configured() else []


#: With [django-tenants](docs/how-to/recipes.md#subdomains-django-tenants), `django_opentrain` or the app of
#: your user model is in `TENANT_APPS` (or in a type of `TENANT_TYPES` other than `public`). Then each tenant
#: has tables of their own. But a delivery, a worker and the return from OpenTrain belong to no tenant until
#: our tables say to which, and the tables refer to users. Name both apps in `SHARED_APPS` alone, and run
#: `migrate_schemas --shared`. To name them in both lists is no way out: within a tenant, the tenant's own,
#: empty tables come first.
E036: Final = CheckId("E036")


def _misplaced(names: set[str]) -> Iterator[CheckMessage]:
    hint = "Name it in SHARED_APPS alone (in TENANT_TYPES: under 'public' alone), and run migrate_schemas --shared."
    if _APP in names:
        text = (
            "django_opentrain is in the schemas of the tenants: deliveries, workers and the consent's return come"
            " without a tenant, and would find none of its rows."
        )
        yield message(E036, text, hint)
    users = get_user_model()
    if users._meta.app_config.name in names:
        text = f"{users._meta.label} is in the schemas of the tenants, and our tables refer to it in the shared one."
        yield message(E036, text, hint)


def _of_tenants() -> set[str]:
    """The apps of which each tenant has tables of their own."""
    entries: list[str] = list(getattr(settings, "TENANT_APPS", ()))
    types: dict[str, Any] = getattr(settings, "TENANT_TYPES", {})
    public = getattr(settings, "PUBLIC_SCHEMA_NAME", "public")
    for name, values in types.items():
        if name != public:
            entries += values.get("APPS", ())
    return set(_names(entries))


def _names(entries: Iterable[str]) -> Iterator[str]:
    """The apps that these entries name, by their modules or by the classes of their configurations."""
    for config in apps.get_app_configs():
        path = f"{type(config).__module__}.{type(config).__qualname__}"
        if any(entry in (config.name, path) for entry in entries):
            yield config.name
