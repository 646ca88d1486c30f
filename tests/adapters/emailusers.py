"""The default adapter on a site whose users have no username, and each e-mail once."""

from __future__ import annotations

import os
from typing import Any

import django
import pytest
from django.core.management import call_command


def main() -> None:
    """Ends with an error where the adapter doesn't do what it should."""
    from django.contrib.auth import get_user_model

    from django_opentrain.adapters import AdapterError
    from django_opentrain.adapters.users import DjangoUsersAdapter
    from django_opentrain.models import TrainerAccount
    from tests import factories
    from tests.adapters.conftest import revoke

    call_command("migrate", run_syncdb=True, verbosity=0)
    adapter = DjangoUsersAdapter()
    users: Any = get_user_model()._default_manager  # the user model of another settings module

    def make_grant(trainer: str, email: str) -> Any:
        install = factories.make_install()
        link = factories.make_link(install)
        person = factories.make_participant(install, opentrain_user_id=trainer, work_email=email)
        return factories.make_grant(factories.make_contract(install, [link]), link, person)

    # Made, followed by its Work Email, deactivated.
    grant = make_grant("usr_maria", "maria@opentrain.work")
    made = users.get(pk=adapter.grant_access(grant))
    assert made.address == "maria@opentrain.work"
    assert not made.is_staff, "the model's default must not make trainers staff"
    grant.participant.work_email = "maria.silva@opentrain.work"
    assert adapter.grant_access(grant) == str(made.pk)
    made.refresh_from_db()
    assert made.address == "maria.silva@opentrain.work"
    revoke(adapter, grant)
    made.refresh_from_db()
    assert not made.is_active

    # Taken by the staff: not adopted, and no second account is possible.
    users.create(address="jonas@opentrain.work", is_staff=True)
    with pytest.raises(AdapterError, match="another account has their Work Email"):
        adapter.grant_access(make_grant("usr_jonas", "jonas@opentrain.work"))
    assert not TrainerAccount.objects.filter(opentrain_user_id="usr_jonas").exists()

    # A new Work Email that another account has.
    grant = make_grant("usr_ana", "ana@opentrain.work")
    adapter.grant_access(grant)
    grant.participant.work_email = "jonas@opentrain.work"
    with pytest.raises(AdapterError, match="can't take the trainer's new Work Email"):
        adapter.grant_access(grant)

    assert adapter.check_revocation() is None
    print("as it should be")  # noqa: T201 - what the test looks for


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.admin.emailusers.settings"
    django.setup()
    main()
