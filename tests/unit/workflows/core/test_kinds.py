"""The seam for kinds of steps. A toy kind, declared here alone and registered through the same door as the others, goes
from the text of a definition to the end of its run, and no file of the engine knows of it."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Self

import jsonschema_rs
import pytest

from workflows.core import definition, kinds, machine
from workflows.core.expressions import ExpressionError
from workflows.core.graph import Graph, Retry, StepNode
from workflows.core.kind import Kind
from workflows.core.machine import NO_ITEM, Deciding, Plan, RunView, Snapshot, StepDue, StepHappening, StepView
from workflows.core.reading import StepReading
from workflows.core.states import RunState, StepState
from workflows.core.templates import Template

ROOT = Path(__file__).parents[4]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class EggRang(StepHappening):
    """Somebody heard an egg timer."""

    step: str
    item: int = NO_ITEM


@dataclass(frozen=True)
class Egg(Kind):
    """Boils for some minutes, `minutes` of them or as an expression gives; the bell may be rung early."""

    name: ClassVar[str] = "egg"
    marker: ClassVar[str] = "egg"
    keys: ClassVar[Mapping[str, Any]] = {
        "egg": {"type": "object", "title": "an object with minutes", "properties": {"minutes": {}, "soft": {}}},
        "spoon": {"enum": ["silver", "plastic"], "title": "a spoon: silver or plastic"},
    }
    required: ClassVar[tuple[str, ...]] = ("egg", "spoon")

    minutes: Template
    spoon: str

    @classmethod
    def check(cls, reading: StepReading) -> Self | None:
        if "minutes" not in reading.step["egg"]:
            reading.fault("egg.minutes", "is required")
            return None
        minutes = reading.template("egg", "minutes")
        return cls(minutes, reading.step["spoon"]) if minutes and reading.sound("spoon") else None

    def begin(self, deciding: Deciding, node: StepNode) -> None:
        minutes = self.minutes.render(deciding.context())
        if minutes == 0:
            deciding.set(node.id, NO_ITEM, StepView(StepState.SUCCEEDED, output={"raw": True}))
        elif minutes < 0:
            raise ExpressionError("an egg cannot be unboiled")
        else:
            due_at = deciding.now + timedelta(minutes=minutes)
            deciding.set(node.id, NO_ITEM, StepView(StepState.WAITING), due_at=due_at, input={"minutes": minutes})

    def happened(self, deciding: Deciding, node: StepNode, happening: StepHappening) -> None:
        view = deciding.steps.get((happening.step, happening.item))
        if view is None or view.state is not StepState.WAITING or not isinstance(happening, StepDue | EggRang):
            deciding.discarded.append(happening)
            return
        output = {"soft": isinstance(happening, EggRang)}
        deciding.set(happening.step, NO_ITEM, replace(view, state=StepState.SUCCEEDED, output=output))

    def stop(self, deciding: Deciding, node: StepNode, view: StepView) -> None:
        deciding.set(node.id, NO_ITEM, replace(view, state=StepState.CANCELLED, output={"thrown": "away"}))

    def explain(self, view: StepView, due_at: datetime | None) -> str:
        return f"boils until {due_at}"


@dataclass(frozen=True)
class Registered:
    name: str
    input_schema: dict[str, Any]
    idempotent: bool = True
    transactional: bool = False
    timeout: float = 30.0
    retry: Retry | None = None
    output_schema: dict[str, Any] = field(default_factory=dict)


STEPS = {"t.t": Registered("t.t", {})}
BREAKFAST = {
    "name": "breakfast",
    "steps": {
        "buy": {"uses": "t.t"},
        "boil": {"egg": {"minutes": "${{ steps.buy.output.minutes }}"}, "spoon": "silver", "needs": ["buy"]},
        "eat": {"uses": "t.t", "needs": ["boil"], "with": {"soft": "${{ steps.boil.output.soft }}"}},
    },
}


@pytest.fixture(autouse=True)
def egg() -> Iterator[None]:
    kinds.register(Egg)
    yield
    kinds.unregister(Egg)


def graph(document: dict[str, Any]) -> Graph:
    return definition.validate(document, STEPS)


def faults(step: dict[str, Any]) -> list[str]:
    with pytest.raises(definition.DefinitionInvalid) as caught:
        graph({"name": "a", "steps": {"s": step}})
    return [str(fault) for fault in caught.value.faults]


class Store:
    """As much of the store as a run needs: it keeps what plans say, and claims what is ready."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.run = RunView("r", graph.name, None, "standard", RunState.PENDING, {}, NOW)
        self.steps: dict[tuple[str, int], StepView] = {}
        self.due: dict[str, datetime | None] = {}
        self.inputs: dict[str, Any] = {}
        self.happen(machine.RunStarted())

    def happen(self, *happenings: machine.Happening) -> Plan:
        snapshot = Snapshot(self.run, dict(self.steps))
        plan = machine.decide(self.graph, snapshot, happenings, NOW)
        assert plan == machine.decide(self.graph, snapshot, happenings, NOW), "a replay decides the same"
        for change in plan.steps:
            state, attempt = change.state, change.attempt
            if state is StepState.READY:
                state, attempt = StepState.RUNNING, attempt + 1
            self.steps[change.step, change.item] = StepView(state, attempt, output=change.output)
            self.due[change.step] = change.due_at
            if change.new:
                self.inputs[change.step] = change.input
        if plan.run:
            self.run = replace(self.run, state=plan.run.state)
        return plan

    def states(self) -> dict[str, str]:
        return {step: str(view.state) for (step, _), view in self.steps.items()}


