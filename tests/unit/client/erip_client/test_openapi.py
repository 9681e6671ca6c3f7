"""The client and the server's OpenAPI document agree on every address, parameter, body and answer, in both directions:
what the API gains or loses fails here until the client follows."""

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Any

import orjson
import pytest
from drf_spectacular.generators import SchemaGenerator

from erip_client import AsyncClient, Client
from erip_client.calls import MODULES, Call
from erip_client.models import Document, RunFilter
from erip_client.operations import AsyncOperations, Awaits, Sends, SyncOperations

#: a value for each parameter of the functions, so that everything that can be sent is sent
SAMPLES: dict[str, Any] = {
    "run_id": "019abc4e-7b0f-7cc3-98d2-1f0c2a5d9e11",
    "id": "7",
    "number": 1,
    "version": 1,
    "limit": 5,
    "item": 0,
    "wait": 5,
    "cursor": "c",
    "input": {},
    "inputs": [{}],
    "schema": {},
    "rule": {},
    "definition": {"name": "x"},
    "events": {"type": "t", "source": "/s"},
    "types": ["t"],
    "labels": {},
    "networks": ["192.0.2.0/24"],
    "sources": ["*"],
    "rate": 60,
    "expires_at": "2026-11-25T00:00:00Z",
    "old_until": "2026-11-25T00:00:00Z",
    "ends_at": "2026-11-25T00:00:00Z",
    "end": "2026-11-25T00:00:00Z",
    "media": "application/yaml",
    "enabled": True,
    "dry_run": True,
    "retried": True,
    "expected_count": 1,
    "filter": dict.fromkeys(RunFilter.__annotations__, "some-text"),
    "created_after": "2026-11-25T00:00:00Z",
    "after": "2026-11-25T00:00:00Z",
    "before": "2026-11-25T00:00:00Z",
    "new_since": "2026-11-25T00:00:00Z",
}
#: parameters of the API that the client offers in another way: the header does the same
ELSEWHERE = {
    ("streamEvents", "last_event_id"),
    # an event is sent in structured mode only
    *(("acceptEvents", f"ce-{name}") for name in ("specversion", "id", "source", "type", "subject")),
    ("acceptEvents", "Content-Encoding"),
}


@cache
def document() -> dict[str, Any]:
    made = SchemaGenerator().get_schema(request=None, public=True)
    return orjson.loads(orjson.dumps(made))


def described() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """By operationId: path, method and description."""
    return {
        found["operationId"]: (path, method.upper(), found)
        for path, methods in document()["paths"].items()
        for method, found in methods.items()
    }


def functions() -> dict[str, Callable[..., Call[Any]]]:
    return {
        name: function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and function.__module__ == module.__name__ and makes_a_call(function)
    }


def makes_a_call(function: Callable[..., Any]) -> bool:
    return str(inspect.signature(function).return_annotation).startswith("erip_client.calls.base.Call")


def made(function: Callable[..., Call[Any]]) -> Call[Any]:
    """The call with every parameter given."""
    return function(**{name: SAMPLES.get(name, "some-text") for name in inspect.signature(function).parameters})


FUNCTIONS = functions()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_call_asks_for_what_the_document_describes(name: str) -> None:
    call = made(FUNCTIONS[name])
    path, method, found = described()[call.operation]
    assert (call.template, call.method) == (path, method)
    parameters = [
        (one["name"].lower(), one["in"])
        for one in found.get("parameters", [])
        if (call.operation, one["name"]) not in ELSEWHERE
    ]
    headers = [*call.headers, *(["Idempotency-Key"] if call.keyed else [])]
    sent = [(part, "path") for part in call.path] + [(part, "query") for part in call.query]
    sent += [(part.lower(), "header") for part in headers if part != "Accept"]
    assert sorted(sent) == sorted(parameters), f"{name} in erip_client/calls does not send what the API takes"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_body_has_the_fields_that_the_document_describes(name: str) -> None:
    call = made(FUNCTIONS[name])
    body = described()[call.operation][2].get("requestBody")
    assert (call.content is not None) == (body is not None)
    if body is None or call.operation == "acceptEvents":
        return
    assert call.media in body["content"]
    schema = resolved(body["content"][call.media]["schema"])
    if "properties" in schema:
        sent = orjson.loads(call.content or b"")
        assert sent.keys() == schema["properties"].keys(), f"{name} in erip_client/calls"


