"""doccano: each user who administers projects is a customer, and the annotator's role in a project is access.

Tested with 1.8; docs/how-to/doccano.md describes the installation and what to know. Nothing of doccano is imported:
Django finds its models by name, once the site runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.conf import settings

from django_opentrain.adapters.base import Project
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.conf import conf
from django_opentrain.models import AccessGrant

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser
    from django.http import HttpRequest

#: One of doccano's models by its name, such as ``projects.Member``. Any: doccano has no types.
model: Callable[[str], Any] = apps.get_model

#: In English, or below a language: /de/projects/7.
_PROJECT_PAGE: Final = re.compile(r"(?:/[a-z]{2})?/projects/([1-9][0-9]{0,17})(?:/|$)")


class DoccanoAdapter(DjangoUsersAdapter):
    """Each user manages the hires for the projects that they administer; trainers become annotators of these."""

    measures_time = False  # the timer does
    observes_work = True
    observer = "django_opentrain.observers.doccano.connect"
    observer_middleware = "django_opentrain.middleware.acting_user"

    def project_of_path(self, path: str) -> str | None:
        """The project of doccano's own pages, such as ``/projects/<id>/dataset``."""
        found = _PROJECT_PAGE.match(path)
        return found[1] if found else None

    def get_tenant(self, request: HttpRequest) -> str | None:
        """This user, if they administer a project."""
        tenant = super().get_tenant(request)
        return tenant if tenant and _projects_of(tenant).exists() else None

    def list_projects(self, tenant: str) -> Iterable[Project]:
        """The projects that this user administers."""
        for project in _projects_of(tenant).order_by("name", "pk"):
            url = conf.absolute_url(f"/projects/{project.pk}")
            yield Project(id=str(project.pk), name=project.name, url=url)

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        """The project with this id, if this user administers it."""
        matching = (project for project in self.list_projects(tenant) if project.id == external_project_id)
        return next(matching, None)

    def prepare_user(self, user: AbstractUser, grant: AccessGrant) -> None:
        """In lower case, whatever OpenTrain's letters are: user names of doccano are case-sensitive."""
        user.username = user.username.lower()

    def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        """Make the user an annotator of the project, unless they already have a role in it."""
        annotator = model("roles.Role").objects.get(name=_role("ROLE_ANNOTATOR"))
        _members(user, grant).get_or_create(
            user_id=user.pk, project_id=int(grant.external_project_id), defaults={"role": annotator}
        )

    def close_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        """Remove the user's role in the project, unless they administer it: no contract gave them that."""
        _members(user, grant).exclude(role__name=_role("ROLE_PROJECT_ADMIN")).delete()

    def has_project(self, user: AbstractUser, grant: AccessGrant) -> bool:
        """Whether the user has a role in the project, which doccano requires."""
        return bool(_members(user, grant).exists())

    def has_projects(self, users: Sequence[tuple[AbstractUser, AccessGrant]]) -> Mapping[int, bool | None]:
        """Who has a role in which project."""
        # A link that was made on OpenTrain can name anything.
        possible = [(user, grant) for user, grant in users if grant.external_project_id.isdecimal()]
        rows = model("projects.Member").objects.filter(
            user__in={user.pk for user, _grant in possible},
            project__in={int(grant.external_project_id) for _user, grant in possible},
        )
        members = {(user, str(project)) for user, project in rows.values_list("user", "project")}
        return {grant.pk: (user.pk, grant.external_project_id) in members for user, grant in possible}


def _role(setting: str) -> str:
    """The name that this doccano's settings give the role."""
    return str(getattr(settings, setting))


def _projects_of(tenant: str) -> Any:
    administers = model("projects.Member").objects.filter(user=tenant, role__name=_role("ROLE_PROJECT_ADMIN"))
    return model("projects.Project").objects.filter(pk__in=administers.values("project"))


def _members(user: AbstractUser, grant: AccessGrant) -> Any:
    """The user's one role in the grant's project, or none."""
    return model("projects.Member").objects.filter(user=user.pk, project=int(grant.external_project_id))