def bought(minutes: float) -> Store:
    store = Store(graph(BREAKFAST))
    store.happen(machine.StepSucceeded("buy", 1, {"minutes": minutes}))
    return store


def test_a_kind_that_only_a_test_knows_runs_from_its_definition_to_the_end() -> None:
    store = bought(5)
    assert store.states() == {"buy": "SUCCEEDED", "boil": "WAITING"}
    assert (store.run.state, store.due["boil"]) == (RunState.WAITING, NOW + timedelta(minutes=5))
    assert store.happen(machine.StepSucceeded("boil", 0, {})).discarded, "no worker ever had it"
    store.happen(EggRang("boil"))
    assert store.inputs["eat"] == {"soft": True}
    assert store.happen(StepDue("boil")).discarded, "it rang already"
    store.happen(machine.StepSucceeded("eat", 1, {}))
    assert store.run.state is RunState.SUCCEEDED


def test_its_moment_comes() -> None:
    store = bought(5)
    store.happen(StepDue("boil"))
    assert store.inputs["eat"] == {"soft": False}


def test_a_kind_may_end_as_it_begins_and_the_run_goes_on() -> None:
    document = {**BREAKFAST, "steps": {**BREAKFAST["steps"], "eat": {"uses": "t.t", "needs": ["boil"]}}}
    store = Store(graph(document))
    store.happen(machine.StepSucceeded("buy", 1, {"minutes": 0}))
    assert store.states() == {"buy": "SUCCEEDED", "boil": "SUCCEEDED", "eat": "RUNNING"}


@pytest.mark.parametrize("minutes", [-1, "x"])
def test_what_a_kind_cannot_do_with_its_values_fails_its_step(minutes: object) -> None:
    document = {"name": "a", "steps": {"boil": {"egg": {"minutes": "${{ input.m < 0 }}"}, "spoon": "silver"}}}
    store = Store(graph(document if minutes == "x" else BREAKFAST))
    if minutes == -1:
        store.happen(machine.StepSucceeded("buy", 1, {"minutes": -1}))
    assert (store.steps["boil", NO_ITEM].state, store.run.state) == (StepState.FAILED, RunState.FAILED)


@pytest.mark.parametrize(
    ("what", "state"),
    [(machine.RunCancelled("ann"), RunState.CANCELLED), (machine.RunTimedOut(), RunState.TIMED_OUT)],
)
def test_a_kind_says_what_becomes_of_its_step_when_the_run_ends(what: machine.Happening, state: RunState) -> None:
    store = bought(5)
    store.happen(what)
    assert store.run.state is state
    assert store.steps["boil", NO_ITEM] == StepView(StepState.CANCELLED, output={"thrown": "away"})