@pytest.mark.parametrize("name", [f"{name}FilterRequest" for name in ("Cancel", "Retry", "Pause", "Resume")])
def test_a_filter_has_the_fields_that_the_document_describes(name: str) -> None:
    assert RunFilter.__annotations__.keys() == document()["components"]["schemas"][name]["properties"].keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_answer_is_the_document_that_is_described(name: str) -> None:
    call = made(FUNCTIONS[name])
    answers = described()[call.operation][2]["responses"]
    good = {int(status) for status in answers if status < "300"}
    assert call.answers.keys() == good
    for status, wanted in call.answers.items():
        content = answers[str(status)].get("content")
        if wanted is None:
            assert content is None or "text/event-stream" in content
            continue
        schema = content["application/json"]["schema"]
        assert list(differences(wanted, schema, f"{call.operation} {status}")) == []


def differences(wanted: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
    """What the type and the schema disagree on."""
    schema = resolved(schema)
    if inspect.isclass(wanted) and issubclass(wanted, Document):
        fields = {field.alias or name: field for name, field in wanted.model_fields.items()}
        properties, required = schema.get("properties", {}), set(schema.get("required", []))
        for name in sorted(fields.keys() ^ properties.keys()):
            yield f"{place}.{name}: only {'in the client' if name in fields else 'in the API'}"
        for name, field in fields.items():
            if name in properties:
                if field.is_required() and name not in required:
                    yield f"{place}.{name}: may be absent"
                yield from differences(field.annotation, properties[name], f"{place}.{name}")
        return
    if wanted is Any:
        return
    types_of = schema.get("type")
    named = set(types_of if isinstance(types_of, list) else [types_of])
    if any("null" in str(one) or resolved(one).get("type") == "null" for one in schema.get("oneOf", [])):
        named |= {"null"}
    arms = set(typing.get_args(wanted)) if typing.get_origin(wanted) in (types.UnionType, typing.Union) else {wanted}
    if "null" in named and types.NoneType not in arms:
        yield f"{place}: may be null"
    arms.discard(types.NoneType)
    if len(arms) > 1:  # a cursor, which is handed back as it came
        assert arms == {str, int}, place
        return
    yield from _of_one(arms.pop(), schema, named, place)


def _of_one(arm: Any, schema: dict[str, Any], named: set[Any], place: str) -> Iterator[str]:
    origin = typing.get_origin(arm) or arm
    if inspect.isclass(arm) and issubclass(arm, Document):
        inner = next((one for one in schema.get("oneOf", [schema]) if resolved(one).get("type") != "null"), schema)
        yield from differences(arm, inner, place)
        return
    expected = {str: "string", datetime: "string", int: "integer", bool: "boolean", float: "number", list: "array",
                dict: "object"}[origin]  # fmt: skip
    if expected not in named and None not in named:
        yield f"{place}: {arm} in the client, {named} in the API"
    if (origin is datetime) != (schema.get("format") == "date-time"):
        yield f"{place}: {arm} in the client, format {schema.get('format')} in the API"
    if origin is list:
        yield from differences(typing.get_args(arm)[0], schema.get("items", {}), f"{place}[]")


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return resolved(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return resolved(schema["allOf"][0])
    return schema


def test_every_operation_has_its_call() -> None:
    offered = {made(function).operation for function in FUNCTIONS.values()}
    assert described().keys() - offered == set(), "add what the API has gained to erip_client/calls and operations.py"
    assert offered - described().keys() == set()


def test_both_clients_have_every_call_under_its_name() -> None:
    for owner, kind, client in ((SyncOperations, Sends, Client), (AsyncOperations, Awaits, AsyncClient)):
        methods = {name: value.make for name, value in vars(owner).items() if isinstance(value, kind)}
        methods.pop("ready")  # no part of the API
        assert methods | {"stream_events": FUNCTIONS["stream_events"]} == FUNCTIONS
        assert hasattr(client, "stream_events")


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda schema: schema["properties"].pop("lane"), "lane: only in the client"),
        (lambda schema: schema["properties"].update(tenant={"type": "string"}), "tenant: only in the API"),
        (lambda schema: schema["required"].remove("id"), "id: may be absent"),
        (lambda schema: schema["properties"].update(workflow={"type": ["string", "null"]}), "workflow: may be null"),
        (lambda schema: schema["properties"].update(version={"type": "string"}), "version: <class 'int'>"),
        (lambda schema: schema["properties"].update(created_at={"type": "string"}), "created_at: <class"),
    ],
)
def test_each_kind_of_drift_is_seen(change: Callable[[dict[str, Any]], Any], seen: str) -> None:
    schema = orjson.loads(orjson.dumps(document()["components"]["schemas"]["RunStarted"]))
    wanted = made(FUNCTIONS["start_run"]).answers[202]
    assert list(differences(wanted, schema, "here")) == []
    change(schema)
    assert any(seen in found for found in differences(wanted, schema, "here"))
