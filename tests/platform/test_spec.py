"""The served spec against this package: tried against documents that were changed on purpose."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import django_opentrain.sandbox
from django_opentrain.platform import catalog, operations
from django_opentrain.platform.spec import Kind, NotASpecError, compare
from django_opentrain.platform.spec.expectations import EXCHANGES, Read, Sent
from tests.platform.spec_recorder import Recorder, recorded_calls

SERVED: dict[str, Any] = json.loads(
    (Path(django_opentrain.sandbox.__file__).parent / "openapi.json").read_text(encoding="utf-8")
)
BREAKING, NEW, HARMLESS = Kind.BREAKING, Kind.NEW, Kind.HARMLESS

#: The schemas of what is sent.
REQUESTS = (
    "CreateProjectLink",
    "UsageEntry",
    "ReportUsage",
    "CreateWebhookEndpoint",
    "UpdateWebhookEndpoint",
    "Redeliver",
)

Change = Callable[[dict[str, Any]], object]
MUTATIONS: list[Any] = []


def mutation(kind: Kind, *texts: str) -> Callable[[Change], Change]:
    """A change of the document, the worst kind of difference it makes, and what has to be said."""

    def register(change: Change) -> Change:
        MUTATIONS.append(pytest.param(kind, texts, change, id=change.__name__))
        return change

    return register


def changed(change: Change) -> dict[str, Any]:
    document = copy.deepcopy(SERVED)
    change(document)
    return document


def schema(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]


def operation(document: dict[str, Any], method: str, path: str) -> Any:
    return document["paths"][path][method]


# Operations -----------------------------------------------------------------------------------


@mutation(BREAKING, "GET /contracts/{contract_id}/budget: was removed")
def removed_operation(document: dict[str, Any]) -> None:
    del document["paths"]["/contracts/{contractId}/budget"]


@mutation(
    BREAKING, "PATCH /webhook-endpoints/{endpoint_id}: was removed", "PUT /api/partner/v1/webhook-endpoints/"
)
def other_method(document: dict[str, Any]) -> None:
    path = document["paths"]["/webhook-endpoints/{endpointId}"]
    path["put"] = path.pop("patch")


@mutation(BREAKING, "was removed; there is /api/partner/v1/hiring/contracts")
def moved_path(document: dict[str, Any]) -> None:
    document["paths"]["/hiring/contracts"] = document["paths"].pop("/contracts")


@mutation(BREAKING, "GET /installs/current: was removed; there is /api/partner/v2/installs/current")
def other_version(document: dict[str, Any]) -> None:
    document["servers"] = [{"url": "https://app.opentrain.ai/api/partner/v2"}]


@mutation(NEW, "GET /api/partner/v1/jobs: is a new operation")
def new_operation(document: dict[str, Any]) -> None:
    document["paths"]["/jobs"] = {"get": {"responses": {"200": {"description": "Done."}}}}


@mutation(NEW, "GET /contracts: is deprecated")
def deprecated(document: dict[str, Any]) -> None:
    operation(document, "get", "/contracts")["deprecated"] = True


# Requests -------------------------------------------------------------------------------------


def _parameter(document: dict[str, Any], name: str) -> Any:
    parameters = operation(document, "get", "/contracts")["parameters"]
    return next(each for each in parameters if each["name"] == name)


@mutation(BREAKING, "query organizationId: is required, but not sent")
def new_required_parameter(document: dict[str, Any]) -> None:
    operation(document, "get", "/contracts")["parameters"].append(
        {"name": "organizationId", "in": "query", "required": True, "schema": {"type": "string"}}
    )


@mutation(BREAKING, "header X-Api-Version: is required, but not sent")
def new_required_header_for_a_path(document: dict[str, Any]) -> None:
    document["paths"]["/contracts/{contractId}/usage"]["parameters"].append(
        {"name": "X-Api-Version", "in": "header", "required": True, "schema": {"type": "string"}}
    )


@mutation(NEW, "query cursor: is new, but not sent")
def new_optional_parameter(document: dict[str, Any]) -> None:
    operation(document, "get", "/contracts")["parameters"].append({"name": "cursor", "in": "query"})


@mutation(BREAKING, "query projectLinkId: was removed", "query linkId: is new")
def renamed_parameter(document: dict[str, Any]) -> None:
    _parameter(document, "projectLinkId")["name"] = "linkId"


@mutation(BREAKING, "query limit: is required, but not always sent")
def parameter_that_became_required(document: dict[str, Any]) -> None:
    _parameter(document, "limit")["required"] = True


@mutation(BREAKING, "query limit: has the limit 100, where 200 is assumed")
def lower_limit(document: dict[str, Any]) -> None:
    _parameter(document, "limit")["schema"]["maximum"] = 100


@mutation(HARMLESS, "query limit: has the limit 500")
def higher_limit(document: dict[str, Any]) -> None:
    _parameter(document, "limit")["schema"]["maximum"] = 500


@mutation(BREAKING, "query status: no longer takes the value ended")
def enum_value_removed_from_what_is_sent(document: dict[str, Any]) -> None:
    _parameter(document, "status")["schema"] = {"type": "string", "enum": ["active"]}


@mutation(NEW, "query status: takes the new value paused")
def enum_value_added_to_what_is_sent(document: dict[str, Any]) -> None:
    _parameter(document, "status")["schema"] = {"type": "string", "enum": ["active", "ended", "paused"]}


@mutation(BREAKING, "body.reason: is required, but not sent")
def new_required_member(document: dict[str, Any]) -> None:
    body = schema(document, "CreateProjectLink")
    body["properties"]["reason"] = {"type": "string"}
    body["required"].append("reason")


@mutation(NEW, "body.colour: is new, but not sent")
def new_optional_member(document: dict[str, Any]) -> None:
    schema(document, "CreateProjectLink")["properties"]["colour"] = {"type": "string"}


@mutation(BREAKING, "body.jobId: is refused")
def member_that_is_refused(document: dict[str, Any]) -> None:
    del schema(document, "CreateProjectLink")["properties"]["jobId"]


@mutation(
    BREAKING,
    "body.entries[].totalSeconds: was removed, but is sent",
    "body.entries[].seconds: is new",
)
def renamed_member_of_a_list(document: dict[str, Any]) -> None:
    entry = schema(document, "UsageEntry")
    entry["properties"]["seconds"] = entry["properties"].pop("totalSeconds")
    del entry["additionalProperties"]


@mutation(BREAKING, "body.entries[].totalSeconds: takes string, where integer is sent")
def other_type_for_what_is_sent(document: dict[str, Any]) -> None:
    schema(document, "UsageEntry")["properties"]["totalSeconds"] = {"type": "string"}


@mutation(BREAKING, "body.entries[].workDate: has the format date-time, where date is sent")
def other_format_for_what_is_sent(document: dict[str, Any]) -> None:
    schema(document, "UsageEntry")["properties"]["workDate"]["format"] = "date-time"


@mutation(BREAKING, "body.eventTypes[]: takes object, where string is sent")
def other_items_for_what_is_sent(document: dict[str, Any]) -> None:
    schema(document, "CreateWebhookEndpoint")["properties"]["eventTypes"]["items"] = {"type": "object"}


@mutation(HARMLESS, "query status: doesn't list the values it takes")
def any_value_for_what_is_sent(document: dict[str, Any]) -> None:
    _parameter(document, "status")["schema"] = {"type": "string"}


@mutation(HARMLESS)
def wider_type_for_what_is_sent(document: dict[str, Any]) -> None:
    schema(document, "UsageEntry")["properties"]["totalSeconds"] = {"type": "number", "maximum": 86_400}


@mutation(BREAKING, "body.entries[]: has the limit 50, where 100 is assumed")
def fewer_items(document: dict[str, Any]) -> None:
    schema(document, "ReportUsage")["properties"]["entries"]["maxItems"] = 50


@mutation(BREAKING, "body.externalProjectId: has the limit 64")
def shorter_text(document: dict[str, Any]) -> None:
    schema(document, "CreateProjectLink")["properties"]["externalProjectId"]["maxLength"] = 64


@mutation(BREAKING, "body.jobId: takes only job_1")
def enum_for_what_was_free(document: dict[str, Any]) -> None:
    schema(document, "CreateProjectLink")["properties"]["jobId"]["enum"] = ["job_1"]


@mutation(BREAKING, "body: is no longer JSON")
def other_media_type(document: dict[str, Any]) -> None:
    content = operation(document, "post", "/project-links")["requestBody"]["content"]
    content["application/x-www-form-urlencoded"] = content.pop("application/json")


@mutation(BREAKING, "body: was removed, but is sent")
def body_that_is_gone(document: dict[str, Any]) -> None:
    del operation(document, "post", "/project-links")["requestBody"]


@mutation(BREAKING, "DELETE /project-links/{link_id}: body: is new, but not sent")
def body_that_is_new(document: dict[str, Any]) -> None:
    body = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    operation(document, "delete", "/project-links/{linkId}")["requestBody"] = body


# Responses --------------------------------------------------------------------------------------


@mutation(BREAKING, "response.participants[].workEmail: was removed", ".email: is new, but not read")
def renamed_field(document: dict[str, Any]) -> None:
    properties = schema(document, "Participant")["properties"]
    properties["email"] = properties.pop("workEmail")


@mutation(BREAKING, "response.contracts: was removed", "response.items: is new")
def renamed_envelope(document: dict[str, Any]) -> None:
    response = operation(document, "get", "/contracts")["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    response["properties"]["items"] = response["properties"].pop("contracts")


@mutation(NEW, "response.install.region: is new, but not read")
def new_field(document: dict[str, Any]) -> None:
    schema(document, "Install")["properties"]["region"] = {"type": "string"}


@mutation(BREAKING, "response.contracts[].title: may be object, where string is read")
def other_type(document: dict[str, Any]) -> None:
    schema(document, "Contract")["properties"]["title"] = {"type": "object"}


@mutation(BREAKING, "response.contracts[].projectLinkIds[]: may be object, where integer, string is read")
def other_items(document: dict[str, Any]) -> None:
    schema(document, "Contract")["properties"]["projectLinkIds"]["items"] = {"type": "object"}


@mutation(BREAKING, "response.contracts[]: may be string, where object is read")
def ids_instead_of_objects(document: dict[str, Any]) -> None:
    response = operation(document, "get", "/contracts")["responses"]["200"]["content"]["application/json"]
    response["schema"]["properties"]["contracts"]["items"] = {"type": "string"}


@mutation(HARMLESS, "paymentType: doesn't list its values")
def any_value(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["PaymentType"] = {"type": "string"}


@mutation(HARMLESS)
def types_that_are_read_as_well(document: dict[str, Any]) -> None:
    schema(document, "Contract")["properties"]["id"] = {"type": "integer"}
    schema(document, "Budget")["properties"]["fundedVolume"] = {"type": "string"}


@mutation(BREAKING, "response.contracts[].id: may be null, but is needed")
def what_is_needed_may_be_null(document: dict[str, Any]) -> None:
    schema(document, "Contract")["properties"]["id"] = {"type": "string", "nullable": True}


@mutation(HARMLESS)
def what_is_not_needed_may_be_null(document: dict[str, Any]) -> None:
    schema(document, "Contract")["properties"]["title"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}


@mutation(BREAKING, "response.contracts[].id: is optional, but needed")
def what_is_needed_became_optional(document: dict[str, Any]) -> None:
    schema(document, "Contract")["required"].remove("id")


@mutation(HARMLESS, "response.contracts[].id: is optional, but needed")
def a_sloppy_document(document: dict[str, Any]) -> None:
    del schema(document, "Contract")["required"]


@mutation(
    NEW,
    "eventTypes[]: has the new value contract.paused",
    "eventTypes[]: takes the new value contract.paused",
)
def new_event_type(document: dict[str, Any]) -> None:
    schema(document, "EventType")["enum"].append("contract.paused")


@mutation(BREAKING, "eventTypes[]: no longer takes the value install.revoked")
def event_type_that_is_gone(document: dict[str, Any]) -> None:
    schema(document, "EventType")["enum"].remove("install.revoked")


@mutation(HARMLESS, "every error.code: no longer has the value CONFLICT")
def enum_value_removed_from_what_is_passed_on(document: dict[str, Any]) -> None:
    schema(document, "Error")["properties"]["code"]["enum"].remove("CONFLICT")


@mutation(BREAKING, "response.install.status: no longer has the value ACTIVE")
def installs_that_are_never_active(document: dict[str, Any]) -> None:
    schema(document, "Install")["properties"]["status"]["enum"] = ["ENABLED", "REVOKED"]


@mutation(HARMLESS)
def installs_with_all_their_states(document: dict[str, Any]) -> None:
    schema(document, "Install")["properties"]["status"]["enum"] = ["ACTIVE", "REVOKED"]


@mutation(BREAKING, "eventTypes[]: has the limit 5, where 8 is assumed")
def fewer_event_types(document: dict[str, Any]) -> None:
    schema(document, "CreateWebhookEndpoint")["properties"]["eventTypes"]["maxItems"] = 5


@mutation(NEW, "every error.code: has the new value TEAPOT")
def new_error_code(document: dict[str, Any]) -> None:
    schema(document, "Error")["properties"]["code"]["enum"].append("TEAPOT")


@mutation(BREAKING, "GET /contracts: response: is not described as JSON")
def response_that_is_no_json(document: dict[str, Any]) -> None:
    response = operation(document, "get", "/contracts")["responses"]["200"]
    response["content"]["text/csv"] = response["content"].pop("application/json")


@mutation(BREAKING, "GET /contracts: response: is empty")
def response_that_is_empty(document: dict[str, Any]) -> None:
    del operation(document, "get", "/contracts")["responses"]["200"]["content"]


@mutation(HARMLESS)
def a_delete_without_a_response(document: dict[str, Any]) -> None:
    responses = operation(document, "delete", "/project-links/{linkId}")["responses"]
    del responses["200"]
    responses["204"] = {"description": "Done."}


# Authentication -------------------------------------------------------------------------------


@mutation(BREAKING, "GET /contracts: asks for apiKey, where a bearer token with contracts:read is sent")
def other_authentication(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"]["apiKey"] = {"type": "apiKey", "in": "header", "name": "X-Key"}
    operation(document, "get", "/contracts")["security"] = [{"apiKey": []}]


@mutation(BREAKING, "asks for installToken and mutual")
def more_authentication(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"]["mutual"] = {"type": "mutualTLS"}
    operation(document, "get", "/contracts")["security"] = [{"installToken": [], "mutual": []}]


@mutation(BREAKING, "GET /contracts: asks for installToken")
def other_scope(document: dict[str, Any]) -> None:
    operation(document, "get", "/contracts")["security"] = [{"installToken": ["work:read"]}]


@mutation(HARMLESS)
def scopes_that_we_have(document: dict[str, Any]) -> None:
    operation(document, "get", "/contracts")["security"] = [{"installToken": ["contracts:read"]}]
    operation(document, "post", "/project-links")["security"] = [{"installToken": ["project-links:read"]}]
    operation(document, "get", "/installs/current")["security"] = [{"apiKey": []}, {}]


# ----------------------------------------------------------------------------------------------


def test_nothing_differs_from_the_documented_api() -> None:
    assert compare(SERVED) == []


@pytest.mark.parametrize(("kind", "texts", "change"), MUTATIONS)
def test_changes_are_found_and_told_apart(kind: Kind, texts: tuple[str, ...], change: Change) -> None:
    found = compare(changed(change))
    assert max((each.kind for each in found), default=HARMLESS) == kind
    said = "\n".join(map(str, found))
    assert [text for text in texts if text not in said] == []
    assert bool(found) is bool(texts), "an alarm about nothing"
    assert found == sorted(found, key=lambda each: -each.kind)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("servers"),
        lambda document: document.update(servers=[{"url": "https://app.opentrain.ai/api/partner/v1/"}]),
        lambda document: document.update(openapi="3.0.3"),
        lambda document: document.update(
            servers=[{"url": "https://app.opentrain.ai"}],
            paths={f"/api/partner/v1{path}": node for path, node in document["paths"].items()},
        ),
        lambda document: document.update(
            paths=json.loads(json.dumps(document["paths"]).replace("contractId}", "id}"))
        ),
    ],
)
def test_other_ways_to_write_the_same_are_no_difference(change: Change) -> None:
    assert compare(changed(change)) == []


@pytest.mark.parametrize("document", [None, [], {}, {"openapi": "3.1.0"}, {"swagger": "2.0", "paths": {}}])
def test_what_is_no_spec_is_refused(document: object) -> None:
    with pytest.raises(NotASpecError):
        compare(document)


def test_a_schema_that_contains_itself_ends() -> None:
    def change(document: dict[str, Any]) -> None:
        schema(document, "Contract")["allOf"] = [{"$ref": "#/components/schemas/Contract"}]
        schema(document, "Scope")["$ref"] = "#/components/schemas/Scope"

    compare(changed(change))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def spots(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(each for key, child in children for each in spots(child, (*path, key)))]


SPOTS = [path for path in spots(SERVED) if path]


@given(st.sampled_from(SPOTS), json_values)
def test_no_document_makes_it_fail(path: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(SERVED)
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    try:
        compare(document)
    except NotASpecError:
        assert path[0] in ("openapi", "paths")


# Every value, member and type on which something depends -----------------------------------------

ACTED_ON = {
    "Scope": catalog.SCOPES,
    "EventType": catalog.EVENT_TYPES,
    "ProvisioningMode": catalog.PROVISIONING_MODES,
    "EndpointStatus": catalog.ENDPOINT_STATUSES,
    "ContractStatus": catalog.CONTRACT_STATUSES,
    "BudgetState": catalog.BUDGET_STATES,
    "PaymentType": catalog.PAYMENT_TYPES,
}


def worst(document: dict[str, Any]) -> Kind:
    return max((each.kind for each in compare(document)), default=HARMLESS)


@pytest.mark.parametrize(("name", "value"), [(name, each) for name in ACTED_ON for each in ACTED_ON[name]])
@pytest.mark.parametrize("instead", [(), ("other",)], ids=["removed", "renamed"])
def test_a_value_that_is_acted_on_and_vanished_breaks(
    name: str, value: str, instead: tuple[str, ...]
) -> None:
    def change(document: dict[str, Any]) -> None:
        values = schema(document, name)["enum"]
        values.remove(value)
        values += instead

    found = compare(changed(change))
    assert any(each.kind == BREAKING and each.text == f"no longer has the value {value}" for each in found), (
        found
    )


def test_every_listed_value_is_one_of_these() -> None:
    """Else a schema of the document, or a value, would not be tried."""
    listed = {name: each["enum"] for name, each in SERVED["components"]["schemas"].items() if "enum" in each}
    assert {name: set(each) for name, each in listed.items()} == {
        name: set(each) for name, each in ACTED_ON.items()
    }


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """The object schema itself: behind references, lists and "or null"."""
    while True:
        options = [each for each in node.get("oneOf", ()) if each != {"type": "null"}]
        if "$ref" in node:
            node = schema(document, node["$ref"].rpartition("/")[2])
        elif options or "items" in node:
            node = options[0] if options else node["items"]
        else:
            return node


def places(expected: tuple[Read, ...], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Read]]:
    for each in expected:
        yield (*path, each.name), each
        yield from places(each.members, (*path, each.name))


def owner(document: dict[str, Any], each: operations.Operation, path: tuple[str, ...]) -> dict[str, Any]:
    """The schema of the object in a response that has the last member of ``path``."""
    served = {re.sub(r"\{.*?\}", "{}", name): node for name, node in document["paths"].items()}
    responses = served[re.sub(r"\{.*?\}", "{}", each.path)][each.method.lower()]["responses"]
    response = next(node for status, node in responses.items() if status[0] == "2")
    node = resolved(document, response["content"]["application/json"]["schema"])
    for name in path[:-1]:
        node = resolved(document, node["properties"][name])
    return node


READ = [
    pytest.param(each, path, read, id=f"{each.name}-{'.'.join(path)}")
    for each in operations.OPERATIONS
    for path, read in places(EXCHANGES[each].response)
]


@pytest.mark.parametrize(("each", "path", "read"), READ)
def test_each_member_that_is_read_is_missed(
    each: operations.Operation, path: tuple[str, ...], read: Read
) -> None:
    def remove(document: dict[str, Any]) -> None:
        del owner(document, each, path)["properties"][path[-1]]

    def retype(document: dict[str, Any]) -> None:
        owner(document, each, path)["properties"][path[-1]] = {"type": "boolean"}

    def make_optional(document: dict[str, Any]) -> None:
        required = owner(document, each, path).get("required", [])
        required[:] = [name for name in required if name != path[-1]]

    assert worst(changed(remove)) == BREAKING
    if "boolean" not in read.types:
        assert worst(changed(retype)) == BREAKING
    # An object without any required member is a sloppy document's.
    listed = set(owner(SERVED, each, path).get("required", ())) - {path[-1]}
    assert worst(changed(make_optional)) == (BREAKING if read.essential and listed else HARMLESS)


@pytest.mark.parametrize("name", REQUESTS)
def test_each_body_that_needs_more_breaks(name: str) -> None:
    def change(document: dict[str, Any]) -> None:
        body = schema(document, name)
        body["properties"]["reason"] = {"type": "string"}
        body.setdefault("required", []).append("reason")

    assert worst(changed(change)) == BREAKING


# The table against the code -------------------------------------------------------------------


def names_of(members: tuple[Read, ...] | tuple[Sent, ...], prefix: str = "") -> set[str]:
    found = set()
    for each in members:
        found |= {f"{prefix}{each.name}"} | names_of(each.members, f"{prefix}{each.name}.")
    return found


@pytest.fixture(scope="module")
def calls() -> Mapping[str, Recorder]:
    return recorded_calls()


def test_every_operation_is_in_the_table() -> None:
    assert set(EXCHANGES) == set(operations.OPERATIONS)


@pytest.mark.parametrize("each", operations.OPERATIONS, ids=lambda each: each.name)
def test_the_table_says_what_the_client_sends_and_reads(
    each: operations.Operation, calls: Mapping[str, Recorder]
) -> None:
    exchange, call = EXCHANGES[each], calls[each.name]
    assert call.sent == names_of(exchange.body)
    assert call.query == names_of(exchange.query)
    not_needed = {"contractId"} if each is operations.LIST_PARTICIPANTS else set()
    assert call.read == names_of(exchange.response) - not_needed
