"""The default adapter on such a site."""

from __future__ import annotations

import os
from typing import Any

import django
import pytest
from django.core.management import call_command


def main() -> None:
    """Ends with an error where the adapter doesn't do what it should."""
    from django.contrib.auth import get_user_model
    from django.core.checks import run_checks

    from django_opentrain.adapters import AdapterError
    from django_opentrain.adapters.users import DjangoUsersAdapter
    from django_opentrain.models import AccessGrant, TrainerAccount
    from django_opentrain.services.access import converge
    from tests import factories

    class Adapter(DjangoUsersAdapter):
        def prepare_user(self, user: Any, grant: AccessGrant) -> None:
            user.birth_year = 1990

    call_command("migrate", run_syncdb=True, verbosity=0)
    users: Any = get_user_model()._default_manager  # the user model of another settings module
    install = factories.make_install()
    link = factories.make_link(install)
    person = factories.make_participant(
        install, opentrain_user_id="usr_maria", work_email="maria@opentrain.work"
    )
    grant = factories.make_grant(factories.make_contract(install, [link]), link, person)

    # What the user model requires is named.
    with pytest.raises(AdapterError, match=r"requires more .*\(birth_year\)"):
        DjangoUsersAdapter().grant_access(grant)
    adapter = Adapter()
    maria = users.get(pk=adapter.grant_access(grant))
    assert "opentrain.W013" in {message.id for message in run_checks(tags=["opentrain"])}

    # The project is closed, and so is the way in.
    maria.set_password("her own")
    maria.save()
    session = maria.get_session_auth_hash()
    AccessGrant.objects.update(desired=AccessGrant.Desired.REVOKED)
    removed = converge(grant)
    assert (removed.state, removed.last_error) == (AccessGrant.State.REVOKED, "")
    maria.refresh_from_db()
    assert not maria.groups.exists()
    assert not maria.has_usable_password()
    assert maria.get_session_auth_hash() != session
    account = TrainerAccount.objects.get()
    assert (account.deactivated_at is None, account.invitation) == (False, "")

    # Who comes back gets a link again.
    AccessGrant.objects.update(desired=AccessGrant.Desired.GRANTED, state=AccessGrant.State.GRANTED)
    adapter.grant_access(grant)
    account = TrainerAccount.objects.get()
    assert (account.deactivated_at, account.invitation) == (None, "PENDING")
    assert adapter.check_revocation() is None
    print("as it should be")  # noqa: T201 - what the test looks for


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.adapters.bareusers.settings"
    django.setup()
    main()
