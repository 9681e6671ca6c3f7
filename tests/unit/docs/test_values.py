"""Values and answers that the documentation shows are those that the code gives."""

import json
import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from django.core.management import call_command

from erip.ops.stack.state import ROOT
from tests.unit.docs import shell
from tests.unit.docs.blocks import Block, blocks, blocks_of
from tests.unit.workflows.core.test_kinds import Registered
from workflows import registry
from workflows.core import explaining
from workflows.core.clocks.clock import Clock
from workflows.core.definition import DefinitionInvalid, parse, validate
from workflows.core.explaining import Facts, StepFacts
from workflows.core.graph import Retry
from workflows.core.machine import StepView
from workflows.core.schema import Schema
from workflows.core.states import RunState, StepState
from workflows.errors import InvalidInput
from workflows.events.errors import EventsInvalid
from workflows.events.types import FIXTURE

DOCS = ROOT / "docs"


def block(page: str, beginning: str) -> Block:
    return next(one for one in blocks_of(ROOT / page) if beginning in one.text)


def test_the_faults_at_the_head_of_definitions_md_are_found_so_and_all_at_once() -> None:
    shown = block("docs/reference/definitions.md", "steps.assess.needs[0]").text.splitlines()
    wrong = {
        "name": "wrong",
        "input": {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        "steps": {
            "assess": {"uses": "notify.send", "needs": ["enrch"]},
            "enrich": {"uses": "nexus.enrich"},
            "a": {"uses": "notify.send", "needs": ["b"]},
            "b": {"uses": "notify.send", "needs": ["a"]},
        },
    }
    with pytest.raises(DefinitionInvalid) as refused:
        validate(wrong, registry.all())
    said = {str(fault) for fault in refused.value.faults}
    # It is said where the circle is closed, whichever step that is.
    assert {line.replace("a -> b -> a", "*") for line in shown} <= {
        re.sub(r"[ab] -> [ab] -> [ab]", "*", s) for s in said
    }


def test_the_sentences_in_waiting_runs_md_are_those_of_a_run_that_waits_so() -> None:
    shown = block("docs/how-to/waiting-runs.md", "waits for the signal").text
    graph = validate(
        {
            "name": "all",
            "steps": {
                "collect": {"wait": {"signal": "evidence-received", "timeout": "1d"}},
                "score": {"uses": "t.t"},
                "report": {"uses": "t.t", "needs": ["collect", "score"]},
            },
        },
        {"t.t": Registered("t.t", {}, retry=Retry(max_attempts=5))},
    )
    now = datetime(2026, 11, 27, 8, 48, 3, 900_000, tzinfo=UTC)
    resting = StepView(StepState.WAITING, attempt=2, failures=2)
    steps = {
        "collect": [
            StepFacts(
                StepView(StepState.WAITING),
                "standard",
                started_at=datetime(2026, 11, 27, 8, tzinfo=UTC),
                due_at=datetime(2026, 11, 28, 8, tzinfo=UTC),
            )
        ],
        "score": [
            StepFacts(resting, "standard", due_at=now + timedelta(seconds=6.1), error="no answer"),
        ],
    }
    facts = Facts(now=now, steps=steps, ended=(), lease=3.0, bounds={})
    said = [f"- {one.sentence}" for one in explaining.explain(graph, facts)]
    deadline = explaining.deadline(datetime(2026, 11, 30, 12, tzinfo=UTC), now)
    assert shown.splitlines() == [f"The run is WAITING; 3 steps wait. {deadline}", *said]


def test_the_problem_in_api_md_is_what_that_request_gets() -> None:
    page = "docs/reference/api.md"
    shown = orjson.loads(block(page, '"type": "urn:erip:problem:invalid-input"').text)
    source = re.search(r"<<'YAML'\n(.*?)^YAML$", block(page, "name: triage").text, re.DOTALL | re.MULTILINE)
    assert source
    faults = validate(parse(source[1], "yaml"), registry.all()).input_faults({"cves": [7]})
    assert shown["faults"] == [{"path": str(fault.path), "message": fault.message} for fault in faults]
    assert shown["detail"] == " ".join((InvalidInput.__doc__ or "").split())
    assert shell.schema_fault({"$ref": "#/components/schemas/Problem"}, shown) is None


def test_the_refused_event_in_triggers_md_is_refused_so() -> None:
    shown = orjson.loads(block("docs/reference/triggers.md", '"code": "events-invalid"').text)
    schema = orjson.loads(block("docs/reference/triggers.md", "PUT /api/v1/event-types").text.partition("\n")[2])[
        "schema"
    ]
    (fault,) = Schema.compile(schema).faults({"host": "h", "severity": "sever"}, at="[3].data")
    assert shown["faults"] == [{"path": str(fault.path), "message": fault.message}]
    assert shown["code"] == EventsInvalid.code.replace("_", "-")


def test_the_event_in_outgoing_events_md_fits_its_registered_type() -> None:
    shown = orjson.loads(block("docs/reference/outgoing-events.md", '"specversion": "1.0"').text)
    registered = yaml.safe_load(FIXTURE.read_text())[shown["type"]]["schema"]
    assert Schema.compile(registered).faults(shown["data"], at="data") == []
    assert shell.schema_fault({"$ref": "#/components/schemas/CloudEventRequest"}, shown) is None


def test_the_clocks_in_library_md_run() -> None:
    for clock in json.loads(block("docs/reference/library.md", '"trigger": "classified"').text):
        Clock.of(clock)


def test_the_change_in_autoscaling_md_is_one_that_the_api_reports() -> None:
    shown = orjson.loads(block("docs/how-to/autoscaling.md", '"direction"').text)
    assert shell.schema_fault({"$ref": "#/components/schemas/ScalingChange"}, shown) is None


def test_the_mistake_in_steps_md_is_said_so() -> None:
    shown = block("docs/reference/steps.md", "acme/steps.py:19").text.strip()
    source = (
        "from pydantic import BaseModel\nfrom workflows.registry import step\nclass A(BaseModel):\n    a: int = 1\n"
    )
    source += "\n" * (18 - source.count("\n"))
    source += "@step('acme.file_ticket', retry=3)\ndef file_ticket(data: A) -> A:\n    return data\n"
    with pytest.raises(Exception, match="retry is a Retry") as refused:
        exec(compile(source, "acme/steps.py", "exec"), {"__name__": "acme.steps"})
    assert str(refused.value) == shown


def test_the_faults_in_test_workflows_md_are_said_so(tmp_path: Path, monkeypatch: Any) -> None:
    shown = block("docs/how-to/test-workflows.md", "manage.py validate workflows/*.yaml").text.splitlines()[1:]
    steps = steps_of_source(block("docs/how-to/test-workflows.md", "def pay(").text)
    (tmp_path / "workflows").mkdir()
    head = "name: payment\ninput:\n  type: object\n  required: [amount]\n  properties: {amount: {type: number}}\n"
    pay = "\nsteps:\n  pay: {uses: acme.pay,\n   with: {amuont: '${{ input.amount }}', amount: 1}}\n"
    (tmp_path / "workflows" / "payment.yaml").write_text(head + pay)
    (tmp_path / "workflows" / "refund.yaml").write_text(
        "name: refund\nsteps: {pay: {uses: acme.pay, with: {amount: 1}}}\n"
    )
    monkeypatch.chdir(tmp_path)
    out = StringIO()
    try:
        with pytest.raises(SystemExit):
            call_command("validate", "workflows/payment.yaml", "workflows/refund.yaml", stdout=out, stderr=out)
    finally:
        for name in steps:
            registry.withdraw(name)
    assert out.getvalue().splitlines()[: len(shown)] == shown


def steps_of_source(text: str) -> list[str]:
    before = set(registry.all())
    namespace: dict[str, Any] = {"__name__": "docs_example"}
    exec(compile(text, "page", "exec", dont_inherit=True), namespace)
    return [name for name in registry.all() if name not in before]


@pytest.mark.parametrize(("words", "states"), [("accepted → PENDING", RunState), ("needs ended", StepState)])
def test_the_drawings_of_the_states_name_every_state_and_no_other(words: str, states: Any) -> None:
    drawing = block("workflows/README.md", words).text
    named = set(re.findall(r"\b[A-Z][A-Z_]{3,}\b", drawing))
    assert named <= {state.value for state in states}
    beside = re.sub(re.escape(drawing), "", (ROOT / "workflows" / "README.md").read_text())
    missing = {state.value for state in states} - named
    assert all(state in beside for state in missing), f"{missing} are neither drawn nor described"


def test_what_a_page_says_you_see_is_asserted_by_the_test_that_runs_it() -> None:
    test = (ROOT / "tests" / "e2e" / "test_tutorial.py").read_text().replace(" ", "")
    found = 0
    for page in sorted(DOCS.glob("tutorial/*.md")):
        for sentence in re.findall(r"You (?:will )?see (.*?)\.(?:\s|$)", page.read_text(), re.DOTALL):
            for literal in re.findall(r"`([^`]+)`", sentence):
                found += 1
                assert literal.replace(" ", "") in test, f"{page.name} says that you see {literal}"
    assert found > 5


def test_no_step_of_these_tests_is_in_the_documentation() -> None:
    assert [str(one) for one in blocks() if re.search(r"uses: *(sample|test|bench)\.", one.text)] == []
