"""One stored row that cannot be used is left out and named, and everything else goes on."""

import json

import orjson
import pytest
from django.db import connection

from erip.access import keys
from tests.definitions import publish
from tests.support.api import Api, key
from tests.support.events import accept, consuming, event
from tests.unit.workflows.core.test_schema_cost import BOMBS
from tests.workers import until
from workflows import engine, queries
from workflows.core.definition import DefinitionInvalid
from workflows.core.machine import RunTimedOut
from workflows.errors import InvalidInput
from workflows.events import active, stored, types
from workflows.events.triggers import Triggers
from workflows.graphs import graph_of, load_latest_graphs
from workflows.leader import lost as lost_steps
from workflows.models import WorkflowRun, WorkflowVersion
from workflows.store import Report

pytestmark = pytest.mark.django_db(transaction=True)

BOMB = BOMBS["allOf"][0]
LISTENS = "name: listens\non: {event: probe.other, input: {}}\nsteps:\n  a: {uses: sample.echo, with: {value: 1}}\n"
HELD = "name: held\nsteps:\n  a: {uses: sample.echo, with: {value: 1}}\n"


def spoil(table: str, column: str, value: object, where: str) -> None:
    with connection.cursor() as cursor:
        # With the triggers that protect versions disabled.
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE {where}", [value])
        assert cursor.rowcount == 1
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    active.forget()
    types.forget()
    graph_of.cache_clear()


def test_a_stored_trigger_that_cannot_be_used_is_named_and_the_others_start_their_runs() -> None:
    publish(LISTENS)
    stored.put("broken", workflow="listens", rule={"event": "probe.x", "input": {}}, author="test")
    spoil("events_triggerversion", "rule", json.dumps({"event": 7, "input": {"x": 1e22}}), "true")

    accept([event(type="probe.other")])
    with consuming(Triggers()):
        until(WorkflowRun.objects.exists, what="the other rule has started its run")

    assert WorkflowRun.objects.get().workflow == "listens"
    keys.forget_cached()
    api = Api(key())
    (listed,) = orjson.loads(api.get("/triggers").content)["items"]
    assert "rule.event" in listed["problem"]
    assert orjson.loads(api.get("/triggers/broken").content)["problem"] == listed["problem"]


def test_a_type_whose_schema_is_not_taken_any_more_is_as_one_that_is_not_registered() -> None:
    types.register("probe.typed", {"type": "object", "required": ["a"]}, author="test")
    types.register("probe.bomb", {"type": "object"}, author="test")
    spoil("events_eventtypeversion", "schema", json.dumps(BOMB), "schema->>'required' IS NULL")
    check = types.checker()

    assert check({"type": "probe.bomb", "data": "x"}) == []
    assert [fault.path for fault in check({"type": "probe.typed", "data": {}})] == ["data.a"]


def test_a_version_whose_schema_is_not_taken_any_more_starts_no_runs_and_those_it_has_go_on(run_to_end) -> None:
    publish(HELD)
    kept = engine.start_runs("held", [engine.StartRequest({})], principal="test")[0].id
    other = engine.start_runs(publish(LISTENS), [engine.StartRequest({})], principal="test")[0].id
    source = json.dumps({"name": "held", "input": BOMB, "steps": {"a": {"uses": "sample.echo", "with": {"value": 1}}}})
    version = WorkflowVersion.objects.get(definition__name="held").pk
    spoil("workflows_workflowversion", "source", source, f"id = {version}")

    with pytest.raises(InvalidInput):
        engine.start_runs("held", [engine.StartRequest({})], principal="test")
    assert queries.run_detail(kept)["steps"][0]["id"] == "a"
    assert lost_steps.report([Report(kept, RunTimedOut()), Report(other, RunTimedOut())]) == 0
    assert set(WorkflowRun.objects.values_list("state", flat=True)) == {"TIMED_OUT"}


def test_a_version_that_cannot_be_read_at_all_keeps_no_other_run_from_its_end() -> None:
    publish(HELD)
    lost = engine.start_runs("held", [engine.StartRequest({})], principal="test")[0].id
    other = engine.start_runs(publish(LISTENS), [engine.StartRequest({})], principal="test")[0].id
    version = WorkflowVersion.objects.get(definition__name="held").pk
    spoil("workflows_workflowversion", "source", "steps: [", f"id = {version}")

    lost_steps.report([Report(lost, RunTimedOut()), Report(other, RunTimedOut())])

    assert WorkflowRun.objects.get(pk=other).state == "TIMED_OUT"
    assert len(active.active().left_out) == 0, "it has no rules"


def test_a_definition_of_a_newer_release_keeps_no_worker_from_its_start() -> None:
    publish(HELD)
    publish(LISTENS)
    newer = "name: held\nsteps:\n  a: {vote: {of: three}}\n"
    spoil("workflows_workflowversion", "source", newer, "definition_id = (SELECT id FROM"
          " workflows_workflowdefinition WHERE name = 'held')")  # fmt: skip
    load_latest_graphs()
    assert graph_of(WorkflowVersion.objects.get(definition__name="listens").pk).name == "listens"
    with pytest.raises(DefinitionInvalid):
        graph_of(WorkflowVersion.objects.get(definition__name="held").pk)
