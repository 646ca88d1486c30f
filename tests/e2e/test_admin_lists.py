"""The admin's lists on a screen of usual size, with names and ids as long as they are in reality."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.test import Client
from django.utils import timezone

from django_opentrain.admin import ADMINS
from tests import factories
from tests.admin.browsing import url
from tests.e2e.browser import chromium

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ID = "_0f4c9d1b7a2e4f6d8c3b5a79"
PROBLEM = "PermissionError: the workspace refused the member: its plan's limit of seats is reached"
#: By how many pixels the list is wider than its place.
CUT = "const list = document.getElementById('result_list'); return list.scrollWidth - list.parentElement.clientWidth"


def make_long_rows() -> None:
    now = timezone.now()
    root = factories.make_user("root", is_staff=True, is_superuser=True)
    install = factories.make_install(
        "workspace_01HF8Z6W8T3M9QK2RZ5V7N4XJB", opentrain_id=f"ins{ID}", last_error=PROBLEM, removals_held=700
    )
    name = "Transcriptions of customers' calls in Brazilian and European Portuguese"
    link = factories.make_link(
        install,
        external_project_id=f"project{ID}",
        external_project_name=name,
        job_id=f"job{ID}",
        last_error=PROBLEM,
    )
    person = factories.make_participant(
        install, opentrain_user_id=f"usr{ID}", display_name="Wolfeschlegelsteinhausenbergerdorff K."
    )
    contract = factories.make_contract(
        install,
        [link],
        trainer=person,
        title=name,
        opentrain_id=f"ctr{ID}",
        payment_type="PAY_PER_LABEL",
        funded_volume="1250000.0000",
        consumed_fraction="0.8360",
        budget_state="DEPLETED",
        usage_reported_at=now - timedelta(hours=11, minutes=59),
        end_date=now.date(),
        report_error=PROBLEM,
    )
    grant = factories.make_grant(
        contract,
        link,
        person,
        state="FAILED",
        attempts=120,
        last_error=PROBLEM,
        next_attempt_at=now + timedelta(hours=2, minutes=50),
        cause=f"event evt{ID} contract.started",
    )
    factories.make_trainer_account(
        root, opentrain_user_id=f"usr{ID}", invitation="FAILED", invitation_error=PROBLEM
    )
    endpoint = factories.make_endpoint(install, opentrain_id=f"whe{ID}", last_error=PROBLEM, checked_at=now)
    factories.make_event(
        endpoint,
        "participant.work_email_assigned",
        event_id=f"evt{ID}",
        resource_id=f"ctr{ID}",
        status="PROCESSED",
        error=PROBLEM,
    )
    factories.make_usage(
        contract,
        date(2026, 3, 28),  # the widest month in English
        total_seconds=86340,
        tasks_completed=12000,
        labels_completed=1040000,
        status="REFUSED",
        error=PROBLEM,
        reported_at=now - timedelta(hours=11, minutes=59),
        worker_id=f"usr{ID}",
    )
    factories.make_objection(contract, text="I worked two hours more on that day. " * 4)
    factories.make_work(grant, now, object_id=f"object{ID}")
    factories.make_consent_request(root, install.tenant, external_project_id=f"project{ID}")


def test_all_columns_are_seen_at_1280_pixels(live_server: object) -> None:
    make_long_rows()
    client = Client()
    client.force_login(User.objects.get(username="root"))
    with chromium() as browser:
        browser.emulate(1280)
        browser.open(f"{live_server}/admin/login/")
        name = settings.SESSION_COOKIE_NAME
        browser.driver.add_cookie({"name": name, "value": client.cookies[name].value})
        cut: dict[type[models.Model], int] = {}
        for model in ADMINS:
            browser.open(f"{live_server}{url(model, 'changelist')}")
            if model._default_manager.exists():
                cut[model] = browser.driver.execute_script(CUT) + browser.overflow()
        assert len(cut) >= 12
        assert {model: pixels for model, pixels in cut.items() if pixels > 0} == {}
