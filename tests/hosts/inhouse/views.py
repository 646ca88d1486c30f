"""The pages: a person's projects, and a project for its managers and those who label."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from django_opentrain.services import work
from tests.hosts.inhouse import organizations
from tests.hosts.inhouse.models import Project

LABELS = ("paid", "unpaid")


def visible_project(user: Any, pk: int) -> tuple[Project, bool]:
    """The project, and whether this user may label in it. Raises ``PermissionDenied`` for others than managers."""
    project = get_object_or_404(Project, pk=pk)
    may_label = user.has_perm("inhouse.annotate_project", project)
    managers = project.organization.memberships.filter(is_manager=True)
    if not may_label and not managers.filter(user=user.pk).exists():
        raise PermissionDenied
    return project, may_label


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The projects of the current organization, and the other organizations."""
    context = {"organizations": organizations.of(request), "current": organizations.current(request)}
    return render(request, "inhouse/home.html", context)


@login_required
@require_POST
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Act for another organization from now on."""
    request.session[organizations.SESSION_KEY] = get_object_or_404(organizations.of(request), pk=pk).pk
    return redirect("home")


@login_required
def project(request: HttpRequest, pk: int) -> HttpResponse:
    """One project: its status for managers, its next task for those who label."""
    found, may_label = visible_project(request.user, pk)
    task = found.tasks.filter(label="").order_by("pk").first() if may_label else None
    context = {"project": found, "task": task, "labels": LABELS, "is_manager": not may_label}
    return render(request, "inhouse/project.html", context)


@login_required
@require_POST
def label(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep a task's label, and observe it as work."""
    found, may_label = visible_project(request.user, pk)
    if not may_label or request.POST.get("label") not in LABELS:
        raise PermissionDenied
    task = get_object_or_404(found.tasks.filter(label=""), pk=request.POST.get("task"))
    task.label, task.labelled_by_id = request.POST["label"], request.user.pk
    task.save()
    work.observe(request.user, found.pk, "SUBMITTED", object_id=f"task {task.pk}", tasks=1, labels=1)
    return redirect("project", pk=pk)


class ProjectAPI(APIView):
    """The same project for scripts, with a knox token."""

    def get(self, request: Request, pk: int) -> Response:
        found, _may_label = visible_project(request.user, pk)
        return Response({"id": found.pk, "open": found.tasks.filter(label="").count()})
