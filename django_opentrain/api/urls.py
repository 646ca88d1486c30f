"""URLs of the API. Within the package's their names are ``opentrain:api-…``, alone ``opentrain_api:api-…``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from django.apps import apps
from django.urls import URLPattern, path

from django_opentrain.api.permissions import CanManageTenant
from django_opentrain.api.views.contracts import ContractViewSet, GrantViewSet
from django_opentrain.api.views.installs import InstallViewSet
from django_opentrain.api.views.links import ProjectLinkViewSet
from django_opentrain.api.views.usage import UsageViewSet
from django_opentrain.api.views.webhooks import EventViewSet, WebhookEndpointViewSet
from django_opentrain.api.views.work import ObjectionViewSet, WorkViewSet
from django_opentrain.api.viewsets import NothingHere, TenantViewSet

__all__ = ["CanManageTenant", "api_urls", "app_name", "nothing_here", "urlpatterns"]

app_name = "opentrain_api"

Route = tuple[str, type[TenantViewSet], dict[str, str], str]

LIST, ROW = {"get": "list"}, {"get": "retrieve"}
LINK_CHANGES = {"patch": "partial_update", "delete": "destroy"}


def _actions(resource: str, view: type[TenantViewSet], *actions: str) -> Iterator[Route]:
    """What is done with one row: a POST to ``installs/<pk>/confirm-removals/`` is ``confirm_removals``."""
    for action in actions:
        part = action.replace("_", "-")
        yield f"{resource}/<int:pk>/{part}/", view, {"post": action}, f"{resource.removesuffix('s')}-{part}"


ROUTES: tuple[Route, ...] = (
    ("installs/", InstallViewSet, LIST, "install-list"),
    ("installs/connect/", InstallViewSet, {"post": "connect"}, "install-connect"),
    ("installs/token/", InstallViewSet, {"post": "token"}, "install-token"),
    ("installs/<int:pk>/", InstallViewSet, ROW, "install-detail"),
    *_actions("installs", InstallViewSet, "verify", "disconnect", "reconcile", "confirm_removals"),
    ("project-links/", ProjectLinkViewSet, LIST | {"post": "create"}, "project-link-list"),
    ("project-links/<int:pk>/", ProjectLinkViewSet, ROW | LINK_CHANGES, "project-link-detail"),
    ("contracts/", ContractViewSet, LIST, "contract-list"),
    ("contracts/<int:pk>/", ContractViewSet, ROW, "contract-detail"),
    ("contracts/<int:pk>/participants/", ContractViewSet, {"get": "participants"}, "contract-participants"),
    ("contracts/<int:pk>/budget/", ContractViewSet, {"get": "budget"}, "contract-budget"),
    ("contracts/<int:pk>/usage/", UsageViewSet, LIST | {"post": "create"}, "contract-usage"),
    ("contracts/<int:pk>/work/", WorkViewSet, LIST, "contract-work"),
    ("contracts/<int:pk>/objections/", ObjectionViewSet, LIST, "contract-objections"),
    *_actions("grants", GrantViewSet, "retry", "give_again", "use_account", "invite"),
    ("webhook-endpoints/", WebhookEndpointViewSet, LIST, "webhook-endpoint-list"),
    ("webhook-endpoints/<int:pk>/", WebhookEndpointViewSet, ROW, "webhook-endpoint-detail"),
    *_actions("webhook-endpoints", WebhookEndpointViewSet, "recover", "pause", "rotate", "redeliver"),
    ("events/", EventViewSet, LIST, "event-list"),
    ("events/<int:pk>/", EventViewSet, ROW, "event-detail"),
    *_actions("events", EventViewSet, "replay"),
)


def api_urls(*policies: type) -> list[URLPattern]:
    """The API's URL patterns, with ``policies`` mixed into each view.

    A policy is a plain class whose attributes replace those of ``base.TenantViewSet``: ``authentication_classes``,
    ``permission_classes``, ``throttle_classes``.
    """
    made: dict[type[TenantViewSet], type[TenantViewSet]] = {}
    patterns = []
    for route, view, actions, name in ROUTES:
        if view not in made:
            made[view] = type(view.__name__, (*policies, view), {}) if policies else view
        patterns.append(path(route, made[view].as_view(actions), name=f"api-{name}"))
    return patterns


urlpatterns = api_urls()

#: For every other URL below the API's own, so that a mistyped one is answered in JSON, too.
nothing_here = NothingHere.as_view(dict.fromkeys(NothingHere.http_method_names, "answer"))

if apps.is_installed("drf_spectacular"):
    # An optional extra: it describes the views in a module of its own.
    import_module("django_opentrain.api.schema")
