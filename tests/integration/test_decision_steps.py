"""Steps that ask a stored decision table, worked on in this process on the real database."""

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.definitions import publish
from workflows import engine
from workflows.decisions import stored
from workflows.errors import DefinitionInvalid
from workflows.explain import explain_run
from workflows.graphs import graph_of
from workflows.models import WorkflowRun
from workflows.replay import decide_again, runs_since
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

TABLE: dict[str, Any] = {
    "inputs": [
        {"name": "severity", "type": "string", "values": ["low", "high"]},
        {"name": "loss", "type": "number", "optional": True},
    ],
    "outputs": [{"name": "level", "type": "string"}],
    "hit_policy": "FIRST",
    "rules": [
        {"id": "dear", "when": {"loss": ">= 1000000"}, "then": {"level": '"board"'}},
        {"id": "high", "when": {"severity": '"high"'}, "then": {"level": '"team"'}},
    ],
}
PAGE = Path("docs/reference/definitions.md").read_text("utf-8")
EXAMPLE = next(one for one in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "decision: approval-level" in one)


def table(name: str = "approval-level", **changes: Any) -> int:
    return stored.publish(name, {**TABLE, **changes}, author="test").number


def says(what: str) -> dict[str, Any]:
    """A table that says so, whatever is asked."""
    return {**TABLE, "rules": [{"then": {"level": what}}]}


def test_the_example_decides_and_records_the_version_and_the_rules(run_to_end: Callable[..., WorkflowRun]) -> None:
    table()
    publish(EXAMPLE)
    run = run_to_end("who-approves", {"severity": "high", "loss": 2e6})
    assert run.output == {"level": "board", "version": 1}
    step = run.steps.get()
    assert step.output == {"result": "board", "table": "approval-level", "version": 1, "rules": ["dear", "high"]}
    assert step.input == {
        "table": "approval-level", "version": None, "facts": {"severity": "high", "loss": 2e6}
    }  # fmt: skip
    assert run_to_end("who-approves", {"severity": "high"}).output == {"level": "team", "version": 1}
    stored_runs = runs_since(datetime.now(UTC) - timedelta(days=1))
    again = [decide_again(one, graph_of(one.version_id), max_lost=5) for one in stored_runs]
    assert [list(one) for one in again] == [[], []]


@pytest.mark.parametrize(
    ("step", "path", "message"),
    [
        ("{decision: aproval-level, input: {severity: low}}", "decision", '"aproval-level" (did you mean'),
        ("{decision: approval-level@9, input: {severity: low}}", "decision", "has no version 9"),
        ("{decision: approval-level}", "input.severity", "is missing"),
        ("{decision: approval-level, input: {severity: low, colour: red}}", "input.colour", "no such input"),
        ("{decision: approval-level, input: {severity: odd}}", "input.severity", "is not one of"),
        ("{decision: approval-level, input: {severity: '${{ input.s }}', loss: much}}", "input.loss", "a number"),
        ("{decision: 7}", "decision", "is not the name of a decision table"),
        ("{decision: approval-level, input: [1]}", "input", "is not an object"),
        ("{decision: approval-level, input: {severity: '${{ nonsense'}}", "input.severity", ""),
        ("{decision: approval-level, uses: sample.echo}", "", "do not go together"),
        ("{decision: approval-level, input: {severity: low}, with: {}}", "with", "goes with"),
        ("{uses: sample.echo, input: {}}", "input", "goes with decision"),
    ],
)  # fmt: skip
def test_publication_names_what_cannot_be_asked(step: str, path: str, message: str) -> None:
    table()
    with pytest.raises(DefinitionInvalid) as error:
        publish(f"name: asks\nsteps: {{level: {step}}}")
    place = f"steps.level.{path}" if path else "steps.level"
    assert any(one.path == place and message in one.message for one in error.value.faults), error.value.faults


def test_an_input_that_is_one_expression_is_checked_when_the_step_runs(run_to_end: Callable[..., WorkflowRun]) -> None:
    table()
    step = "{decision: approval-level, input: '${{ input }}'}"
    publish(f"name: asks\nsteps: {{level: {step}}}\noutput: ${{{{ steps.level.output.result }}}}")
    assert run_to_end("asks", {"severity": "high"}).output == "team"
    failed = run_to_end("asks", {"severity": "odd", "loss": "x"})
    step = failed.steps.get()
    assert (failed.state, step.error["code"], step.attempt) == ("FAILED", "facts_not_valid", 1)
    assert "severity" in step.error["message"]
    assert "loss" in step.error["message"]


def test_a_case_that_no_rule_decides_fails_and_is_not_read_as_null(run_to_end: Callable[..., WorkflowRun]) -> None:
    table()
    publish(EXAMPLE)
    step = run_to_end("who-approves", {"severity": "low"}).steps.get()
    assert (step.state, step.error["code"], step.attempt) == ("FAILED", "not_decided", 1)


def test_the_version_in_force_when_the_step_is_evaluated_decides_unless_a_number_is_given(executor: Executor) -> None:
    stored.publish("approval-level", says('"old"'), author="test")
    publish(
        "name: waits\nsteps:\n"
        "  go: {wait: {signal: go}}\n"
        "  now: {needs: [go], decision: approval-level, input: {severity: low}}\n"
        "  then: {needs: [go], decision: approval-level@1, input: {severity: low}}\n"
        "output: [\"${{ steps.now.output.result }}\", \"${{ steps.then.output.result }}\"]"
    )  # fmt: skip
    run = engine.start_runs("waits", [engine.StartRequest({})], principal="test")[0].id
    executor.execute([run])
    stored.publish("approval-level", says('"new"'), author="test")
    engine.signal_run(run, "go", None, principal="test")
    assert sorted(one["step"] for one in explain_run(run)["waits"]) == ["now", "then"]
    executor.execute([run])
    ended = WorkflowRun.objects.get(pk=run)
    assert (ended.state, ended.output) == ("SUCCEEDED", ["new", "old"])
    assert {one.step: one.output["version"] for one in ended.steps.exclude(step="go")} == {"now": 2, "then": 1}


def test_what_is_recorded_is_of_one_version_whatever_is_published_meanwhile(executor: Executor) -> None:
    def publish_more() -> None:
        try:
            for number in range(2, 12):
                stored.publish("approval-level", says(str(number)) | {"outputs": [{"name": "level"}]}, author="test")
        finally:
            connections.close_all()

    stored.publish("approval-level", says("1") | {"outputs": [{"name": "level"}]}, author="test")
    publish(EXAMPLE)
    request = engine.StartRequest({"severity": "low"})
    runs = [run.id for run in engine.start_runs("who-approves", [request] * 40, principal="test", many=True)]
    publisher = threading.Thread(target=publish_more)
    publisher.start()
    for run in runs:
        executor.execute([run])
    publisher.join()
    outputs = [row.output for row in WorkflowRun.objects.filter(pk__in=runs)]
    assert len(outputs) == 40
    assert all(one["level"] == one["version"] for one in outputs)
