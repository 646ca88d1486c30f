"""A host with two customers, whose users' names say whom they act for: ``acme-boss``, ``acme-clerk``."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from django_opentrain.adapters import AdapterError, OpenTrainAdapter, Project
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.models import AccessGrant


class NamesAdapter(OpenTrainAdapter):
    """``<tenant>-boss`` manages ``<tenant>``; ``<tenant>-clerk`` belongs to it; others to no customer."""

    projects = 3
    sends_first_login = True
    #: What the mail server says: it took the mail or not; None: there is nothing to send.
    mail: bool | None = True

    def get_tenant(self, request: HttpRequest) -> str | None:
        tenant, hyphen, _role = request.user.get_username().partition("-")
        return tenant if hyphen else None

    def can_manage(self, request: HttpRequest, tenant: str) -> bool:
        return request.user.get_username() == f"{tenant}-boss"

    def list_projects(self, tenant: str) -> Iterable[Project]:
        return [self._project(tenant, number) for number in range(1, self.projects + 1)]

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        return next((p for p in self.list_projects(tenant) if p.id == external_project_id), None)

    def resend_first_login(self, grant: AccessGrant) -> bool:
        if self.mail is None:
            raise AdapterError("They had an account before.")
        return self.mail

    def _project(self, tenant: str, number: int) -> Project:
        return Project(
            id=f"{tenant}-{number}",
            name=f"{tenant.title()} project {number}",
            url=f"https://annotate.example/projects/{number}/",
        )


class AccountsAdapter(NamesAdapter, DjangoUsersAdapter):
    """Trainers may use accounts that they had before, if their customer, whose own they are, says so."""

    def may_bind(self, tenant: str, user: AbstractUser) -> bool:
        return user.get_username().startswith(tenant)


class SeveralAdapter(NamesAdapter):
    """``both-boss`` manages Acme and Beta, belongs to Gamma, and currently acts for ``current``."""

    current = "acme"

    def get_tenant(self, request: HttpRequest) -> str | None:
        return self.current if request.user.get_username() == "both-boss" else super().get_tenant(request)

    def get_tenants(self, request: HttpRequest) -> Iterable[str]:
        return ["acme", "beta", "gamma"] if request.user.get_username() == "both-boss" else []

    def can_manage(self, request: HttpRequest, tenant: str) -> bool:
        if request.user.get_username() == "both-boss":
            return tenant in ("acme", "beta")
        return super().can_manage(request, tenant)

    def display_customer(self, tenant: str) -> str:
        return f"{tenant.title()} Ltd"


class ViewersAdapter(NamesAdapter):
    """``<tenant>-viewer`` may look; no request without a second factor is admitted, where ``mfa`` is on."""

    mfa = False

    def can_view(self, request: HttpRequest, tenant: str) -> bool:
        return request.user.get_username() == f"{tenant}-viewer"

    def check_request(self, request: HttpRequest) -> None:
        if self.mfa and "second-factor" not in request.headers:
            raise PermissionDenied("Set up a second factor first.")
