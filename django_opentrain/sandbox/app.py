"""The whole sandbox behind one function, whatever the transport."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

from django_opentrain.platform.catalog import API_PATH
from django_opentrain.sandbox import api, control, faults, pages
from django_opentrain.sandbox.errors import ApiError, forbidden
from django_opentrain.sandbox.http import Request, Response, error_response, json_response
from django_opentrain.sandbox.marketplace import Marketplace
from django_opentrain.sandbox.models import Fault
from django_opentrain.sandbox.schema import SPEC

CONTROL_PATH = "/control/api/"


@dataclass(frozen=True)
class ApiCall:
    """One call of the API that came in, for tests that count them."""

    method: str
    path: str
    status: int


class SandboxApp:
    """Answers requests. Everything that it knows is the marketplace's."""

    def __init__(self, marketplace: Marketplace) -> None:
        self.marketplace = marketplace
        #: The latest API calls, oldest first; faults that replaced them included.
        self.calls: deque[ApiCall] = deque(maxlen=10_000)

    def handle(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Answer one request; header names may be in any case."""
        lower = {name.lower(): value for name, value in headers.items()}
        request = Request(method=method, path=path, query=query, headers=lower, body=body)
        return self._route(request)

    def _route(self, request: Request) -> Response:
        try:
            if request.path.startswith(API_PATH + "/"):
                return self._api(request)
            if request.method == "POST" and not _same_origin(request):
                raise forbidden("This was sent from another site")
            if request.path.startswith(CONTROL_PATH):
                return self._control(request)
            return pages.handle(self.marketplace, request)
        except ApiError as error:
            return error_response(error)

    def _control(self, request: Request) -> Response:
        verb = request.path[len(CONTROL_PATH) :]
        if request.method == "GET" and verb == "state":
            return json_response(control.state(self.marketplace))
        if request.method != "POST":
            raise ApiError("BAD_REQUEST", "Use POST", status=405, headers={"Allow": "POST"})
        body = request.json() if request.body else {}
        return json_response(control.run(self.marketplace, verb, body))

    def _api(self, request: Request) -> Response:
        path = request.path[len(API_PATH) :]
        fault = faults.take(self.marketplace.store, request.method, path)
        response = None if fault is None else self._refusal(fault)
        if response is None:
            response = self._answer(request, path)
            if fault is not None:
                response = faults.with_fault(response, fault)
        self.calls.append(ApiCall(request.method, path, response.status))
        return response

    def _refusal(self, fault: Fault) -> Response | None:
        store = self.marketplace.store
        return faults.refusal(fault, store.readings.rate_limit, store.clock.wall())

    def _answer(self, request: Request, path: str) -> Response:
        if (request.method, path) == ("GET", "/openapi.json"):
            return json_response(self.spec())
        try:
            status, value = api.handle(self.marketplace.store, request, path)
        except ApiError as error:
            return error_response(error)
        return json_response(value, status=status)

    def spec(self) -> dict[str, object]:
        """The served OpenAPI document, with this sandbox as its server."""
        return {**SPEC, "servers": [{"url": self.marketplace.base_url + API_PATH}]}

    def date_header(self) -> str:
        """The real time, as HTTP writes it."""
        return formatdate(self.marketplace.clock.wall(), usegmt=True)


def _same_origin(request: Request) -> bool:
    """Browsers name the origin of a POST: no other site may submit our forms."""
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")
