"""Actions: requested, confirmed, run row by row, with a result for each row.

Each changes a trainer's access or calls OpenTrain, so each is confirmed on a page that says what it will do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import quote
from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from django_opentrain.admin import history, looks
from django_opentrain.admin.losses import Losses
from django_opentrain.admin.row_links import RowLinks
from django_opentrain.conflicts import retried
from django_opentrain.errors import EXPECTED
from django_opentrain.models import AccessGrant
from django_opentrain.platform.redaction import mask, redact
from django_opentrain.platform.values import as_text
from django_opentrain.transactions import atomic

if TYPE_CHECKING:
    from django_opentrain.admin.base import OpenTrainAdmin
    from django_opentrain.admin.columns import Label

M = TypeVar("M", bound=models.Model)
#: By the methods ``has_…_permission`` of ``OpenTrainAdmin``.
Permission = Literal["operate", "change_access", "disconnect", "rotate_secret"]

#: Rows of one action that calls OpenTrain while the operator waits.
MAX_ROWS: Final = 20
#: Rows that one statement changes.
CHUNK: Final = 500
#: Rows that the confirmation lists by name.
MAX_LISTED: Final = 20
MAX_REASON: Final = 200


class Selection(Generic[M]):
    """The rows that an operator selected. Each that the operation was tried on gets an entry in its history.

    :param label: what the operation is called there.
    :param applies: the condition for rows to which the operation applies.
    :ivar cause: the operator, and their reason if they gave one: a grant stores it as its cause.
    """

    def __init__(
        self,
        model_admin: OpenTrainAdmin,
        request: HttpRequest,
        queryset: QuerySet[M],
        *,
        label: Label,
        applies: Q,
    ) -> None:
        self.request = request
        self._label = label
        self._applies = applies
        self._manager = queryset.model._default_manager
        # Without what a list doesn't need, such as bodies, and with what the rows' names are made of.
        names: Any = model_admin.list_select_related
        rows = model_admin.get_queryset(request)
        # Called without names, it would follow every relation.
        self._named = rows.select_related(*names) if names else rows
        #: What the operator filled in, where the action has a form.
        self.values: dict[str, Any] = {}
        # Read once: an action may remove a row from the filter that selected it.
        self.keys: Sequence[Any] = list(queryset.order_by("pk").values_list("pk", flat=True))
        reason = as_text(request.POST.get("reason", "").strip(), MAX_REASON)
        self.operator = f"operator {request.user.get_username()}"
        self.cause = f"{self.operator}: {reason}" if reason else self.operator

    def each(self, act: Callable[[M], object]) -> int:
        """Call ``act`` for each row to which it applies; returns for how many it succeeded."""
        if len(self.keys) > MAX_ROWS:
            too_many = _("This runs while you wait, for at most %(most)d rows at once: select fewer.")
            messages.error(self.request, too_many % {"most": MAX_ROWS})
            return 0
        rows = self._manager.filter(self._applies, pk__in=self.keys).order_by("pk")
        return sum(self._try(act, row) for row in rows)

    def _try(self, act: Callable[[M], object], row: M) -> bool:
        try:
            act(row)
        except EXPECTED as error:
            failed = _("%(action)s failed: %(error)s")
            self._record([row], failed % {"action": self._label, "error": redact(str(error))})
            messages.error(self.request, mask(f"{row}: {error}"))
            return False
        self._record([row], self._label)
        return True

    def warn(self, row: M, text: str) -> None:
        """Show the operator a warning about ``row``."""
        messages.warning(self.request, mask(f"{row}: {text}"))

    def in_bulk(self, act: Callable[[Any], int]) -> int:
        """Call ``act`` for querysets of the rows to which it applies; returns the sum of what it returns."""
        chunks = (self.keys[start : start + CHUNK] for start in range(0, len(self.keys), CHUNK))
        return sum(self._act_on(chunk, act) for chunk in chunks)

    @retried
    def _act_on(self, keys: Sequence[Any], act: Callable[[Any], int]) -> int:
        with atomic():
            # Locked, so that what is recorded of them is what is done.
            rows = self._manager.filter(self._applies, pk__in=keys).select_for_update()
            applicable = list(rows.order_by("pk").values_list("pk", flat=True))
            done = act(self._manager.filter(pk__in=applicable))
            self._record(self._named.filter(pk__in=applicable).order_by("pk"), self._label)
            return done

    def _record(self, rows: Iterable[M], what: Label) -> None:
        history.record(self.request, rows, f"{what} ({self.cause})")


Run = Callable[[Any, Selection[Any]], int]
Action = Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]


def operation(
    label: Label,
    *,
    consequence: Label,
    applies: Q | None = None,
    permission: Permission = "operate",
    asks_reason: bool = False,
    form: type[forms.Form] | None = None,
    losses: Callable[[QuerySet[Any]], Losses] | None = None,
) -> Callable[[Run], Action]:
    """Make an admin action of a method that takes a ``Selection`` and returns for how many rows it succeeded.

    :param consequence: what will happen, for the confirmation page.
    :param applies: the condition for rows to which it applies, if not all: the others' pages don't offer it.
    :param permission: who may run it: those with the model's ``change`` permission, or with one of their own kind.
    :param asks_reason: the page has a field for a reason, which becomes part of the cause.
    :param form: what has to be filled in on that page: ``selection.values``. None of it is in the history.
    :param losses: who would lose what, which that page lists.
    """

    rows = Q() if applies is None else applies

    def decorate(run: Run) -> Action:
        @admin.action(permissions=[permission], description=label)
        @functools.wraps(run)
        def act(
            model_admin: OpenTrainAdmin, request: HttpRequest, queryset: QuerySet[Any]
        ) -> HttpResponse | None:
            confirmed = "confirmed" in request.POST
            filled = form(request.POST if confirmed else None) if form else None
            if not confirmed or (filled and not filled.is_valid()):
                links = RowLinks(model_admin.admin_site, request)
                page = {
                    "label": label,
                    "consequence": consequence,
                    "asks_reason": asks_reason,
                    "form": filled,
                    # Those who may change access don't have to know the trainers' names.
                    "losses": losses(queryset) if losses and links.lead_to(AccessGrant) else None,
                }
                return _confirmation(model_admin, request, queryset, {**page, "action": run.__name__})
            selection: Selection[Any] = Selection(model_admin, request, queryset, label=label, applies=rows)
            if filled:
                selection.values = filled.cleaned_data
                selection.cause = selection.operator
            done = run(model_admin, selection)
            _show_result(request, label, done, len(selection.keys))
            return _back_to_row(model_admin, request)

        act.__dict__["applies"] = rows
        return act

    return decorate


def _confirmation(
    model_admin: OpenTrainAdmin, request: HttpRequest, queryset: QuerySet[Any], page: dict[str, Any]
) -> HttpResponse:
    across = request.POST.get("select_across") == "1"
    if page["form"]:
        looks.dress(page["form"])
    context = {
        **model_admin.admin_site.each_context(request),
        **page,
        "title": page["label"],
        "opts": model_admin.opts,
        "media": model_admin.media,
        "rows": list(queryset[:MAX_LISTED]),
        "count": queryset.count(),
        # Django requires a selected row even if all are selected.
        "keys": list(queryset.values_list("pk", flat=True)[: 1 if across else None]),
        "select_across": across,
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "from_row": "from_row" in request.POST,
        # The list's URL has its filters.
        "back": _row_url(model_admin, request) or request.get_full_path(),
        "max_reason": MAX_REASON,
        "input_classes": looks.input_classes(),
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, looks.template("confirm_action.html"), context)


def _show_result(request: HttpRequest, label: Label, done: int, chosen: int) -> None:
    counts = {"action": label, "done": done, "chosen": chosen}
    if done:
        messages.success(request, _("%(action)s: done for %(done)d of %(chosen)d.") % counts)
    else:
        messages.warning(request, _("%(action)s: nothing was done.") % counts)


def _back_to_row(model_admin: OpenTrainAdmin, request: HttpRequest) -> HttpResponse | None:
    """Redirect to the row's page if the action was started there; None: Django returns to the list."""
    url = _row_url(model_admin, request)
    return HttpResponseRedirect(url) if url else None


def _row_url(model_admin: OpenTrainAdmin, request: HttpRequest) -> str | None:
    """The page of the row on which the action was started; None if it was started in the list."""
    if "from_row" not in request.POST:
        return None
    opts = model_admin.opts
    key = quote(request.POST[ACTION_CHECKBOX_NAME])
    name = f"admin:{opts.app_label}_{opts.model_name}_change"
    return reverse(name, args=[key], current_app=model_admin.admin_site.name)
