"""Base classes of the admin pages: rows are viewed and operated on, never edited.

OpenTrain or the services own them: an edited row would no longer be true. Adding, changing and deleting are therefore
disabled (deleting would lose the record of who has access), and operators use actions. Those need the model's
``change`` permission; the gravest kinds have permissions of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.auth import get_permission_codename
from django.core.paginator import Paginator
from django.db import models
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from django_opentrain.admin import looks, services
from django_opentrain.admin.columns import EMPTY
from django_opentrain.admin.customers import customer_name, name_customers
from django_opentrain.admin.row_links import RowLinks
from django_opentrain.admin.searching import search
from django_opentrain.admin.timelines import Timeline
from django_opentrain.models import Install
from django_opentrain.view_decorators import keep_csrf_checks, never_atomic
from django_opentrain.web.stylesheets import admin_media

#: Rows of an inline: the page of a customer with 100,000 contracts must open, too.
INLINE_ROWS: Final = 20
#: Rows of a long table that its list counts, and shows.
MAX_COUNTED: Final = 5000
#: More than a primary key can have.
MAX_DIGITS: Final = 19


class BoundedPaginator(Paginator):  # type: ignore[type-arg] # not generic at run time
    """Counts no more rows than anyone turns over: of a table with millions the count alone would take seconds."""

    @cached_property
    def _counted(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment] # the admin's
        return rows.order_by()[: MAX_COUNTED + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self._counted, MAX_COUNTED)

    @property
    def has_more(self) -> bool:
        """Whether there are rows that it doesn't count."""
        return self._counted > MAX_COUNTED


class OpenTrainAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not generic at run time
    """A model that can be searched, viewed and operated on."""

    #: The path from a row to its customer, for lists that show it.
    tenant_path = ""
    #: Whether rows may be deleted by users with the permission: only if no record of access is lost.
    deletable = False
    change_form_template = "admin/django_opentrain/change_form.html"
    list_per_page = 50
    empty_value_display = EMPTY
    paginator = BoundedPaginator
    # On large tables a page's second count costs more than its rows, and each choice of a filter would be counted.
    show_full_result_count = False
    show_facets: ClassVar[Any] = getattr(admin, "ShowFacets", None) and admin.ShowFacets.NEVER

    @property
    def media(self) -> forms.Media:
        """With our stylesheet."""
        return super().media + admin_media()

    def has_add_permission(self, _request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self.deletable and super().has_delete_permission(request, obj)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether this user may run the actions that need no permission of their own kind."""
        return self.may(request, get_permission_codename("change", self.opts))

    def has_change_access_permission(self, request: HttpRequest) -> bool:
        """Whether this user may decide who has access."""
        return self.may(request, "change_access")

    def has_disconnect_permission(self, request: HttpRequest) -> bool:
        """Whether this user may end a customer's connection."""
        return self.may(request, "disconnect")

    def has_rotate_secret_permission(self, request: HttpRequest) -> bool:
        """Whether this user may replace the secrets of webhook endpoints."""
        return self.may(request, "rotate_secret")

    def may(self, request: HttpRequest, codename: str) -> bool:
        """Whether this user has this permission of our app."""
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.{codename}"))

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The whole term is looked for, not its words."""
        if search_term:
            queryset = search(queryset, self.get_search_fields(request), search_term)
        return queryset, False

    @keep_csrf_checks
    @never_atomic
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list; it also runs the actions."""
        response = super().changelist_view(request, extra_context)
        if changes := (getattr(response, "context_data", None) or {}).get("cl"):
            self.complete_rows(request, changes.result_list)
        return response

    def complete_rows(self, request: HttpRequest, rows: Iterable[Any]) -> None:
        """Give the rows of a list what is asked for once for all of them."""
        links = RowLinks(self.admin_site, request)
        for row in rows:
            row.row_links = links
        if self.tenant_path:
            name_customers(rows, self.tenant_path)

    @keep_csrf_checks
    @never_atomic
    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The confirmation of a deletion; Django opens a transaction of its own for it."""
        return super().delete_view(request, object_id, extra_context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """A row's page, with a button for each action that applies to it."""
        obj.row_links = RowLinks(self.admin_site, request)
        context["opentrain_actions"] = self.action_buttons(request, obj)
        context["opentrain_button"] = looks.template("action_button.html")
        context |= self.sections(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def sections(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What a row's page has below its fields, by the names in our ``change_form.html``."""
        return {"opentrain_timeline": self.timeline(row, row.row_links)}

    def timeline(self, _row: Any, _links: RowLinks) -> Timeline | None:
        """What happened to a row, and when."""
        return None

    def action_buttons(self, request: HttpRequest, row: models.Model) -> list[tuple[str, Any]]:
        """Name and description of each action that applies to ``row``, and that this user may run."""
        allowed = self.get_actions(request)
        names = (name for name in self.actions or () if isinstance(name, str) and name in allowed)
        actions = {name: getattr(self, name) for name in names}
        this = self.model._default_manager.filter(pk=row.pk)
        return [
            (name, action.short_description)
            for name, action in actions.items()
            if this.filter(action.applies).exists()
        ]

    def rows_link(self, model: type[models.Model], **lookups: Any) -> str:
        """A link to another model's list, filtered by this row.

        Plain text if the admin site doesn't have that model.
        """
        opts = model._meta
        if not self.admin_site.is_registered(model):
            return str(opts.verbose_name_plural)
        url = reverse(
            f"admin:{opts.app_label}_{opts.model_name}_changelist", current_app=self.admin_site.name
        )
        return format_html('<a href="{}?{}">{}</a>', url, urlencode(lookups), opts.verbose_name_plural)


class LatestRowsFormSet(BaseInlineFormSet):  # type: ignore[type-arg] # not generic at run time
    """The first rows of an inline, in its order."""

    @cached_property
    def shown(self) -> QuerySet[Any]:
        rows = super().get_queryset()[:INLINE_ROWS]
        for row in rows:
            # Set here, so that no row has to query it.
            setattr(row, self.fk.name, self.instance)
        return rows

    def get_queryset(self) -> QuerySet[Any]:
        # One evaluated queryset: the admin calls this once per row.
        return self.shown


class LatestRows(admin.TabularInline):  # type: ignore[type-arg] # not generic at run time
    """The newest rows that belong to another."""

    formset = LatestRowsFormSet
    ordering: ClassVar[tuple[str, ...]] = ("-pk",)
    show_change_link = True
    empty_value_display = EMPTY
    can_delete = False
    extra = 0
    max_num = 0

    def has_add_permission(self, _request: HttpRequest, _obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: models.Model | None = None) -> bool:
        return False

    def get_readonly_fields(self, _request: HttpRequest, _obj: models.Model | None = None) -> tuple[str, ...]:
        return tuple(str(name) for name in self.fields or ())


def as_key(value: str) -> int | None:
    """A primary key of a URL; None if it is invalid."""
    return int(value) if value.isascii() and value.isdigit() and len(value) < MAX_DIGITS else None


class AttentionFilter(admin.SimpleListFilter):
    """Rows in one of the named conditions of their model, or in any of them."""

    title = _("attention")
    parameter_name = "attention"

    def lookups(self, _request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        named = [(each.name, each.title) for each in services.conditions.of_model(model_admin.model)]
        return [("yes", _("needs attention")), *named]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        of_model = services.conditions.of_model(queryset.model)
        chosen = [each for each in of_model if self.value() in ("yes", each.name)]
        return queryset.filter(services.conditions.any_of(chosen)) if chosen else queryset


class CustomerFilter(admin.SimpleListFilter):
    """Rows of one install, for links from its page. Not a choice among all customers: they may be thousands."""

    title = _("customer")
    parameter_name = "install"
    #: The lookup from the row to its install.
    path = "install"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, Any]]:
        install = Install.objects.filter(pk=self.key).first() if self.key else None
        return [(str(self.key), customer_name(install.tenant))] if install else []

    @property
    def key(self) -> int | None:
        """The primary key in the URL; None if there is none, or it is invalid."""
        return as_key(self.value() or "")

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.path: self.key}) if self.key else queryset
