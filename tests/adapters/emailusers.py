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

    class Careful(DjangoUsersAdapter):
        adopt_existing_accounts = False

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

    # Had before, in other letters: no second account, and theirs once an operator consents.
    known = users.create(address="Rosa@OpenTrain.work", is_staff=False)
    grant = make_grant("usr_rosa", "rosa@opentrain.work")
    careful = Careful()

    def bind(grant: Any) -> None:
        careful.bind_account(grant, careful.account_to_bind(grant), by="operator")

    with pytest.raises(AdapterError, match=f"Account {known.pk} has .* consents") as caught:
        careful.grant_access(grant)
    assert "rosa" not in str(caught.value).lower()
    bind(grant)
    assert careful.grant_access(grant) == str(known.pk)
    assert not TrainerAccount.objects.get(user=known).created_by_us
    with pytest.raises(AdapterError, match="has an account already"):
        bind(grant)
    revoke(careful, grant)
    known.refresh_from_db()
    assert (known.is_active, known.groups.exists()) == (True, False)

    # Staff's never is, and one that was deactivated here has to be activated first.
    with pytest.raises(AdapterError, match="never one of staff"):
        bind(make_grant("usr_jonas", "jonas@opentrain.work"))
    users.create(address="ben@opentrain.work", is_staff=False, is_active=False)
    for step in (careful.grant_access, bind):
        with pytest.raises(AdapterError, match="is inactive"):
            step(make_grant("usr_ben", "BEN@opentrain.work"))

    # A stranger's account gives way, where the site wants that: each address is one account's.
    class Replacing(DjangoUsersAdapter):
        replace_unproven_accounts = True

    stranger = users.create(address="Eva@OpenTrain.work", is_staff=False)
    eva = users.get(pk=Replacing().grant_access(make_grant("usr_eva", "eva@opentrain.work")))
    stranger.refresh_from_db()
    assert (eva.address, stranger.is_active) == ("eva@opentrain.work", False)
    assert stranger.address.endswith("@replaced.invalid")

    # A new Work Email that another account has, in other letters.
    grant = make_grant("usr_ana", "ana@opentrain.work")
    adapter.grant_access(grant)
    grant.participant.work_email = "Jonas@opentrain.work"
    with pytest.raises(AdapterError, match="can't take the trainer's new Work Email"):
        adapter.grant_access(grant)

    assert adapter.check_revocation() is None
    print("as it should be")  # noqa: T201 - what the test looks for


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.admin.emailusers.settings"
    django.setup()
    main()
