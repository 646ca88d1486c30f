from __future__ import annotations

import json
import re
import time
import traceback
from unittest import mock

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from django_opentrain.admin.bodies import linked, readable_body, whole_body
from django_opentrain.admin.row_links import RowLinks
from django_opentrain.models import (
    Contract,
    Install,
    Participant,
    ProjectLink,
    WebhookEndpoint,
    WebhookEvent,
)
from django_opentrain.platform.redaction import MAX_MASKED
from tests import factories
from tests.admin.browsing import text_of, url
from tests.admin.conftest import EMAIL, HOSTILE, Scene, logged_in, make_staff


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"to":"maria@opentrain.work"}', '{\n  "to": "m\u2022\u2022\u2022@opentrain.work"\n}'),
        (b'{"a":"\\ud800"}', '{\n  "a": "\\ud800"\n}'),
        (b"maria@opentrain.work \xff", "m\u2022\u2022\u2022@opentrain.work \\xff"),
        (b'{"to": "maria\\u0040opentrain.work"', '{"to": "m\u2022\u2022\u2022\\u0040opentrain.work"'),
        (b"", ""),
    ],
)
def test_bodies(body: bytes, shown: str) -> None:
    assert readable_body(body) == shown


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"text": "x" * 262_000}),
        "x" * 262_000,
        '{"a":' + "[" * 900 + "0," * 100_000 + "0" + "]" * 900 + "}",
        '{"a":' + "[" * 5_000 + "]" * 5_000 + "}",
        json.dumps({"list": [0] * 80_000}),
    ],
    ids=["a long text", "no JSON", "deep and long", "too deep", "a long list"],
)
def test_the_longest_bodies_are_shown_at_once(body: str) -> None:
    began = time.thread_time()
    shown = readable_body(body.encode())
    assert time.thread_time() - began < 2
    assert len(shown) <= MAX_MASKED + 1


@pytest.mark.parametrize(
    "piece",
    ["x", "@", "maria@opentrain.work ", "bearer ", "authorization:", "ot_ptk_", "%40", "v1=0", "\\u0040"],
)
@pytest.mark.parametrize("shape", ['{{"a":"{}"}}', "{}"], ids=["JSON", "no JSON"])
def test_four_times_the_text_takes_about_four_times_as_long(piece: str, shape: str) -> None:
    def seconds(length: int) -> float:
        body = shape.format(piece * (length // len(piece))).encode()
        began = time.thread_time()
        readable_body(body)
        return time.thread_time() - began

    assert min(seconds(250_000) for _ in range(3)) < 10 * max(seconds(62_500), 0.004)


# Whole, for those who may see it -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"to":"maria@opentrain.work"}', '{\n  "to": "maria@opentrain.work"\n}'),
        (b'{"a":"\\ud800"}', '{\n  "a": "\\ud800"\n}'),
        (b"maria@opentrain.work \xff", "maria@opentrain.work \\xff"),
    ],
)
def test_whole_bodies(body: bytes, shown: str) -> None:
    assert whole_body(body) == shown


def test_a_whole_body_lacks_nothing_however_long_it_is() -> None:
    long = json.dumps({"text": "x" * 262_000, "last": "end"}).encode()
    assert whole_body(long).endswith('"last": "end"\n}')
    deep = ('{"a":' + "[" * 900 + "0," * 100_000 + "0" + "]" * 900 + "}").encode()
    assert whole_body(deep) == deep.decode()


@pytest.fixture
def known(scene: Scene) -> Scene:
    """The scene, with an event that names its rows."""
    install, link = scene[Install], scene[ProjectLink]
    data = {
        "contract": {"id": scene[Contract].opentrain_id},
        "freelancer": {"opentrainUserId": scene[Participant].opentrain_user_id, "workEmail": EMAIL},
        "projectLink": {"id": link.opentrain_id, "externalProjectId": "1", "hours": "1", "1": "x"},
        "unknown": "ctr_unknown",
        "text": HOSTILE,
        "installId": install.opentrain_id,
    }
    ProjectLink.objects.update(external_project_id="1")
    scene[WebhookEvent] = factories.make_event(scene[WebhookEndpoint], data=data)
    return scene


def page_of(user: User, scene: Scene) -> str:
    return text_of(logged_in(user).get(url(WebhookEvent, "change", scene[WebhookEvent].pk)))


