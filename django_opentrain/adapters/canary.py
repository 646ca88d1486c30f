"""Proof that revocation works: a made-up trainer gets access, loses it, and tries to get in again.

On many platforms a token may create users but not remove them, so offboarding fails unnoticed: OpenTrain's guide
advises to test the removal path first. Everything happens in a transaction that is rolled back.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final, Protocol

from django.contrib.auth import get_backends
from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.utils.translation import gettext as _

from django_opentrain.adapters import accounts
from django_opentrain.adapters.base import Project, exact_text
from django_opentrain.models import AccessGrant, Contract, Install, Participant, ProjectLink
from django_opentrain.models import TrainerAccount as Account
from django_opentrain.platform.catalog import WORK_EMAIL_DOMAIN
from django_opentrain.transactions import alias, atomic

#: Links that are looked through for a project that was not deleted in the host.
NEWEST: Final = 20


class AccountsAdapter(Protocol):
    """An adapter that gives access to accounts of the site's user model."""

    def grant_access(self, grant: AccessGrant) -> str:
        """As in ``OpenTrainAdapter``."""
        ...

    def revoke_access(self, grant: AccessGrant) -> None:
        """As in ``OpenTrainAdapter``."""

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        """As in ``OpenTrainAdapter``."""

    def has_project(self, user: Any, grant: AccessGrant) -> bool:
        """Whether the grant's project is open to this user, of the site's model."""
        ...


def check(adapter: AccountsAdapter, *, any_project_will_do: bool) -> str | None:
    """None if the canary was locked out; else what it still reached, or why it didn't get in.

    Raises ``NotImplementedError`` if it needs one of the site's projects and none is linked.
    """
    newest = ProjectLink.objects.active().select_related("install").order_by("-pk")[:NEWEST]
    linked = newest.first() if any_project_will_do else _existing(newest, adapter)
    if linked is None and not any_project_will_do:
        raise NotImplementedError("No project is linked with which removal could be tested.")
    with atomic():
        try:
            return _try(adapter, _canary_grant(linked))
        finally:
            transaction.set_rollback(True, using=alias())


def _existing(links: Iterable[ProjectLink], adapter: AccountsAdapter) -> ProjectLink | None:
    """The first one whose project was not deleted in the host."""
    return next(
        (each for each in links if adapter.get_project(each.install.tenant, each.external_project_id)), None
    )


def _try(adapter: AccountsAdapter, grant: AccessGrant) -> str | None:
    account = exact_text(adapter.grant_access(grant), "grant_access")
    user = Account.objects.get(opentrain_user_id=grant.participant.opentrain_user_id).user
    if not adapter.has_project(user, grant) or not _logins(user):
        return _(
            "The canary account didn't get the access that it was given, so removal could not be tested."
        )
    revoked = AccessGrant.Desired.REVOKED
    AccessGrant.objects.filter(pk=grant.pk).update(desired=revoked, host_user_ref=account)
    grant.refresh_from_db()
    adapter.revoke_access(grant)
    user.refresh_from_db()
    return _what_is_left(adapter, user, grant)


def _what_is_left(adapter: AccountsAdapter, user: AbstractUser, grant: AccessGrant) -> str | None:
    if adapter.has_project(user, grant):
        return _("A removed trainer still has access to the project.")
    if not accounts.has_active_column():
        # Its sessions end with its password; what else opens the site there, only the site can test.
        return _("A removed trainer's password still works.") if user.has_usable_password() else None
    if user.is_active:
        return _("A removed trainer's account is still active: its sessions and API tokens still work.")
    backends = _logins(user)
    if backends:
        return _("A deactivated account's sessions still work, with %(backends)s.") % {
            "backends": ", ".join(backends)
        }
    return None


def _logins(user: AbstractUser) -> list[str]:
    """The authentication backends that accept a session of this user."""
    # A backend for permissions only, such as django-rules', has no get_user, and no sessions.
    finders = [backend for backend in get_backends() if hasattr(backend, "get_user")]
    return [type(backend).__name__ for backend in finders if backend.get_user(user.pk) is not None]


def _canary_grant(linked: ProjectLink | None) -> AccessGrant:
    """A grant for a made-up trainer, to the same project as ``linked``, if there is one."""
    name = f"canary-{uuid.uuid4().hex}"
    install = Install.objects.create(tenant=linked.install.tenant if linked else name)
    link = ProjectLink.objects.create(
        install=install, external_project_id=linked.external_project_id if linked else name
    )
    return AccessGrant.objects.create(
        contract=Contract.objects.create(install=install, opentrain_id=name),
        link=link,
        participant=Participant.objects.create(
            install=install, opentrain_user_id=name, work_email=f"{name}@{WORK_EMAIL_DOMAIN}"
        ),
    )
