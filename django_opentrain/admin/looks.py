"""The look of the site's admin: Django's own, or that of django-unfold, where that replaces its templates."""

from __future__ import annotations

from django import forms
from django.apps import apps
from django.utils.module_loading import import_string


def template(name: str) -> str:
    """The path of a template of ours, in the look of the site's admin."""
    folder = "unfold/" if _is_unfold() else ""
    return f"admin/django_opentrain/{folder}{name}"


def input_classes() -> str:
    """The classes of an input. unfold resets the browser's style, so that an input without them can't be seen."""
    return " ".join(import_string("unfold.widgets.INPUT_CLASSES")) if _is_unfold() else "vTextField"


def dress(form: forms.Form) -> None:
    """Give each input of a form the look of the site's admin: Django's needs none."""
    if _is_unfold():
        for field in form.fields.values():
            field.widget.attrs.setdefault("class", input_classes())


def _is_unfold() -> bool:
    return apps.is_installed("unfold")
