"""What holds in every platform, in addition to the kit's own checks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.checks import run_checks
from django.test import Client

import django_opentrain
from django_opentrain.models import AccessGrant, Install, ProjectLink, WebhookEndpoint, WebhookEvent
from django_opentrain.platform.signing import sign
from django_opentrain.services import inbox, reconcile
from django_opentrain.services.access import grants
from django_opentrain.testing.conformance import AdapterConformance
from django_opentrain.testing.kit import OpenTrain

HOME, INSTALLS = "/opentrain/", "/opentrain/api/installs/"
PASSWORD = "correct horse battery staple"


class HostChecks(AdapterConformance):
    """The receiver, the customer's page, the API and the first login, through the platform's own middleware."""

    #: A user who manages ``tenant``, and one who doesn't.
    manager: Any
    stranger: Any

    # What they have to know of the platform -------------------------------------------------------

    def sign_in(self, email: str, password: str) -> Client:
        """A browser that has been through the platform's own login."""
        raise NotImplementedError

    def opens(self, client: Client, project_id: str, **headers: str) -> bool:
        """Whether the platform shows this project to ``client``."""
        raise NotImplementedError

    def keys(self, user: Any, browser: Client) -> Mapping[str, Mapping[str, str]]:
        """The headers of each kind of API token that the platform gives to ``user``, signed in with ``browser``."""
        raise NotImplementedError

    def remove_by_hand(self, grant: AccessGrant) -> None:
        """Remove the trainer as the platform's own page does it."""
        raise NotImplementedError

    def browser_of(self, user: Any) -> Client:
        """A browser with a session of ``user``, however they signed in."""
        browser = Client()
        browser.force_login(user)
        return browser

    def can_enter(self, grant: AccessGrant) -> bool:
        user = get_user_model()._default_manager.filter(pk=grant.host_user_ref or 0).first()
        return user is not None and self.opens(self.browser_of(user), grant.external_project_id)

    # ----------------------------------------------------------------------------------------------

    def test_the_package_is_the_wheels(self) -> None:
        """These environments show that what is released works there, and not only a checkout."""
        assert "site-packages" in Path(django_opentrain.__file__).parts

    def test_the_site_passes_our_checks(self) -> None:
        assert [message for message in run_checks() if str(message.id).startswith("opentrain.")] == []

    def test_a_signed_delivery_is_taken_and_a_forged_one_refused(self, linked: OpenTrain) -> None:
        endpoint = WebhookEndpoint.objects.get()
        body = json.dumps(
            {
                "id": "evt_1",
                "type": "project_link.created",
                "apiVersion": "v1",
                "resourceId": "lnk_1",
                "jobId": "job_1",
                "data": {
                    "projectLink": {
                        "id": "lnk_1",
                        "externalProjectId": self.other_project_id,
                        "jobId": "job_1",
                        "provisioningMode": "PARTNER_WEBHOOK",
                    }
                },
            }
        ).encode()
        before = WebhookEvent.objects.count()
        assert _deliver(endpoint, body, "whsec_forged", linked.now.timestamp()) == 400
        assert WebhookEvent.objects.count() == before
        assert _deliver(endpoint, body, endpoint.secret, linked.now.timestamp()) == 200
        inbox.drain()
        assert ProjectLink.objects.filter(opentrain_id="lnk_1").exists()

    def test_the_managers_page_and_list_open(self, linked: OpenTrain) -> None:
        browser = self.browser_of(self.manager)
        page = browser.get(HOME)
        assert page.status_code == 200
        assert "opentrain/home.html" in {template.name for template in page.templates}
        listed = browser.get(INSTALLS)
        assert listed.status_code == 200
        assert [install["id"] for install in listed.json()["results"]] == [Install.objects.get().pk]

    def test_nobody_elses_does(self, linked: OpenTrain) -> None:
        maria = linked.hire()
        linked.run()
        trainer = get_user_model()._default_manager.get(pk=maria.grant.host_user_ref)
        for user in (self.stranger, trainer):
            browser = self.browser_of(user)
            assert browser.get(HOME).status_code == 403
            assert browser.get(INSTALLS).status_code == 403
        assert Client().get(HOME).status_code == 302
        assert Client().get(INSTALLS).status_code == 401

    def test_a_forged_form_is_refused(self, linked: OpenTrain) -> None:
        """Also where the platform has switched these checks off."""
        browser = self.browser_of(self.manager)
        browser.handler.enforce_csrf_checks = True
        assert browser.post(f"{HOME}connect/").status_code == 403

    def test_a_trainer_signs_in_for_the_first_time_and_is_locked_out_at_the_end(
        self, linked: OpenTrain
    ) -> None:
        maria = linked.hire()
        linked.run()
        _choose_password(maria.work_email)
        browser = self.sign_in(maria.work_email, PASSWORD)
        assert self.opens(browser, self.project_id)
        user = get_user_model()._default_manager.get(pk=maria.grant.host_user_ref)
        keys = self.keys(user, browser)
        for name, headers in keys.items():
            assert self.opens(Client(), self.project_id, **headers), name

        linked.end(maria)
        linked.run()
        assert not self.opens(browser, self.project_id)
        for name, headers in keys.items():
            assert not self.opens(Client(), self.project_id, **headers), name
        assert not self.opens(self.sign_in(maria.work_email, PASSWORD), self.project_id)

    def test_a_removal_by_hand_stands_until_access_is_given_again(self, linked: OpenTrain) -> None:
        maria = linked.hire()
        linked.run()
        self.remove_by_hand(maria.grant)
        assert not self.can_enter(maria.grant)
        for _day in range(2):
            linked.travel(days=1)
            reconcile.request_all()
            linked.run()
            assert maria.grant.state == AccessGrant.State.REMOVED_BY_HAND
            assert not self.can_enter(maria.grant)

        grants.give_again(maria.grants)
        linked.run()
        assert self.can_enter(maria.grant)
        linked.end(maria)
        linked.run()
        assert not self.can_enter(maria.grant)


def _deliver(endpoint: WebhookEndpoint, body: bytes, secret: str, now: float) -> int:
    headers = {
        "X-OpenTrain-Event": "project_link.created",
        "X-OpenTrain-Delivery": "dlv_1",
        "X-OpenTrain-Signature": sign(secret, body, int(now)),
    }
    response = Client(enforce_csrf_checks=True).generic(
        "POST", f"{HOME}webhooks/{endpoint.key}/", body, content_type="application/json", headers=headers
    )
    return response.status_code


def _choose_password(email: str) -> None:
    """Follow the link in the last mail, as its reader does."""
    message = mail.outbox[-1]
    assert message.to == [email]
    link = re.search(r"https://\S+", str(message.body))
    assert link is not None
    done = submit(Client(), link[0], new_password1=PASSWORD, new_password2=PASSWORD)
    assert done.status_code == 302, done.content


def submit(browser: Client, url: str, **form: str) -> Any:
    """Fill in the form at ``url``, and send it as a browser does: over HTTPS, and with its CSRF token."""
    page = browser.get(url, secure=True, follow=True)
    target = page.redirect_chain[-1][0] if page.redirect_chain else url
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    data = {**form, "csrfmiddlewaretoken": token}
    return browser.post(target, data, secure=True, headers={"Origin": "https://testserver"})
