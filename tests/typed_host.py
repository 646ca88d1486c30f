"""What a host's own code relies on, as type checkers read it: mypy with Django's plugin, pyright without it.

Checked, never run.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from typing_extensions import assert_type

from django_opentrain import adapters
from django_opentrain.models import AccessGrant, Contract, DailyUsage, Install, Participant, ProjectLink
from django_opentrain.services import access
from tests.admin.emailusers.models import EmailUser


class UsualAdapter(adapters.DjangoUsersAdapter):
    """Of a site whose users are Django's."""

    def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
        assert_type(grant.link.install.tenant, str)
        assert_type(user.username, str)


class EmailAdapter(adapters.DjangoUsersAdapter[EmailUser]):
    """Of a site with a user model of its own, which is no ``AbstractUser``."""

    def open_project(self, user: EmailUser, grant: AccessGrant) -> None:
        assert_type(user.address, str)

    def create_user(self, email: str, participant: Participant) -> EmailUser:
        return EmailUser(address=email)

    def may_bind(self, tenant: str, user: EmailUser) -> bool:
        return user.is_staff


def installs() -> Iterable[Install]:
    """A manager has its queryset's methods, and so has what they return."""
    assert_type(Install.objects.usable().get().access_ends_at, datetime | None)
    return Install.objects.usable().filter(tenant="7").live()


def of_install(install: Install) -> None:
    """Columns, and the other way of relations."""
    assert_type(install.tenant, str)
    assert_type(install.connected_by_id, int | None)
    for link in install.project_links.live():
        assert_type(link, ProjectLink)
    for contract in install.contracts.active().linked():
        assert_type(contract.get_status_display(), str)
        of_contract(contract)


def of_contract(contract: Contract) -> None:
    """The rows of a contract."""
    assert_type(contract.install_id, int)
    assert_type(contract.grants.wanted().get().participant_id, int)
    assert_type(contract.usage.first(), DailyUsage | None)


def pays_for(user: EmailUser, project_id: str) -> str | None:
    """A service takes the site's user, whatever its model is."""
    contract = access.contract_for(user, project_id)
    return contract.opentrain_id if contract else None
