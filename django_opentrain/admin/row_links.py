"""Links to the pages of other rows, for those who may view them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.contrib.auth import get_permission_codename
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html


class RowLinks:
    """The rows' pages on this admin site that the user of this request may view."""

    def __init__(self, site: AdminSite, request: HttpRequest) -> None:
        self._site = site
        self._user: Any = request.user

    def lead_to(self, model: type[models.Model]) -> bool:
        """Whether the site has this model's pages, and the user the permission."""
        opts = model._meta
        names = (get_permission_codename(kind, opts) for kind in ("view", "change"))
        allowed = any(self._user.has_perm(f"{opts.app_label}.{name}") for name in names)
        return allowed and self._site.is_registered(model)

    def list_url(self, model: type[models.Model], **lookups: object) -> str:
        """The list of this model's rows, narrowed by these lookups. Only where they can be viewed."""
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        return f"{reverse(name, current_app=self._site.name)}?{urlencode(lookups)}"

    def add_url(self, model: type[models.Model]) -> str:
        """The page on which a row of the model is made; "" where the user may not."""
        opts = model._meta
        permission = f"{opts.app_label}.{get_permission_codename('add', opts)}"
        if not self._site.is_registered(model) or not self._user.has_perm(permission):
            return ""
        name = f"admin:{opts.app_label}_{opts.model_name}_add"
        return reverse(name, current_app=self._site.name)

    def url(self, model: type[models.Model], key: object) -> str:
        """The page of the row with this primary key; "" where none can be viewed."""
        if not self.lead_to(model):
            return ""
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        return reverse(name, args=[quote(str(key))], current_app=self._site.name)


def user_link(row: Any, user: Any, name: str) -> str:
    """A user's name, with a link to their page where the reader of ``row`` may view it."""
    url = row.row_links.url(type(user), user.pk)
    return format_html('<a href="{}">{}</a>', url, name) if url else name
