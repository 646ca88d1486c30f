"""``manage.py opentrain_trigger contract.started``: have a sandbox send this site an event."""

from __future__ import annotations

import json
import time
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import requests
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_opentrain.conf import SETTINGS, conf
from django_opentrain.management.arguments import seconds
from django_opentrain.models import Install, WebhookEndpoint
from django_opentrain.platform.catalog import EVENT_TYPES

CONTROL: Final = "/control/api/"
POLL_SECONDS: Final = 0.2
#: OpenTrain itself, and every host under its domain.
REAL_HOST: Final = "opentrain.ai"

EPILOG: Final = """\
Examples:
  manage.py opentrain_trigger contract.started
  manage.py opentrain_trigger contract.started --set freelancer.displayName="Maria S."
  manage.py opentrain_trigger milestone.budget_low --set budget.consumedFraction=0.85
  manage.py opentrain_trigger contract.ended --contract ctr_1234 --sandbox http://127.0.0.1:8099
"""


class Command(BaseCommand):
    """See docs/how-to/test-your-site.md#one-event-by-hand."""

    help = "Have a local OpenTrain (opentrain_sandbox) send this site any event, with fields of your choice."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("event", choices=EVENT_TYPES, metavar="EVENT", help=", ".join(EVENT_TYPES))
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument("--install", help="OpenTrain's id of the install, or the tenant's name here")
        whose.add_argument(
            "--endpoint",
            type=UUID,
            metavar="KEY",
            help="the key of a webhook endpoint (in its URL), to select its install",
        )
        parser.add_argument(
            "--contract", metavar="ID", help="OpenTrain's id of the contract that it is about"
        )
        parser.add_argument(
            "--link", metavar="ID", help="OpenTrain's id of the project link that it is about"
        )
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="PATH=VALUE",
            help="a field of the event's data; the value is parsed as JSON if possible, else text. May be repeated",
        )
        parser.add_argument("--sandbox", metavar="URL", help="default: OPENTRAIN['BASE_URL']")
        parser.add_argument(
            "--wait",
            type=seconds,
            default=10,
            metavar="SECONDS",
            help="how long to wait for the site's response; 0: don't wait (default: 10)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        sandbox = SandboxControl(options["sandbox"] or conf.base_url)
        order = {
            "type": options["event"],
            "data": data_of(options["set"]),
            "installId": _install_id(options["install"], options["endpoint"]),
            "contractId": options["contract"],
            "linkId": options["link"],
        }
        order = {key: value for key, value in order.items() if value}
        event = sandbox.post("emit", order)["event"]
        self.stdout.write(f"Event {event['id']}: {event['type']} of {event['resourceId']}")
        self._report(sandbox, event["id"], options["wait"])

    def _report(self, sandbox: SandboxControl, event_id: str, wait: float) -> None:
        """Print how the site answered. Raises ``CommandError`` unless it accepted every delivery."""
        deliveries = sandbox.deliveries(event_id)
        if not deliveries:
            raise CommandError("Not sent: the install has no active webhook endpoint for this event.")
        if not wait:
            return
        deadline = time.monotonic() + wait
        while any(not each["attempts"] for each in deliveries) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            deliveries = sandbox.deliveries(event_id)
        for each in deliveries:
            self.stdout.write(f"{each['url']} → {_outcome(each)}")
        if any(each["status"] != "DELIVERED" for each in deliveries):
            raise CommandError("Not every delivery was accepted.")


class SandboxControl:
    """The control API of a sandbox. Raises ``CommandError`` for OpenTrain itself, and when there is no answer."""

    def __init__(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        if (
            url.rstrip("/") == SETTINGS["BASE_URL"].default
            or host == REAL_HOST
            or host.endswith(f".{REAL_HOST}")
        ):
            raise CommandError(
                f"{url} is OpenTrain itself, where events only come from what really happens. Start a local one with"
                " `manage.py opentrain_sandbox`, and name it with --sandbox or in OPENTRAIN['BASE_URL']."
            )
        self._url = url.rstrip("/") + CONTROL

    def post(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        """Do something on OpenTrain's side."""
        return self._call("POST", verb, json=body)

    def deliveries(self, event_id: str) -> list[dict[str, Any]]:
        """An event's deliveries and their attempts so far, each with its endpoint's ``url``."""
        state = self._call("GET", "state")
        urls = {endpoint["id"]: endpoint["url"] for endpoint in state["endpoints"]}
        of_event = (each for each in state["deliveries"] if each["eventId"] == event_id)
        return [{**each, "url": urls.get(each["endpointId"], "")} for each in of_event]

    def _call(self, method: str, verb: str, **arguments: Any) -> dict[str, Any]:
        try:
            response = requests.request(
                method,
                self._url + verb,
                timeout=(conf.connect_timeout, conf.read_timeout),
                allow_redirects=False,
                **arguments,
            )
            answer: dict[str, Any] = response.json()
        except requests.RequestException as error:
            raise CommandError(
                f"No sandbox answers at {self._url}: {type(error).__name__}. Start one with"
                " `manage.py opentrain_sandbox`."
            ) from None
        if response.status_code != requests.codes.ok:
            details = answer.get("details") or {}
            raise CommandError(
                f"The sandbox refused: {answer.get('error')} {json.dumps(details) if details else ''}"
            )
        return answer


def data_of(assignments: list[str]) -> dict[str, Any]:
    """``["contract.title=Boxes", "budget.consumedFraction=0.9"]`` as nested objects. Raises ``CommandError``."""
    data: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = path.split(".")
        if not equals or not all(keys):
            raise CommandError(f"--set {assignment}: it has to look like contract.title=Boxes.")
        place = data
        for key in keys[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise CommandError(f"--set {assignment}: {key} was set to a value before.")
        place[keys[-1]] = _value(text)
    return data


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _install_id(install: str | None, endpoint: UUID | None) -> str:
    """OpenTrain's id of the chosen install; "" leaves it to the sandbox, which takes the newest."""
    if endpoint:
        row = WebhookEndpoint.objects.filter(key=endpoint).select_related("install").first()
        if row is None:
            raise CommandError(f"No webhook endpoint here has the key {endpoint}.")
        return row.install.opentrain_id or ""
    if not install:
        return ""
    of_tenant = Install.objects.live().filter(tenant=install).order_by("-pk").first()
    return install if of_tenant is None else of_tenant.opentrain_id or ""


def _outcome(delivery: dict[str, Any]) -> str:
    if not delivery["attempts"]:
        return "not sent yet"
    last = delivery["attempts"][-1]
    return f"HTTP {last['status']}" if last["status"] else str(last["error"])
