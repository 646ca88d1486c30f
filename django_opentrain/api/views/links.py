"""Project links."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from django_opentrain.api.serializers.links import LinkChanges, LinkQuery, LinkRequest, LinkSerializer
from django_opentrain.api.viewsets import TenantViewSet
from django_opentrain.models import ProjectLink
from django_opentrain.platform.errors import OpenTrainError
from django_opentrain.services import linking
from django_opentrain.services.linking import generations


class ProjectLinkViewSet(TenantViewSet):
    """The tenant's projects that are linked to jobs."""

    def list(self, request: Request) -> Response:
        """Links that exist or are being created."""
        return self.listing(self.page(self._rows(), self.query(LinkQuery)), LinkSerializer)

    def retrieve(self, request: Request, pk: int) -> Response:
        """One link."""
        return Response(LinkSerializer(self.own(self._rows(), pk)).data)

    def create(self, request: Request) -> Response:
        """Link a project to a job. 202: OpenTrain hasn't confirmed it yet; the workers retry."""
        given = self.body(LinkRequest)
        link = linking.link(
            self.live_install(given.get("install_id")),
            given["external_project_id"],
            job_id=given.get("job_id"),
            name=given.get("external_project_name"),
            url=given.get("external_project_url"),
            provisioning_mode=given["provisioning_mode"],
        )
        done = link.status == ProjectLink.Status.ACTIVE
        headers = {"Location": f"{request.path}{link.pk}/"}
        return Response(LinkSerializer(link).data, status=201 if done else 202, headers=headers)

    def partial_update(self, request: Request, pk: int) -> Response:
        """Set the link's switches."""
        link = linking.configure(self.own(self._rows(), pk), **self.body(LinkChanges))
        return Response(LinkSerializer(link).data)

    def destroy(self, request: Request, pk: int) -> Response:
        """Unlink: its access ends now. 202: OpenTrain couldn't be notified yet; the workers retry."""
        link = self.own(self._rows(), pk)
        try:
            link = linking.unlink(link)
        except OpenTrainError:
            # The service has stored it as the link's last_error, which the response shows.
            link.refresh_from_db()
            link = generations.current(link)
        done = link.status == ProjectLink.Status.REMOVED
        return Response(LinkSerializer(link).data, status=200 if done else 202)

    def _rows(self) -> QuerySet[ProjectLink]:
        return ProjectLink.objects.live().filter(install__tenant=self.tenant).select_related("install")
