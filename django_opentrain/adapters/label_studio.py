"""Label Studio, community edition: its organization is the customer, and a membership is access.

Tested with 1.23; docs/how-to/label-studio.md describes the installation and what to know. Nothing of Label Studio is
imported: Django finds its models by name, once the site runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.apps import apps
from django.utils import timezone
from django.utils.translation import gettext as _

from django_opentrain.adapters.base import Project
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.conf import conf
from django_opentrain.models import AccessGrant

if TYPE_CHECKING:
    from django.http import HttpRequest

#: One of Label Studio's models by its name, such as ``tasks.Annotation``. Any: Label Studio has no types.
model: Callable[[str], Any] = apps.get_model


class LabelStudioAdapter(DjangoUsersAdapter):
    """The owner of the organization, or a superuser in it, manages its hires.

    A trainer becomes a member with the first grant and stops being one with the last. In the community edition a
    member may do everything in every project: ``django_opentrain.permissions.label_studio``, which the settings name,
    leaves trainers the projects that were opened for them.
    """

    observes_work = True
    observer = "django_opentrain.observers.label_studio.connect"

    def get_tenant(self, request: HttpRequest) -> str | None:
        """The organization in which this user acts, unless their membership of it was deleted."""
        organization = _active_organization(request)
        return str(organization.pk) if organization and organization.has_permission(request.user) else None

    def can_manage(self, request: HttpRequest, tenant: str) -> bool:
        """Whether this user owns the organization ``tenant``, or is a superuser who acts in it."""
        if tenant != self.get_tenant(request):
            return False
        owner = _active_organization(request).created_by_id
        user: Any = request.user
        return bool(user.is_superuser) or owner == user.pk

    def list_projects(self, tenant: str) -> Iterable[Project]:
        """The organization's projects that were not deleted."""
        for project in model("projects.Project").objects.filter(organization=tenant).order_by("title", "pk"):
            url = conf.absolute_url(f"/projects/{project.pk}/data")
            yield Project(id=str(project.pk), name=project.title, url=url)

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        """The project with this id, if it is the organization's."""
        matching = (project for project in self.list_projects(tenant) if project.id == external_project_id)
        return next(matching, None)

    def open_project(self, user: Any, grant: AccessGrant) -> None:
        """Make the user a member of the organization, and list them with the project."""
        organization = model("organizations.Organization").objects.get(pk=grant.tenant)
        # add_user() leaves a deleted membership deleted.
        if not _memberships(user, grant).update(deleted_at=None):
            organization.add_user(user)
        # The login form lower-cases its input, and a login without an organization is an error.
        user.email = user.email.lower()
        user.username = user.username or user.email.partition("@")[0]
        user.active_organization = organization
        user.save(update_fields=["email", "username", "active_organization"])
        model("projects.Project").objects.get(pk=grant.external_project_id).add_collaborator(user)

    def close_project(self, user: Any, grant: AccessGrant) -> None:
        """Remove the user from the project's list; with their last grant, delete the membership.

        The invitation link, which members can see and pass on, is replaced then.
        """
        model("projects.ProjectMember").objects.filter(user=user, project=grant.external_project_id).delete()
        trainer = grant.participant.opentrain_user_id
        others = AccessGrant.objects.wanted().filter(
            participant__opentrain_user_id=trainer, link__install__tenant=grant.tenant
        )
        if others.exclude(pk=grant.pk).exists():
            return
        # Not the owner's, which no contract gave them. Marked as deleted, not removed: only a membership that is
        # marked so makes Label Studio refuse the user.
        given = _memberships(user, grant).filter(deleted_at=None).exclude(organization__created_by=user)
        for membership in given.select_related("organization"):
            membership.soft_delete()
            membership.organization.reset_token()

    def has_project(self, user: Any, grant: AccessGrant) -> bool:
        """Label Studio's own check before it shows the project, which is ours for trainers."""
        project = model("projects.Project").objects.filter(pk=grant.external_project_id).first()
        return project is not None and bool(project.has_permission(user))

    def has_projects(self, users: Sequence[tuple[Any, AccessGrant]]) -> Mapping[int, bool | None]:
        """Who is a member of the organization, and listed with the project; nothing of members who aren't listed."""
        # A link that was made on OpenTrain can name anything.
        possible = [(user, grant) for user, grant in users if grant.external_project_id.isdecimal()]
        members, listed = _members_among(possible), _listed_among(possible)
        states: dict[int, bool | None] = {}
        for user, grant in possible:
            if (user.pk, grant.tenant) not in members:
                # Removed from the organization by hand, their entry in the project's list stays.
                states[grant.pk] = False
            elif (user.pk, grant.external_project_id) in listed:
                states[grant.pk] = True
            # A member who isn't listed may have a grant of another project, or access that isn't ours to end.
        return states

    def left_behind(self, grant: AccessGrant) -> Iterable[str]:
        """Webhooks and members that were added to the organization since the hire: nothing says by whom."""
        if grant.granted_at is None:
            return
        while_open = {"created_at__range": (grant.granted_at, grant.revoked_at or timezone.now())}
        webhooks = model("webhooks.Webhook").objects.filter(organization=grant.tenant, **while_open)
        for webhook in webhooks.order_by("pk"):
            # Only the host: the rest of a URL may be a secret.
            to, when = urlsplit(webhook.url).hostname, f"{webhook.created_at:%Y-%m-%d %H:%M}"
            yield f"webhook {webhook.pk} to {to}, made {when}"
        members = model("organizations.OrganizationMember").objects.filter(
            organization=grant.tenant, deleted_at=None, user__opentrain_account=None, **while_open
        )
        for member in members.order_by("pk"):
            yield f"account {member.user_id}, a member since {member.created_at:%Y-%m-%d %H:%M}"

    def check_revocation(self) -> str | None:
        """As in the default adapter; and that the settings are there which keep trainers in their projects."""
        permissions = import_module("django_opentrain.permissions.label_studio")
        missing = permissions.missing_settings()
        if missing:
            return _(
                "Trainers can use other projects: docs/how-to/label-studio.md says how to set %(settings)s."
            ) % {"settings": ", ".join(missing)}
        return super().check_revocation()

    def may_bind(self, tenant: str, user: Any) -> bool:
        """Whether the user is a member of this organization and of no other: then its owner says who they are."""
        memberships = model("organizations.OrganizationMember").objects.filter(user=user, deleted_at=None)
        return {str(pk) for pk in memberships.values_list("organization", flat=True)} == {tenant}


def _active_organization(request: HttpRequest) -> Any:
    return getattr(request.user, "active_organization", None)


def _memberships(user: Any, grant: AccessGrant) -> Any:
    """The user's memberships of the grant's organization: nothing keeps Label Studio from creating two."""
    return model("organizations.OrganizationMember").objects.filter(user=user, organization=grant.tenant)


def _members_among(users: Sequence[tuple[Any, AccessGrant]]) -> set[tuple[Any, str]]:
    """Which of these users are members of which of the grants' organizations."""
    rows = model("organizations.OrganizationMember").objects.filter(
        user__in={user.pk for user, _grant in users},
        organization__in={grant.tenant for _user, grant in users},
        deleted_at=None,
    )
    return {(user, str(organization)) for user, organization in rows.values_list("user", "organization")}


def _listed_among(users: Sequence[tuple[Any, AccessGrant]]) -> set[tuple[Any, str]]:
    """Which of these users are listed with which of the grants' projects."""
    rows = model("projects.ProjectMember").objects.filter(
        user__in={user.pk for user, _grant in users},
        project__in={grant.external_project_id for _user, grant in users},
    )
    return {(user, str(project)) for user, project in rows.values_list("user", "project")}
