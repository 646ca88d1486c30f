"""Grants for the adapter's tests."""

from __future__ import annotations

from typing import Any, Protocol

import pytest
from django.contrib.auth.models import User

from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.models import AccessGrant, TrainerAccount
from tests import factories

TRAINER = "usr_maria"
EMAIL = "maria@opentrain.work"


class MakeGrant(Protocol):
    """How a test asks for a grant."""

    def __call__(
        self,
        tenant: str = ...,
        project: str = ...,
        trainer: str = ...,
        email: str | None = ...,
        **values: Any,
    ) -> AccessGrant: ...


@pytest.fixture
def adapter() -> DjangoUsersAdapter:
    return DjangoUsersAdapter()


@pytest.fixture
def make_grant(db: None) -> MakeGrant:
    """A wanted grant of its own install, by default always of the same trainer."""

    def make(
        tenant: str = "acme",
        project: str = "1",
        trainer: str = TRAINER,
        email: str | None = EMAIL,
        **values: Any,
    ) -> AccessGrant:
        install = factories.make_install(tenant)
        link = factories.make_link(install, external_project_id=project)
        participant = factories.make_participant(install, opentrain_user_id=trainer, work_email=email)
        contract = factories.make_contract(install, [link])
        return factories.make_grant(contract, link, participant, **values)

    return make


def account_of(trainer: str = TRAINER) -> TrainerAccount:
    """The account of a trainer, as the database has it now."""
    return TrainerAccount.objects.select_related("user").get(opentrain_user_id=trainer)


def user_of(trainer: str = TRAINER) -> User:
    """The user who is this trainer, as the database has it now."""
    return User.objects.get(opentrain_account__opentrain_user_id=trainer)


def revoke(adapter: DjangoUsersAdapter, grant: AccessGrant) -> None:
    """What convergence does when a grant isn't wanted any more."""
    AccessGrant.objects.filter(pk=grant.pk).update(desired=AccessGrant.Desired.REVOKED)
    grant.refresh_from_db()
    adapter.revoke_access(grant)
    AccessGrant.objects.filter(pk=grant.pk).update(state=AccessGrant.State.REVOKED)
