"""Tags of our pages in Django's admin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import template
from django.forms import Media
from django.template.context import Context

from django_opentrain.web.presenters import overview
from django_opentrain.web.stylesheets import admin_media

register = template.Library()


@register.simple_tag
def opentrain_admin_media() -> Media:
    """The stylesheet of our pages."""
    return admin_media()


@register.inclusion_tag("admin/django_opentrain/overview.html", takes_context=True)
def opentrain_overview(context: Context) -> dict[str, Any]:
    """The operators' overview, of the models whose lists this admin site shows to this user (its ``app_list``)."""
    return {"overview": overview.describe(_lists(context.get("app_list") or ()))}


def _lists(apps: Iterable[Mapping[str, Any]]) -> overview.Lists:
    models = [model for app in apps for model in app["models"]]
    return {model["model"]: model["admin_url"] for model in models if model.get("admin_url")}
