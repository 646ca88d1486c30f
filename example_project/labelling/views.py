"""The pages: projects, one project for its team, and labelling for users with a seat."""

from __future__ import annotations

import time
from typing import Any, Final

from django.contrib.auth.decorators import login_required
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from django_opentrain.services import access, work
from example_project.labelling.models import Annotation, Project, Seat, TextTask

#: The longest time that one label counts for: a break isn't work.
LONGEST_SECONDS: Final = 600
_SALT: Final = "example_project.labelling"


@login_required
@require_safe
def projects(request: HttpRequest) -> HttpResponse:
    """The projects that this user manages, and those where they may label."""
    mine = Project.objects.filter(team__managers=request.user.pk).annotate(
        tasks_count=Count("tasks", distinct=True), labels_count=Count("tasks__annotations", distinct=True)
    )
    seats = (
        Seat.objects.filter(user=request.user.pk).select_related("project__team").order_by("project__name")
    )
    context = {"projects": mine, "seats": seats, "is_manager": mine.exists()}
    return render(request, "labelling/projects.html", context)


@login_required
@require_safe
def project(request: HttpRequest, pk: int) -> HttpResponse:
    """One project, for its team: its progress, its seats, and its OpenTrain status."""
    found = get_object_or_404(Project, pk=pk, team__managers=request.user.pk)
    annotations = Annotation.objects.filter(task__project=found)
    by_user = annotations.order_by("user__username").values("user__username")
    context = {
        "project": found,
        "tasks_count": found.tasks.count(),
        "done_count": found.tasks.filter(annotations__isnull=False).distinct().count(),
        "seats": found.seats.select_related("user").order_by("user__username"),
        "workers": by_user.annotate(labels=Count("pk"), seconds=Sum("seconds")),
        "latest": annotations.select_related("task", "user")[:10],
    }
    return render(request, "labelling/project.html", context)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def label(request: HttpRequest, pk: int) -> HttpResponse:
    """One text after the other, for users with a seat."""
    seat = Seat.objects.select_related("project").filter(project=pk, user=request.user.pk).first()
    if seat is None:
        raise PermissionDenied
    if request.method == "POST" and not seat.paused:
        _save(request, seat)
        return redirect("label", pk=pk)
    task = None if seat.paused else open_tasks(seat).first()
    context: dict[str, Any] = {
        "project": seat.project,
        "paused": seat.paused,
        "task": task,
        "shown": signing.dumps([task.pk, int(time.time())], salt=_SALT) if task else "",
        "done_count": Annotation.objects.filter(user=seat.user_id, task__project=seat.project).count(),
        "tasks_count": seat.project.tasks.count(),
    }
    return render(request, "labelling/label.html", context)


def open_tasks(seat: Seat) -> QuerySet[TextTask]:
    """The texts that this seat's user has not labelled yet."""
    return TextTask.objects.filter(project=seat.project).exclude(annotations__user=seat.user_id)


def _save(request: HttpRequest, seat: Seat) -> None:
    """Keep the label that was chosen; how long it took is by our clock, from when the text was shown.

    What is forged, stale or sent twice changes nothing: the next text is shown.
    """
    try:
        task_id, shown_at = signing.loads(request.POST.get("shown", ""), salt=_SALT)
    except signing.BadSignature:
        return
    choice = request.POST.get("label", "")
    task = seat.project.tasks.filter(pk=task_id).first()
    if task is None or choice not in seat.project.choices:
        return
    seconds = min(max(int(time.time()) - shown_at, 1), LONGEST_SECONDS)
    keep_label(seat, task, choice, seconds)


def keep_label(seat: Seat, task: TextTask, choice: str, seconds: int) -> None:
    """Keep this user's first label of the text, and observe it as work: both or neither."""
    user, project = seat.user, seat.project
    values = {"label": choice, "seconds": seconds, "contract": access.contract_for(user, project.pk)}
    with transaction.atomic():
        _, is_new = Annotation.objects.get_or_create(task=task, user=user, defaults=values)
        if is_new:
            work.observe(
                user,
                project.pk,
                "SUBMITTED",
                object_id=f"task {task.pk}",
                seconds=seconds,
                tasks=1,
                labels=1,
            )
