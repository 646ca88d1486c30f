"""What a new sandbox starts with: a platform app, a customer, two jobs."""

from __future__ import annotations

from collections.abc import Sequence

from django_opentrain.platform.catalog import PAY_PER_HOUR, PAY_PER_LABEL
from django_opentrain.sandbox.consent import LOCAL_REDIRECTS
from django_opentrain.sandbox.models import App, Organization
from django_opentrain.sandbox.records import new_app, new_job, new_organization
from django_opentrain.sandbox.store import Store

DEFAULT_APP_SLUG = "annotation-demo"
ORGANIZATION_NAME = "Acme Robotics"


def seed(store: Store, app_slug: str, redirect_uris: Sequence[str]) -> None:
    """Make sure of the app, and of a customer with jobs if there is none yet."""
    with store.transaction():
        app = store.get(App, app_slug)
        if app is None:
            name = app_slug.replace("-", " ").title()
            app = new_app(store, app_slug, name, LOCAL_REDIRECTS)
        app.redirect_uris = list(dict.fromkeys([*app.redirect_uris, *redirect_uris]))
        store.put(app)
        if not store.all(Organization):
            organization = new_organization(store, ORGANIZATION_NAME)
            new_job(store, organization, "Invoice entity labelling", PAY_PER_HOUR)
            new_job(store, organization, "Street scene boxes", PAY_PER_LABEL)
