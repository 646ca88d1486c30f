"""A page that says what went wrong, and what to do."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from django_opentrain.errors import ServiceError
from django_opentrain.explanations import explain
from django_opentrain.platform.errors import OpenTrainError


def error_page(
    request: HttpRequest, error: OpenTrainError | ServiceError, back: str | None = None
) -> HttpResponse:
    """The page for an error, with the way back."""
    problem = explain(error)
    context = {"problem": problem, "back": back or reverse("opentrain:home")}
    return render(request, "opentrain/problem.html", context, status=problem.http_status)
