"""What a new sandbox starts with: a platform app, a customer, two jobs."""

from __future__ import annotations

from collections.abc import Sequence

from django_opentrain.platform.catalog import PAY_PER_HOUR, PAY_PER_LABEL
from django_opentrain.sandbox.actions import create_job, create_organization
from django_opentrain.sandbox.consent import ANY_PORT
from django_opentrain.sandbox.models import App, Organization, new_id
from django_opentrain.sandbox.store import Store

DEFAULT_APP_SLUG = "annotation-demo"
ORGANIZATION_NAME = "Acme Robotics"
LOCAL_REDIRECTS = [
    f"{scheme}://{host}{ANY_PORT}" for scheme in ("http", "https") for host in ("localhost", "127.0.0.1")
]


def seed(store: Store, app_slug: str, redirect_uris: Sequence[str]) -> None:
    """Make sure of the app, and of a customer with jobs if there is none yet."""
    with store.transaction():
        app = store.get(App, app_slug)
        if app is None:
            name = app_slug.replace("-", " ").title()
            app = create_app(store, app_slug, name, LOCAL_REDIRECTS)
        app.redirect_uris = list(dict.fromkeys([*app.redirect_uris, *redirect_uris]))
        store.put(app)
        if not store.all(Organization):
            organization = create_organization(store, ORGANIZATION_NAME)
            create_job(store, organization, "Invoice entity labelling", PAY_PER_HOUR)
            create_job(store, organization, "Street scene boxes", PAY_PER_LABEL)


def create_app(store: Store, slug: str, name: str, redirect_uris: Sequence[str]) -> App:
    """Register a platform app with all scopes."""
    with store.transaction():
        app = App(slug=slug, name=name, client_id=new_id("ptnapp"), redirect_uris=[*redirect_uris])
        store.put(app)
        return app
