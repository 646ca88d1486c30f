"""Customers with hosts of their own: OpenTrain sends all of them back to one, where their session is not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client
from django.utils import translation

from django_opentrain.adapters.tenants import site_of
from django_opentrain.errors import AdapterError
from django_opentrain.models import ConsentRequest, Install
from django_opentrain.testing.kit import OpenTrain
from tests.web.adapter import NamesAdapter
from tests.web.conftest import Visitor
from tests.web.test_connect import approve, path_of, send, set_out

CALLBACK = "/opentrain/callback/"


class SubdomainsAdapter(NamesAdapter):
    """Each customer's own host."""

    url = "https://{tenant}.annotate.example"

    def customer_url(self, tenant: str) -> str:
        return self.url.format(tenant=tenant)


@pytest.fixture(autouse=True)
def _subdomains(settings: Any, _host_adapter: None) -> None:
    settings.OPENTRAIN = {**settings.OPENTRAIN, "ADAPTER": f"{__name__}.SubdomainsAdapter"}
    settings.ALLOWED_HOSTS = [".annotate.example"]


@pytest.fixture
def acme(visitor: Visitor) -> Client:
    """A manager's browser, at the customer's own host: the cookie is for that one."""
    client = visitor("acme-boss")
    client.defaults |= {"HTTP_HOST": "acme.annotate.example", "wsgi.url_scheme": "https"}
    return client


def public(path: str, client: Client | None = None) -> Any:
    """What the host answers to which OpenTrain redirects."""
    return (client or Client()).get(path, headers={"Host": "annotate.example"}, secure=True)


def test_the_way_back_leads_to_the_customers_host(acme: Client, opentrain: OpenTrain) -> None:
    parameters = set_out(acme, project="acme-2")
    assert parameters["redirect_uri"] == f"https://annotate.example{CALLBACK}"
    approval = approve(opentrain, parameters)
    answer = public(path_of(approval.return_url))
    assert answer.status_code == 302
    url = urlsplit(answer["Location"])
    assert (url.scheme, url.netloc, url.path) == ("https", "acme.annotate.example", CALLBACK)
    page = acme.get(f"{url.path}?{url.query}")
    assert page.status_code == 302, page.content
    assert send(acme, page["Location"], token=approval.token).status_code == 302
    assert Install.objects.get().status == Install.Status.ACTIVE


def test_only_what_opentrain_sends_is_forwarded(acme: Client) -> None:
    state = set_out(acme)["state"]
    query = {"state": state, "opentrain_install_id": "ins_1", "next": "//evil.example", "token": "ot_ptk_1"}
    url = public(f"{CALLBACK}?{urlencode(query)}")["Location"]
    assert urlsplit(url).query == urlencode(
        {"state": state, "opentrain_install_id": "ins_1", "forwarded": "1"}
    )


def test_another_browser_that_is_forwarded_gets_no_further(acme: Client, visitor: Visitor) -> None:
    """The state is the user's who set out."""
    state = set_out(acme)["state"]
    query = urlencode({"state": state, "opentrain_install_id": "ins_1", "forwarded": "1"})
    other = visitor("globex-boss")
    for client in (other, Client()):
        client.defaults |= {"HTTP_HOST": "acme.annotate.example"}
    assert other.get(f"{CALLBACK}?{query}").status_code == 400
    assert not Install.objects.exists()
    assert ConsentRequest.objects.get().used_at is None


@pytest.mark.parametrize("state", ["", "unknown", "https://evil.example/", "\x00", "x" * 9000])
def test_without_a_state_of_ours_no_one_is_forwarded(acme: Client, state: str) -> None:
    set_out(acme)
    answer = public(f"{CALLBACK}?{urlencode({'state': state, 'forwarded': ''})}")
    assert answer.status_code in (200, 302)
    assert "acme.annotate.example" not in answer.get("Location", "")
    assert "evil" not in urlsplit(answer.get("Location", "")).netloc


def test_it_is_forwarded_once(acme: Client) -> None:
    """Where a proxy hides the host, the customer's own isn't recognised."""
    query = urlencode({"state": set_out(acme)["state"], "forwarded": "1"})
    assert "acme.annotate.example" not in public(f"{CALLBACK}?{query}").get("Location", "")


def test_a_session_that_all_hosts_share_is_forwarded_too(acme: Client) -> None:
    query = urlencode({"state": set_out(acme)["state"]})
    assert urlsplit(public(f"{CALLBACK}?{query}", acme)["Location"]).netloc == "acme.annotate.example"


def test_one_host_for_all_forwards_no_one(acme: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SubdomainsAdapter, "url", "")
    assert public(f"{CALLBACK}?{urlencode({'state': set_out(acme)['state']})}").status_code == 200


@pytest.mark.parametrize(
    "url", ["acme", "//acme.example", "javascript:alert(1)", "https://a@b.example", None, 7]
)
def test_what_is_no_url_is_an_error_that_says_so(
    acme: Client, monkeypatch: pytest.MonkeyPatch, url: object
) -> None:
    monkeypatch.setattr(SubdomainsAdapter, "customer_url", lambda _adapter, _tenant: url)
    answer = public(f"{CALLBACK}?{urlencode({'state': set_out(acme)['state']})}")
    if url is None:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 409
        assert "customer_url" in answer.content.decode()


def test_the_error_is_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SubdomainsAdapter, "url", "acme")
    with translation.override("de"), pytest.raises(AdapterError, match="Der Adapter dieser Website"):
        site_of("acme")
