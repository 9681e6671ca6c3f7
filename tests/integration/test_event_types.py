"""The registry of event types: each version accepts all that the last one did; and the checks of incoming events."""

from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from django.core.management import call_command
from django.db import Error, connection, transaction

from erip.access.scopes import Scope
from tests.support.api import Api, key
from tests.support.events import event
from tests.support.races import together
from workflows.core.schema import Schema
from workflows.events import types
from workflows.events.models import EventType, EventTypeVersion

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["host"],
    "additionalProperties": False,
    "properties": {"host": {"type": "string"}, "severity": {"enum": ["low", "high"]}},
}


@pytest.fixture
def api() -> Api:
    return Api(key(Scope.AUTHOR))


def put(api: Api, name: str, schema: Any, **extra: Any) -> Any:
    return api.send("PUT", f"/event-types/{name}", orjson.dumps({"schema": schema, **extra}))


def post(api: Api, *events: dict[str, Any]) -> Any:
    return api.send("POST", "/events", orjson.dumps(list(events)), Content_Type="application/cloudevents-batch+json")


def wider(**properties: Any) -> dict[str, Any]:
    return {**SCHEMA, "properties": {**SCHEMA["properties"], **properties}}


def test_a_type_is_registered_and_changed_and_every_version_stays(api: Api) -> None:
    first = put(api, "acme.found", SCHEMA, description="A finding.")
    assert (first.status_code, first.json()) == (201, {"type": "acme.found", "version": 1})
    assert put(api, "acme.found", SCHEMA, description="A finding.").status_code == 200
    assert put(api, "acme.found", wider(seen={"type": "string"})).json()["version"] == 2
    found = api.get("/event-types/acme.found").json()
    assert (found["version"], [one["version"] for one in found["versions"]]) == (2, [2, 1])
    assert found["versions"][1]["schema"] == SCHEMA
    assert found["author"].startswith("key:")
    assert [one["type"] for one in api.get("/event-types").json()["items"]] == ["acme.found"]


def test_a_version_that_may_refuse_what_was_accepted_is_refused_with_every_reason(api: Api) -> None:
    put(api, "acme.found", SCHEMA)
    worse = {
        **wider(severity={"enum": ["high"]}, host={"type": "string", "maxLength": 9}),
        "required": ["host", "severity"],
    }
    answer = put(api, "acme.found", worse)
    assert (answer.status_code, answer.json()["code"]) == (409, "schema-incompatible")
    assert {fault["path"] for fault in answer.json()["faults"]} == {
        "schema.properties.severity",
        "schema.properties.host.maxLength",
    }
    assert EventType.objects.get().latest == 1


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"schema": {"type": "strin"}}, "schema.type"),
        ({"schema": {"$ref": "file:///etc/passwd"}}, "schema.$ref"),
        ({"schema": {"$ref": "https://example.org/x.json"}}, "schema.$ref"),
        ({"schema": []}, "schema"),
        ({}, "schema"),
        ({"schema": {}, "force": True}, "force"),
    ],
)
def test_a_type_that_is_not_one_is_refused_with_its_faults(api: Api, body: Any, path: str) -> None:
    answer = api.send("PUT", "/event-types/acme.found", orjson.dumps(body))
    assert answer.status_code == 422
    assert path in [fault["path"] for fault in answer.json()["faults"]]
    assert not EventType.objects.exists()


def test_only_authors_register_and_an_unknown_type_is_not_there(api: Api) -> None:
    assert put(Api(key(Scope.OPERATOR)), "acme.found", SCHEMA).status_code == 403
    assert Api(key(Scope.VIEWER)).get("/event-types/acme.found").status_code == 404


def test_events_of_a_registered_type_are_checked_as_they_come_in(api: Api) -> None:
    put(api, "acme.found", SCHEMA)
    good = event(type="acme.found", data={"host": "h", "severity": "high"})
    bad = event(type="acme.found", data={"severity": "medium", "extra": 1})
    answer = post(api, good, event(type="acme.unknown", data={"anything": 1}), bad, event(type="acme.found", data=None))
    assert (answer.status_code, answer.json()["code"]) == (422, "events-invalid")
    paths = [fault["path"] for fault in answer.json()["faults"]]
    assert paths[:3] == ["[2].data.extra", "[2].data.host", "[2].data.severity"]
    assert paths[3:] == ["[3].data"]
    assert post(api, good, event(type="acme.unknown", data={"anything": 1})).status_code == 202


def test_data_that_is_missing_or_not_json_is_named(api: Api) -> None:
    put(api, "acme.found", SCHEMA)
    without, packed = event(type="acme.found"), event(type="acme.found", data_base64="AAAA")
    del without["data"], packed["data"]
    answer = post(api, without, packed)
    assert [fault["path"] for fault in answer.json()["faults"]] == ["[0].data", "[1].data_base64"]


def test_a_new_version_is_checked_against_at_once_where_it_was_registered(api: Api) -> None:
    put(api, "acme.found", SCHEMA)
    one = event(type="acme.found", data={"host": "h", "seen": "today"})
    assert post(api, one).status_code == 422
    put(api, "acme.found", wider(seen={"type": "string"}))
    assert post(api, one).status_code == 202


def test_a_version_cannot_be_changed_in_the_database(api: Api) -> None:
    put(api, "acme.found", SCHEMA)
    for statement in ("UPDATE events_eventtypeversion SET author = 'x'", "DELETE FROM events_eventtypeversion"):
        with pytest.raises(Error, match="Cannot update or delete"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_those_who_register_a_type_at_once_make_one_version_each() -> None:
    def register(number: int) -> int:
        # Each of these accepts everything that the others accept.
        return types.register("acme.found", {"type": "object", "title": str(number)}, author="t").number

    numbers = together([partial(register, number) for number in range(4)])
    assert sorted(numbers) == [1, 2, 3, 4]


def test_bootstrap_registers_the_platforms_types_once_and_leaves_what_others_made_of_them(api: Api) -> None:
    theirs = {"type": "object", "title": "ours"}
    put(api, "prism.risk.quantified", theirs)
    assert types.register_platform_types() == 9
    assert types.register_platform_types() == 0
    assert EventTypeVersion.objects.get(type__name="prism.risk.quantified").schema == theirs
    named = set(EventType.objects.values_list("name", flat=True))
    assert {
        "nexus.threat.intelligence.updated",
        "nexus.threat.detected",
        "atlas.vulnerability.discovered",
        "compass.regulation.detected",
        "compass.compliance.gap.identified",
        "compass.questionnaire.completed",
        "prism.risk.quantified",
        "trust_engine.score.requested",
        "workflow.step.completed",
        "workflow.step.failed",
    } == named


def test_the_command_loads_the_platforms_types() -> None:
    call_command("bootstrap", "--json")
    assert EventType.objects.count() == 10


def test_every_object_of_the_platforms_schemas_is_closed_or_says_that_it_is_open() -> None:
    for name, entry in yaml.safe_load(Path(types.FIXTURE).read_text()).items():
        Schema.compile(entry["schema"])
        assert entry["schema"]["additionalProperties"] is False, name