def body_in(page: str) -> str:
    found = re.search(r'<pre class="opentrain-body"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found
    return found[1]


def test_a_body_is_unmasked_for_those_with_the_permission_and_that_is_recorded(known: Scene) -> None:
    reader, operator = make_staff("reader", "view", "view_payload"), make_staff("ada", "view", "change")
    assert EMAIL not in page_of(operator, known)
    assert "m\u2022\u2022\u2022@opentrain.work" in page_of(operator, known)
    assert not LogEntry.objects.exists()
    assert EMAIL in page_of(reader, known)
    entry = LogEntry.objects.get()
    assert (entry.user_id, entry.object_id) == (reader.pk, str(known[WebhookEvent].pk))
    assert "Viewed the body" in entry.change_message
    assert EMAIL not in entry.change_message + entry.object_repr


@pytest.mark.parametrize("kind", ["view", "change"])
def test_nothing_is_recorded_where_there_is_nothing_to_see(kind: str, known: Scene) -> None:
    WebhookEvent.objects.update(body=None)
    assert 'opentrain-body"' in page_of(make_staff("reader", kind, "view_payload"), known)
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("kinds", [("view",), ("view", "view_payload")])
def test_ids_in_a_body_lead_to_their_rows(kinds: tuple[str, ...], known: Scene) -> None:
    body = body_in(page_of(make_staff("reader", *kinds), known))
    links = {
        Contract: known[Contract].opentrain_id,
        Participant: known[Participant].opentrain_user_id,
        Install: known[Install].opentrain_id,
    }
    for model, text in links.items():
        assert f'<a href="{url(model, "change", known[model].pk)}">{text}</a>' in body
    link = url(ProjectLink, "change", known[ProjectLink].pk)
    assert f'<a href="{link}">{known[ProjectLink].opentrain_id}</a>' in body
    assert f'&quot;externalProjectId&quot;: &quot;<a href="{link}">1</a>&quot;' in body
    assert "&quot;hours&quot;: &quot;1&quot;" in body
    assert body.count("<a ") == 5
    assert HOSTILE not in body


def test_ids_lead_to_no_other_customers_rows(known: Scene) -> None:
    other = factories.make_install(tenant="other")
    Contract.objects.update(install=other)
    ProjectLink.objects.update(install=other)
    body = body_in(page_of(make_staff("reader", "view"), known))
    assert body.count("<a ") == 2
    Install.objects.filter(pk=known[Install].pk).update(superseded_by=other)
    assert body_in(page_of(make_staff("another", "view"), known)).count("<a ") == 5


def test_ids_lead_only_to_what_the_reader_may_view(known: Scene) -> None:
    reader = factories.make_user("reader", is_staff=True)
    for codename in ("view_webhookevent", "view_contract"):
        reader.user_permissions.add(Permission.objects.get(codename=codename))
    body = body_in(page_of(reader, known))
    assert re.findall(r'<a href="([^"]+)"', body) == [url(Contract, "change", known[Contract].pk)]


def test_ids_are_looked_up_by_one_statement_for_each_model(known: Scene) -> None:
    request = RequestFactory().get("/")
    request.user = make_staff("reader", "view")
    links = RowLinks(admin.site, request)
    links.lead_to(Contract)  # its permissions are read once
    ids = [f"ctr_{number}" for number in range(5000)]
    with CaptureQueriesContext(connection) as captured:
        linked(json.dumps(ids), known[Install], links)
    assert len(captured) == 3
    with CaptureQueriesContext(connection) as captured:
        linked("{}", known[Install], links)
    assert len(captured) == 0


def test_what_no_database_stores_is_not_looked_up(known: Scene) -> None:
    body = b'not JSON: "ctr_\x00" "' + known[Contract].opentrain_id.encode() + b'"'
    known[WebhookEvent].body = body
    known[WebhookEvent].save()
    assert body_in(page_of(make_staff("reader", "view", "view_payload"), known)).count("<a ") == 1


def test_an_error_on_the_page_shows_no_address(known: Scene) -> None:
    with (
        mock.patch("django_opentrain.admin.bodies._urls", side_effect=LookupError),
        pytest.raises(LookupError) as raised,
    ):
        page_of(make_staff("reader", "view", "view_payload"), known)
    ours = [
        frame for frame, _line in traceback.walk_tb(raised.tb) if "/tests/" not in frame.f_code.co_filename
    ]
    assert ours
    assert not [frame for frame in ours if EMAIL in repr(frame.f_locals)]
