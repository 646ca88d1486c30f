"""Opens every page of the admin, and withdraws a grant, on a site whose users have no username."""

from __future__ import annotations

import os
from typing import Any

import django
from django.core.management import call_command
from django.test import Client
from django.urls import reverse


def main() -> None:
    """Ends with an error where a page doesn't open."""
    from django.contrib.auth import get_user_model

    from django_opentrain.admin import ADMINS
    from django_opentrain.models import AccessGrant, ConsentRequest, Counter, TrainerAccount
    from django_opentrain.services.workers import heartbeat
    from tests import factories

    call_command("migrate", run_syncdb=True, verbosity=0)
    users: Any = get_user_model()._default_manager  # the user model of another settings module
    root = users.create(address="root@site.example", is_superuser=True)
    trainer = users.create(address="maria.planted@opentrain.work", is_staff=False)
    install = factories.make_install(connected_by=root)
    link, person = factories.make_link(install), factories.make_participant(install)
    contract = factories.make_contract(install, [link])
    grant = factories.make_grant(contract, link, person)
    factories.make_event(factories.make_endpoint(install))
    factories.make_usage(contract)
    factories.make_objection(contract, text="too few hours")
    factories.make_work(grant, contract.created_at)
    heartbeat.beat()
    Counter.objects.create(metric=Counter.Metric.EVENTS, label="contract.ended", detail="PROCESSED")
    TrainerAccount.objects.create(user=trainer, opentrain_user_id=person.opentrain_user_id)
    ConsentRequest.objects.create(user=root, tenant="acme", state="0" * 64, expires_at=install.created_at)

    client = Client()
    client.force_login(root)
    for model in ADMINS:
        name = f"admin:django_opentrain_{model._meta.model_name}"
        row = model._default_manager.get()
        for url in (reverse(f"{name}_changelist") + "?q=maria", reverse(f"{name}_change", args=[row.pk])):
            response = client.get(url)
            assert response.status_code == 200, url
            assert b"maria.planted" not in response.content, url

    client.post(
        reverse("admin:django_opentrain_accessgrant_changelist"),
        {"action": "revoke", "_selected_action": str(grant.pk), "confirmed": "yes"},
    )
    assert AccessGrant.objects.get().cause == "operator root@site.example"
    print("all pages open")  # noqa: T201 - what the test looks for


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.admin.emailusers.settings"
    django.setup()
    main()
