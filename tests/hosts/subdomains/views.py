"""A project as an API, for its trainers' scripts; and the page that makes one."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from django_opentrain.adapters import get_adapter
from django_opentrain.models import AccessGrant, Install
from django_opentrain.services import linking
from tests.hosts.subdomains.projects.models import Project


class ProjectAPI(APIView):
    """Whether this customer's project is open to the caller."""

    def get(self, request: Request, pk: int) -> Response:
        project = get_object_or_404(Project, pk=pk)
        tenant = get_adapter().get_tenant(request)
        mine = AccessGrant.objects.filter(host_user_ref=str(request.user.pk), state=AccessGrant.State.GRANTED)
        if not mine.of_project(str(tenant), str(pk)).exists():
            raise PermissionDenied
        return Response({"name": project.name})


@login_required
@require_POST
def create_project(request: HttpRequest) -> HttpResponse:
    """Make a project, and link it once that is stored: OpenTrain's part can't be rolled back."""
    project = Project.objects.create(name=request.POST["name"])
    install = Install.objects.usable().filter(tenant=get_adapter().get_tenant(request)).first()
    if install is not None:
        transaction.on_commit(partial(link, install, str(project.pk)))
    return HttpResponse(str(project.pk), status=201)


def link(install: Install, project_id: str) -> Any:
    """Link a project that is stored."""
    return linking.link(install, project_id)