def test_its_part_of_the_format_is_published_and_checked() -> None:
    schema = definition.schema()
    jsonschema_rs.meta.validate(schema)
    assert jsonschema_rs.is_valid(schema, BREAKFAST)
    assert not jsonschema_rs.is_valid(schema, {"name": "a", "steps": {"s": {"egg": {}}}})
    assert faults({"egg": {"minutes": 1}}) == ["steps.s.spoon: is required"]
    assert faults({"egg": {"minutes": 1}, "spoon": "wood"}) == ["steps.s.spoon: is not a spoon: silver or plastic"]
    assert faults({"egg": {}, "spoon": "silver"}) == ["steps.s.egg.minutes: is required"]
    assert faults({"egg": {"minutes": "${{ steps.z.output }}"}, "spoon": "silver"}) == [
        'steps.s.egg.minutes: no step "z"'
    ]


def test_a_step_is_of_one_kind_and_has_the_keys_of_that_kind() -> None:
    assert faults({"egg": {"minutes": 1}, "spoon": "silver", "uses": "t.t"}) == [
        "steps.s: has uses and egg, which do not go together: a step is of one kind"
    ]
    assert faults({"uses": "t.t", "spoon": "silver"}) == ["steps.s.spoon: goes with egg, which this step does not have"]
    assert faults({"egg": {"minutes": 1}, "spoon": "silver", "retry": {}}) == [
        "steps.s.retry: goes with uses or foreach, which this step does not have"
    ]
    assert faults({"egg": {"minutes": 1}, "spoon": "silver", "max_parallel": 3}) == [
        "steps.s.max_parallel: goes with foreach, which this step does not have"
    ]


def test_without_the_kind_its_definitions_are_refused_and_nothing_of_it_is_left() -> None:
    kinds.unregister(Egg)
    refused = faults({"egg": {"minutes": 1}, "spoon": "silver"})
    assert [fault.split(";")[0] for fault in refused] == [
        "steps.s.egg: unknown key",
        "steps.s.spoon: unknown key",
        "steps.s.uses: is required",
    ]
    assert "egg" not in str(definition.schema())


def test_two_kinds_cannot_claim_one_key_or_mean_different_things_by_it() -> None:
    with pytest.raises(ValueError, match="there is already a kind of step 'egg'"):
        kinds.register(type("Other", (Egg,), {"name": "other"}))
    strange = {"name": "other", "marker": "other", "keys": {"other": {}, "spoon": {}}}
    with pytest.raises(ValueError, match="'egg' and 'other' differ about the key 'spoon'"):
        kinds.register(type("Other", (Egg,), strange))


# --- the rest of the engine knows no kind


def engine() -> list[Path]:
    """What runs steps: every module that would otherwise have to know of a new kind."""
    core = [ROOT / f"workflows/core/{name}.py" for name in ("kind", "definition", "format", "graph", "reading")]
    packages = ("core/machine", "engine", "store", "worker", "leader")
    found = [path for package in packages for path in (ROOT / "workflows" / package).glob("*.py")]
    assert len(found) > 20
    return [*core, *found, ROOT / "workflows/graphs.py"]


def test_no_module_of_the_engine_imports_a_kind_or_asks_for_one() -> None:
    names = {kind.name for kind in kinds.registered()}
    markers = {kind.marker for kind in kinds.registered()}
    for path in engine():
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', '')}"
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not re.match(r"workflows\.core\.kinds\.", node.module), where
            if isinstance(node, ast.Attribute):
                assert node.attr != "fan_out", where
            if isinstance(node, ast.Compare):
                for constant in (c.value for c in ast.walk(node) if isinstance(c, ast.Constant)):
                    assert constant not in names | markers, where


@pytest.mark.parametrize("kind", [*kinds.registered(), Egg], ids=lambda kind: kind.name)
def test_every_kind_has_all_that_the_seam_asks_for(kind: type[Kind]) -> None:
    assert kind.marker in kind.keys
    assert kind.marker in kind.required or kind is kinds.default()
    assert set(kind.required) <= set(kind.keys)
    assert not set(kind.keys) & {"needs", "if", "essential"}
    for schema in kind.keys.values():
        jsonschema_rs.meta.validate(schema)
    assert not kind.__abstractmethods__
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
