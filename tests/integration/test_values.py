"""Any JSON through every door and back is equal, or refused with a clear error: Note [Values] in `json_values`."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from erip.access import keys
from erip.foundation import json_values
from tests.definitions import publish
from tests.support.api import Api, key
from tests.unit.erip.foundation.test_json_values import values
from workflows import engine, queries
from workflows.core.blocks import decode
from workflows.events import active
from workflows.graphs import graph_of
from workflows.library.models import DecisionVersion
from workflows.models import WorkflowRun, WorkflowVersion
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

ECHO = """
name: echo
steps:
  a: {uses: sample.echo, with: {value: "${{ input.v }}"}}
output: ${{ steps.a.output.value }}
"""
SIGNALLED = """
name: signalled
steps:
  w: {wait: {signal: go}}
output: ${{ steps.w.output.payload }}
"""
SIGNALLED_LATE = """
name: signalled-late
steps:
  a: {uses: sample.echo, with: {value: 1}}
  w: {needs: [a], wait: {signal: go}}
output: ${{ steps.w.output.payload }}
"""
HELD = "name: held\nsteps:\n  a: {uses: sample.block_once}\noutput: '${{ steps.a.output }}'\n"

ODD = [
    *("1e22", "1E+400", "10000000000000000000000", "18446744073709551615", "-0.0", "1e-999", "NaN", "Infinity"),
    *('"\\ud83d\\ude00"', '"\\ud800"', '"\\u0000"', '"\\ufffe"', '{"a":1,"a":2}', "[" * 50 + "]" * 50),
    *("[" * 65 + "]" * 65, '{"\\u0000":1}', '{"":{"\\\\":"\\""}}', "0.1234567890123456789012345", "1" * 400),
]
#: JSON as people and programs write it, and as nobody should
texts = st.one_of(
    values.map(json.dumps),
    values.map(lambda value: orjson.dumps(value).decode()),
    st.sampled_from(ODD),
)

Door = Callable[["World", str], Any]


class Refused(Exception):
    """Refused with a clear error."""


class World:
    def __init__(self, executor: Executor) -> None:
        keys.forget_cached()
        self.api = Api(key())
        self.executor = executor
        for definition in (ECHO, HELD, SIGNALLED, SIGNALLED_LATE):
            publish(definition)

    def send(self, method: str, path: str, text: str, **headers: str) -> Any:
        answer = self.api.send(method, path, text.encode(), **headers)
        if answer.status_code in (400, 422):
            problem = orjson.loads(answer.content)
            assert problem["faults"]
            assert all(fault["message"] for fault in problem["faults"])
            raise Refused(problem)
        assert 200 <= answer.status_code < 300, answer.content
        return orjson.loads(answer.content or "null")

    def input_of(self, run_id: str) -> Any:
        """As the API, the engine and Django read it; and a run that is started with it again has the same."""
        shown = orjson.loads(self.api.get(f"/runs/{run_id}").content)["input"]
        assert queries.run_detail(run_id)["input"] == shown
        assert WorkflowRun.objects.get(pk=run_id).input == shown
        engine.cancel_run(run_id, principal="test")
        again = engine.retry_run(run_id, principal="test")
        assert WorkflowRun.objects.get(pk=again.id).input == shown
        engine.cancel_run(again.id, principal="test")
        return shown["v"]


def run(world: World, text: str) -> Any:
    return world.input_of(world.send("POST", "/workflows/echo/runs", f'{{"input": {{"v": {text}}}}}')["id"])


def many_runs(world: World, text: str) -> Any:
    done = world.send("POST", "/runs/bulk", f'{{"workflow": "echo", "inputs": [{{"v": 0}}, {{"v": {text}}}]}}')
    return world.input_of(done["ids"][1])


def step(world: World, text: str) -> Any:
    run_id = world.send("POST", "/workflows/echo/runs", f'{{"input": {{"v": {text}}}}}')["id"]
    world.executor.execute([run_id])
    found = queries.run_detail(run_id)
    assert found["status"] == "SUCCEEDED", found
    return found["output"]


def resolved(world: World, text: str) -> Any:
    run_id = world.send("POST", "/workflows/held/runs", '{"input": {}}')["id"]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_steprun SET state = 'UNKNOWN', started_at = now() WHERE run_id = %s", [run_id])
    world.send("POST", f"/runs/{run_id}/steps/a/resolve", f'{{"outcome": "succeeded", "output": {{"value": {text}}}}}')
    return queries.run_detail(run_id)["output"]["value"]


def signal_given(world: World, text: str) -> Any:
    run_id = world.send("POST", "/workflows/signalled/runs", '{"input": {}}')["id"]
    assert world.send("POST", f"/runs/{run_id}/signals/go", f'{{"payload": {text}}}')["step"] == "w"
    return queries.run_detail(run_id)["output"]


def signal_kept(world: World, text: str) -> Any:
    run_id = world.send("POST", "/workflows/signalled-late/runs", '{"input": {}}')["id"]
    assert world.send("POST", f"/runs/{run_id}/signals/go", f'{{"payload": {text}}}')["step"] is None
    world.executor.execute([run_id])
    return queries.run_detail(run_id)["output"]


def trigger(world: World, text: str) -> Any:
    rule = f'{{"event": "door.in", "input": {{"v": {text}}}}}'
    world.send("PUT", "/triggers/door", f'{{"workflow": "echo", "rule": {rule}}}')
    shown = orjson.loads(world.api.get("/triggers/door").content)["rule"]["input"]["v"]
    active.forget()
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "door.in"}
    asked = active.active().book.ask(event)
    assert asked[0].input["v"] == shown, "what is in force is what is shown"
    return shown


def definition_json(world: World, text: str) -> Any:
    return definition(world, text, "application/json")


def definition_yaml(world: World, text: str) -> Any:
    return definition(world, text, "application/yaml")


def definition(world: World, text: str, media: str) -> Any:
    document = f'{{"name": "held-value", "steps": {{"a": {{"uses": "sample.echo", "with": {{"value": {text}}}}}}}}}'
    world.send("PUT", "/workflows/held-value", document, Content_Type=media)
    version = WorkflowVersion.objects.order_by("-number").filter(definition__name="held-value")[0]
    held = version.document["steps"]["a"]["with"]["value"]
    assert graph_of(version.pk).steps["a"].work.with_.value["value"] == held, "what is run is what is shown"
    return held


def event_type(world: World, text: str) -> Any:
    name = f"door.t{uuid.uuid4().hex}"
    world.send("PUT", f"/event-types/{name}", f'{{"schema": {{"examples": [{text}]}}}}')
    return orjson.loads(world.api.get(f"/event-types/{name}").content)["schema"]["examples"][0]


def structured(world: World, text: str) -> Any:
    return event(world, f'{{"specversion":"1.0","id":"{uuid.uuid4()}","source":"/s","type":"t","data":{text}}}', "")


def batch(world: World, text: str) -> Any:
    return event(
        world, f'[{{"specversion":"1.0","id":"{uuid.uuid4()}","source":"/s","type":"t","data":{text}}}]', "-batch"
    )


def event(world: World, text: str, kind: str) -> Any:
    world.send("POST", "/events", text, Content_Type=f"application/cloudevents{kind}+json")
    return journalled()


def binary(world: World, text: str) -> Any:
    named = {"ce-specversion": "1.0", "ce-id": str(uuid.uuid4()), "ce-source": "/s", "ce-type": "t"}
    world.send("POST", "/events", text, Content_Type="application/json", **named)
    return journalled()


def journalled() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_block RETURNING body")
        ((body,),) = cursor.fetchall()
    (entry,) = decode(bytes(body))
    return orjson.loads(entry.text)["data"]


def column(_: World, text: str) -> Any:
    """Reference data in the admin: its form's field, and the column."""
    field = DecisionVersion._meta.get_field("document")
    try:
        value = field.formfield(required=False).clean(text)
    except ValidationError as error:
        raise Refused(error.messages) from error
    if value is None:
        return None

    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [field.get_db_prep_save(value, connection)])
        (stored,) = cursor.fetchone()
    return field.from_db_value(stored, None, connection)


DOORS: list[Door] = [
    run, many_runs, step, resolved, signal_given, signal_kept, trigger, definition_json, definition_yaml, event_type,
    structured, batch, binary, column,
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_any_json_through_every_door_and_back_is_equal_or_refused(door: Door, executor: Executor) -> None:
    world = World(executor)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(texts)
    @example("1e22")
    @example('{"a": 1e22, "b": [1.5e300, -0.0, 5e-324, 18446744073709551615], "c": "\\ufffe \\ud83d\\ude00"}')
    @example("NaN")
    @example('{"a": 1, "a": 2}')
    @example('"\\u0000"')
    @example("18446744073709551616")
    def through(text: str) -> None:
        try:
            found = door(world, text)
        except Refused:
            # What a door refuses is not a JSON value, and no JSON value is refused. (A definition's text is YAML.)
            with pytest.raises((json_values.NotJson, json_values.NotAValue)):
                json_values.read(f"[{text}]", deepest=64)
        else:
            if door is not definition_yaml:
                assert found == json_values.read(text)

    through()
