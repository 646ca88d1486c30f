"""What went wrong and what to do: as a page, or beside a form."""

from __future__ import annotations

from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from django_opentrain.errors import ServiceError
from django_opentrain.explanations import explain
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.web.customers import with_customer
from django_opentrain.web.parts import home_url


def error_page(
    request: HttpRequest, error: OpenTrainError | ServiceError, back: str | None = None
) -> HttpResponse:
    """The page for an error, with the way back."""
    problem = explain(error)
    context = {"problem": problem, "back": back or with_customer(request, home_url())}
    return render(request, "opentrain/problem.html", context, status=problem.http_status)


def add_error(form: Form, error: OpenTrainError | ServiceError) -> int:
    """Say it beside the form, at the field that is wrong where the form has it; returns the HTTP status."""
    problem = explain(error)
    field = error.field if isinstance(error, ServiceError) and error.field in form.fields else None
    form.add_error(field, f"{problem.text} {problem.advice}".strip())
    return problem.http_status
