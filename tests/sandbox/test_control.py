"""The control API and the control page."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import requests

from django_opentrain.platform.catalog import EVENT_TYPES
from django_opentrain.sandbox import Sandbox, control, faults
from django_opentrain.sandbox.marketplace import VERBS
from django_opentrain.sandbox.models import Contract, Event, Fault, Job, Link, Organization
from tests.sandbox.conftest import Api, Receiver
from tests.sandbox.html import Page


class Control:
    """Calls the control API."""

    def __init__(self, sandbox: Sandbox, session: requests.Session) -> None:
        self.url = sandbox.base_url + "/control/api/"
        self.session = session
        self.status = 0

    def __call__(self, verb: str, **body: Any) -> Any:
        response = self.session.post(self.url + verb, json=body)
        self.status = response.status_code
        return response.json()

    def state(self) -> Any:
        return self.session.get(self.url + "state").json()


@pytest.fixture
def control_api(sandbox: Sandbox, session: requests.Session) -> Control:
    return Control(sandbox, session)


def test_a_whole_story(control_api: Control, sandbox: Sandbox, session: requests.Session) -> None:
    do = control_api
    organization = do("create_organization", name="Beta")["organization"]
    job = do("create_job", title="Boxes", organizationId=organization["id"], paymentType="PAY_PER_LABEL")[
        "job"
    ]
    approved = do(
        "approve",
        organizationId=organization["id"],
        redirectUri="http://localhost:1/cb",
        state="s",
        externalProjectId="9",
    )
    assert approved["returnUrl"].startswith("http://localhost:1/cb?opentrain_install_id=")
    assert approved["installId"] == approved["install"]["id"]
    api = Api(sandbox, session, approved["token"])
    endpoint_id = api.subscribe()
    api.post("/project-links", {"externalProjectId": "9", "jobId": job["id"]})
    hired = do("hire", name="Ana", workEmail="later", seconds=60)  # the job that was linked last
    contract = hired["contract"]
    assert contract["jobId"] == job["id"]
    assert hired["freelancer"]["workEmail"].endswith("@opentrain.work")
    assert hired["freelancer"]["opentrainUserId"] == contract["freelancerId"]
    again = do("hire", opentrainUserId=contract["freelancerId"], jobId=job["id"])
    assert again["freelancer"] == hired["freelancer"]
    assert do("hire", hired=False)["freelancer"] is None
    assert do("add_participant", contractId=contract["id"], name="Bo")["freelancer"]["displayName"] == "Bo"
    assert do("release_email", contractId=contract["id"])["freelancer"]["emailReleaseAt"]
    funded = do("fund", contractId=contract["id"], amountUsd=12.5, volume=100, name="First")
    assert funded["milestone"]["amountUsd"] == 12.5
    assert funded["budget"]["fundedVolume"] == 100
    worked = do("work", contractId=contract["id"], hours=0.5, labels=85)
    assert (worked["usage"]["totalSeconds"], worked["usage"]["labelsCompleted"]) == (1800, 85)
    assert worked["budget"]["state"] == "LOW"
    assert do("end", contractId=contract["id"])["contract"]["status"] == "ended"
    assert do("end", contractId=contract["id"])["code"] == "CONFLICT"
    before = do.state()["now"]
    assert do("advance", seconds=60)["now"] > before
    sandbox.deliver_due()
    state = do.state()
    assert state["budgets"][contract["id"]]["fundedVolume"] == 100
    delivery = state["deliveries"][-1]
    assert delivery["attempts"][0]["status"] == 204
    assert delivery["attempts"][0]["at"].endswith("Z")
    assert do("redeliver", endpointId=endpoint_id, deliveryId=delivery["id"]) == {"requeued": 1}
    assert do("redeliver", endpointId=endpoint_id, deliveryId="x")["code"] == "NOT_FOUND"
    assert do("disconnect")["install"]["id"] == approved["installId"]
    assert do("disconnect")["code"] == "NOT_FOUND"


def test_settings(control_api: Control) -> None:
    do = control_api
    app = do("create_app", slug="second", name="Second", redirectUris=["https://b.test/x"])["app"]
    assert app["redirectUris"] == ["https://b.test/x"]
    assert do("create_app", slug="second")["code"] == "BAD_REQUEST"
    changed = do("set_app", slug="second", active=False, scopes=["contracts:read"], linkLimit=3)["app"]
    assert (changed["active"], changed["scopes"], changed["linkLimit"]) == (False, ["contracts:read"], 3)
    assert changed["redirectUris"] == ["https://b.test/x"]
    assert do("set_organization", featureEnabled=False)["organization"]["featureEnabled"] is False
    assert do("set_organization")["organization"]["featureEnabled"] is True
    do("approve")
    install = do("set_install", scopes=["contracts:read"], piiConsent=False, status="SUSPENDED")["install"]
    assert (install["scopes"], install["piiConsent"], install["status"]) == (
        ["contracts:read"],
        False,
        "SUSPENDED",
    )
    fault = do("fault", kind="error", status=429, retryAfter="3", times=2, match="GET .*")["fault"]
    assert (fault["status"], fault["retryAfter"], fault["times"]) == (429, "3", 2)
    assert len(do.state()["faults"]) == 1
    assert do("clear_faults") == {"cleared": 1}
    assert do.state()["faults"] == []


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("hire", {"name": 7}),
        ("hire", {"worEmail": "now"}),
        ("hire", {"workEmail": "latter"}),
        ("end", {}),
        ("fund", {"contractId": "x", "amountUsd": "12"}),
        ("fund", {"contractId": "x", "amountUsd": -1}),
        ("fund", {"contractId": "x", "amountUsd": True}),
        ("work", {"contractId": "x", "hours": -1}),
        ("work", {"contractId": "x", "tasks": 1.5}),
        ("advance", {}),
        ("advance", {"seconds": -1}),
        ("fault", {"kind": "flood"}),
        ("emit", {"type": "contract.paused"}),
        ("emit", {"type": "install.revoked", "data": []}),
        ("emit", {"type": "install.revoked", "rawBody": 7}),
        ("set_app", {"active": "yes"}),
        ("set_app", {"scopes": ["all"]}),
        ("set_app", {"redirectUris": ["label.example/opentrain"]}),
        ("set_app", {"redirectUris": [f"https://{n}.test" for n in range(11)]}),
        ("create_app", {"slug": "s", "redirectUris": ["https://a.test/#x"]}),
        ("create_app", {"slug": "My App"}),
        ("create_app", {"slug": "x" * 51}),
        ("create_app", {"slug": "s", "name": "x" * 121}),
        ("clear_faults", {"x": 1}),
    ],
)
def test_bad_bodies_are_400(control_api: Control, verb: str, body: dict[str, Any]) -> None:
    control_api(verb, **body)
    assert control_api.status == 400


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("dance", {}),
        ("hire", {"jobId": "x"}),
        ("hire", {"opentrainUserId": "x"}),
        ("end", {"contractId": "x"}),
        ("work", {"contractId": "x", "hours": 1}),
        ("approve", {"organizationId": "x"}),
        ("approve", {"appSlug": "x"}),
        ("disconnect", {"installId": "x"}),
        ("redeliver", {"endpointId": "x"}),
        ("emit", {"type": "contract.started"}),
    ],
)
def test_what_does_not_exist_is_404(control_api: Control, verb: str, body: dict[str, Any]) -> None:
    control_api(verb, **body)
    assert control_api.status == 404


def test_an_inactive_app_gets_no_new_install(control_api: Control) -> None:
    control_api("set_app", active=False)
    assert control_api("approve")["code"] == "FORBIDDEN"
    assert control_api.state()["installs"] == []


def test_verbs_are_posted(sandbox: Sandbox, session: requests.Session) -> None:
    response = session.get(sandbox.base_url + "/control/api/hire")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_verbs_and_kinds_of_faults_are_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "sandbox.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert list(rows) == [*VERBS, *faults.KINDS]
    for verb in VERBS:
        arguments = re.sub(r"\(.*?\)", "", rows[verb]).partition(": ")[0]
        assert re.findall(r"`(\w+)`", arguments) == list(control.schema_of(verb)["properties"])


def test_the_state_has_no_secrets(
    control_api: Control, api: Api, sandbox: Sandbox, session: requests.Session
) -> None:
    del api
    token = sandbox.approve().token
    created = Api(sandbox, session, token).post(
        "/webhook-endpoints", {"url": "https://a.test/", "eventTypes": ["install.revoked"]}
    )
    text = session.get(control_api.url + "state").text
    assert created.body["secret"] not in text
    assert "whsec_" not in text
    assert "ot_ptk_" not in text
    assert "digest" not in text


# Any event on order ---------------------------------------------------------------------------


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_each_event_can_be_triggered_from_nothing(
    control_api: Control, api: Api, sandbox: Sandbox, receiver: Receiver, event_type: str
) -> None:
    api.subscribe()
    answer = control_api("emit", type=event_type)
    assert answer["event"]["type"] == event_type
    sandbox.deliver_due()
    assert receiver.types == [event_type]
    event = receiver.got[0].event
    assert event["resourceId"]
    assert event["data"]


def test_triggered_events_are_true(control_api: Control, api: Api, sandbox: Sandbox) -> None:
    link_id = api.link()
    control_api("emit", type="contract.started")
    (contract,) = api.get("/contracts").body["contracts"]
    assert contract["status"] == "active"
    control_api("emit", type="contract.ended")
    (contract,) = api.get("/contracts").body["contracts"]
    assert contract["status"] == "ended"
    control_api("emit", type="milestone.funded", contractId=contract["id"])
    assert api.get(f"/contracts/{contract['id']}/budget").body["fundedVolume"] == 10
    control_api("emit", type="project_link.removed", linkId=link_id)
    assert api.get("/project-links").body["projectLinks"] == []


def test_triggering_for_a_contract_and_link(
    control_api: Control, api: Api, sandbox: Sandbox, receiver: Receiver, job: Job
) -> None:
    api.link("1", job)
    contract, _ = sandbox.hire("T", job_id=job.id)
    elsewhere = sandbox.create_job("Elsewhere")
    unlinked, _ = sandbox.hire("U", job_id=elsewhere.id)
    api.subscribe("milestone.budget_low", "contract.started")
    sandbox.fund(contract.id, 10, 10)
    control_api(
        "emit",
        type="milestone.budget_low",
        contractId=contract.id,
        data={"budget": {"consumedFraction": 0.9}},
    )
    control_api("emit", type="contract.started", contractId=unlinked.id)
    sandbox.deliver_due()
    low, started = (each.event for each in receiver.got)
    assert low["data"]["budget"]["state"] == "LOW"
    assert low["data"]["budget"]["consumedFraction"] == 0.9
    assert low["data"]["budget"]["fundedVolume"] == 10
    assert started["data"]["projectLink"]["jobId"] == elsewhere.id
    assert len(sandbox.store.all(Link)) == 2


def test_a_raw_body_goes_out_signed_as_it_is(
    control_api: Control, api: Api, sandbox: Sandbox, receiver: Receiver
) -> None:
    api.subscribe()
    control_api("emit", type="contract.started", rawBody="{not json")
    sandbox.deliver_due()
    assert receiver.got[0].body == b"{not json"
    assert receiver.got[0].headers["X-OpenTrain-Event"] == "contract.started"


# The page -------------------------------------------------------------------------------------


def test_the_page_shows_everything(
    api: Api, sandbox: Sandbox, session: requests.Session, receiver: Receiver
) -> None:
    empty = Page(session.get(sandbox.base_url + "/").text)
    assert "No contracts yet" in empty.text
    api.link("Projekt <1>")
    api.subscribe(url="https://a.test/hook")
    contract, _ = sandbox.hire("Zoë <b>", work_email="later")
    sandbox.hire("Ann")
    sandbox.hire(hired=False)
    sandbox.fund(contract.id, 10, 10)
    receiver.status = 500
    sandbox.deliver_due()
    sandbox.fault("slow", seconds=2)
    sandbox.set_organization(feature_enabled=False)
    job = sandbox.create_job("Boxes")  # whose id a customer has to type in on the platform
    response = session.get(sandbox.base_url + "/")
    page = Page(response.text)
    for shown in (job.id, "Zoë <b>", "Projekt <1>", "https://a.test/hook", "HTTP 500", "slow", "feature off"):
        assert shown in page.text, shown
    assert "<b>" not in response.text
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.elements("script") == []
    assert not any("style" in attributes for attributes in page.elements("p"))
    targets = {str(form.get("action")) for form in page.elements("form")}
    verbs = {re.match(r"/control/(\w+)\?", target)[1] for target in targets}  # type: ignore[index]  # all match
    assert verbs <= set(VERBS)
    assert {"hire", "end", "fund", "work", "disconnect", "release_email", "redeliver", "fault"} <= verbs


def test_inputs_have_labels(api: Api, sandbox: Sandbox, session: requests.Session) -> None:
    api.link()
    sandbox.hire("T")
    text = session.get(sandbox.base_url + "/").text
    labelled = re.findall(r"<label><span>[^<]+</span>(<input|<select)", text)
    visible = re.findall(r'<select|<input type="(?:text|number)"', text)
    assert len(labelled) == len(visible) > 5


def test_small_screens_have_each_columns_name_beside_its_value(
    api: Api, sandbox: Sandbox, session: requests.Session
) -> None:
    api.link()
    api.subscribe()
    sandbox.hire("T")
    sandbox.fault("slow", seconds=2)
    page = Page(session.get(sandbox.base_url + "/").text)
    assert {"Trainer", "Budget", "Work Email", "Event", "Answer"} <= page.columns
    assert {cell["data-label"] for cell in page.elements("td")} < page.columns


def test_times_are_for_people_and_for_machines(api: Api, sandbox: Sandbox, session: requests.Session) -> None:
    api.link()
    start = datetime(2030, 1, 2, 3, 4, 30, tzinfo=timezone.utc).timestamp()
    sandbox.advance(start - sandbox.clock.now())
    contract, _ = sandbox.hire("T")
    for happens in (lambda: sandbox.fund(contract.id, 10, 10), lambda: sandbox.work(contract.id, hours=1)):
        sandbox.advance(3600)
        happens()
    sandbox.advance(86_400)
    sandbox.end(contract.id)
    times = Page(session.get(sandbox.base_url + "/").text).times
    assert all(moment.endswith("Z") for moment in times)
    shown = {moment[:16]: text for moment, text in times.items()}
    assert shown["2030-01-02T03:04"] == "2 Jan 2030, 03:04 UTC"  # hired
    assert shown["2030-01-02T04:04"] == "2 Jan 2030, 04:04 UTC"  # funded
    assert shown["2030-01-02T05:04"] == "2 Jan 2030, 05:04 UTC"  # reported last
    assert shown["2030-01-03T05:04"] == "3 Jan 2030, 05:04 UTC"  # ended


def press(sandbox: Sandbox, session: requests.Session, verb: str, **form: str) -> requests.Response:
    url = f"{sandbox.base_url}/control/{verb}?section=contracts"
    return session.post(url, data=form, allow_redirects=False)


def test_pressing_buttons(sandbox: Sandbox, session: requests.Session, job: Job) -> None:
    pressed = press(sandbox, session, "hire", name="Ana", workEmail="now", jobId=job.id)
    assert (pressed.status_code, pressed.headers["Location"]) == (303, "/#contracts")
    (contract,) = sandbox.store.all(Contract)
    assert (
        press(sandbox, session, "fund", contractId=contract.id, amountUsd="12.5", volume="2").status_code
        == 303
    )
    assert sandbox.budget(contract.id).funded_volume == 2
    form = {"contractId": contract.id, "hours": "1.5", "tasks": "", "labels": "7"}
    assert press(sandbox, session, "work", **form).status_code == 303
    assert (sandbox.budget(contract.id).seconds, sandbox.budget(contract.id).labels) == (5400, 7)
    assert press(sandbox, session, "set_app", active="false").status_code == 303
    assert (
        press(
            sandbox, session, "fault", kind="error", match=".*", times="3", status="", seconds=""
        ).status_code
        == 303
    )
    assert sandbox.store.all(Fault)[0].times == 3
    assert press(sandbox, session, "create_organization", name="New").status_code == 303
    assert [each.name for each in sandbox.store.all(Organization)] == ["Acme Robotics", "New"]


def test_a_button_that_fails_says_why(sandbox: Sandbox, session: requests.Session) -> None:
    failed = press(sandbox, session, "fund", contractId="x", amountUsd="much")
    assert failed.status_code == 400
    assert Page(failed.text).elements("p")
    assert "amountUsd" in failed.text
    assert press(sandbox, session, "dance").status_code == 404


def test_other_sites_can_not_press(sandbox: Sandbox, session: requests.Session) -> None:
    for path in ("/control/api/create_job", "/control/create_job", "/integrations/annotation-demo/connect"):
        for origin in ("https://evil.test", "null"):
            response = session.post(sandbox.base_url + path, json={"title": "x"}, headers={"Origin": origin})
            assert response.status_code == 403
    assert len(sandbox.store.all(Job)) == 2
    assert sandbox.store.all(Event) == []
    own = {"Origin": "http://127.0.0.1:8800", "Host": "127.0.0.1:8800"}
    allowed = session.post(sandbox.base_url + "/control/api/create_job", json={"title": "x"}, headers=own)
    assert allowed.status_code == 200


def test_a_trainers_profile(sandbox: Sandbox, session: requests.Session) -> None:
    _, trainer = sandbox.hire("Zoë <b>", country="PT", work_email="later")
    assert trainer is not None
    shown = session.get(trainer.profile_url)
    assert shown.status_code == 200
    assert "Zoë <b>" in Page(shown.text).text
    assert "PT" in Page(shown.text).text
    assert trainer.work_email not in shown.text
    assert session.get(trainer.profile_url + "x").status_code == 404


def test_a_page_that_is_not_there_is_one_for_people(sandbox: Sandbox, session: requests.Session) -> None:
    missing = session.get(sandbox.base_url + "/nothing")
    assert missing.headers["Content-Type"].startswith("text/html")
    assert "There is no such page" in Page(missing.text).text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/", 404),
        ("DELETE", "/", 405),
        ("POST", "/static/sandbox.css", 404),
    ],
)
def test_other_paths(
    sandbox: Sandbox, session: requests.Session, method: str, path: str, status: int
) -> None:
    assert session.request(method, sandbox.base_url + path).status_code == status


def test_the_stylesheet(sandbox: Sandbox, session: requests.Session) -> None:
    response = session.get(sandbox.base_url + "/static/sandbox.css")
    assert response.headers["Content-Type"].startswith("text/css")
    assert "prefers-color-scheme" in response.text
