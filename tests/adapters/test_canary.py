"""The proof that removal works, and that it notices when it doesn't."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AbstractUser, User
from django.core import mail

from django_opentrain.adapters import Project
from django_opentrain.adapters.users import DjangoUsersAdapter
from django_opentrain.models import AccessGrant, Install, TrainerAccount
from tests import factories

pytestmark = pytest.mark.django_db


def test_the_default_adapter_locks_the_canary_out(adapter: DjangoUsersAdapter) -> None:
    assert adapter.check_revocation() is None


def test_nothing_is_left_of_it(adapter: DjangoUsersAdapter) -> None:
    adapter.check_revocation()
    assert not User.objects.exists()
    assert not Install.objects.exists()
    assert not TrainerAccount.objects.exists()
    assert not mail.outbox


class WithProjects(DjangoUsersAdapter):
    """A site whose projects 8 and 9 exist."""

    def get_project(self, tenant: str, external_project_id: str) -> Project | None:
        return Project(id=external_project_id) if external_project_id in {"8", "9"} else None


@pytest.mark.parametrize("deleted", [(), ("10", "11")])
def test_it_tries_the_newest_linked_project_that_exists(deleted: tuple[str, ...]) -> None:
    opened: list[tuple[str, str]] = []

    class Recording(WithProjects):
        def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
            opened.append((grant.tenant, grant.external_project_id))
            super().open_project(user, grant)

    install = factories.make_install("zeta")
    for project in ("8", "9", *deleted):
        factories.make_link(install, external_project_id=project)
    assert Recording().check_revocation() is None
    assert opened == [("zeta", "9")]


def test_without_a_linked_project_there_may_be_nothing_to_try_it_with() -> None:
    class Elsewhere(WithProjects):
        def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
            pytest.fail("There is no project that could be opened")

    with pytest.raises(NotImplementedError, match="No project is linked"):
        Elsewhere().check_revocation()
    factories.make_link(factories.make_install(), external_project_id="10")  # deleted since
    with pytest.raises(NotImplementedError, match="No project is linked"):
        Elsewhere().check_revocation()


def test_a_removal_that_does_nothing_is_noticed() -> None:
    class Forgetful(DjangoUsersAdapter):
        def close_project(self, user: AbstractUser, grant: AccessGrant) -> None:
            """Forget it."""

    assert "still has access to the project" in str(Forgetful().check_revocation())


def test_an_account_that_stays_active_is_noticed() -> None:
    class Lenient(DjangoUsersAdapter):
        def revoke_access(self, grant: AccessGrant) -> None:
            user = User.objects.get(opentrain_account__opentrain_user_id=grant.participant.opentrain_user_id)
            self.close_project(user, grant)

    assert "still active" in str(Lenient().check_revocation())


def test_a_backend_that_lets_the_deactivated_in_is_noticed(
    adapter: DjangoUsersAdapter, settings: pytest.FixtureRequest
) -> None:
    settings.AUTHENTICATION_BACKENDS = [  # type: ignore[attr-defined] # pytest-django's wrapper of the settings
        "django.contrib.auth.backends.AllowAllUsersModelBackend"
    ]
    assert "AllowAllUsersModelBackend" in str(adapter.check_revocation())


class PermissionsOnly:
    """As django-rules has it, which Label Studio uses: it says who may do what, and knows no users."""

    def has_perm(self, *_arguments: object) -> bool:
        return False


def test_a_backend_that_knows_no_users_lets_nobody_in(
    adapter: DjangoUsersAdapter, settings: pytest.FixtureRequest
) -> None:
    settings.AUTHENTICATION_BACKENDS = [  # type: ignore[attr-defined] # pytest-django's wrapper of the settings
        f"{__name__}.PermissionsOnly",
        "django.contrib.auth.backends.ModelBackend",
    ]
    assert adapter.check_revocation() is None


def test_access_that_was_never_given_proves_nothing() -> None:
    class Blind(WithProjects):
        def open_project(self, user: AbstractUser, grant: AccessGrant) -> None:
            """Forget it."""

    factories.make_link(factories.make_install(), external_project_id="9")
    assert "could not be tested" in str(Blind().check_revocation())
