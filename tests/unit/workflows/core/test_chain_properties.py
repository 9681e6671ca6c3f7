"""Note [Chains]: what a chain gives is what the machine decides, over random chains, inputs and outputs."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workflows import registry
from workflows.core import definition
from workflows.core.chain import LONGEST, Walk
from workflows.core.cost import Budget
from workflows.core.expressions import ExpressionError
from workflows.core.graph import Graph
from workflows.core.in_memory import RunInMemory
from workflows.core.machine import NO_ITEM, RunStarted, RunView, StepSucceeded
from workflows.core.states import RunState, StepState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
#: what a step may read, some of which is not there
EXPRESSIONS = [
    "input.n", "input.text", "input", "input.missing", "run.id", "run.status", "run.business_key", "run.created_at",
    "input.n + 1", "input.n / 0", 'input.text + "x"', "size(input.list)", "input.list[1]",
    "input.list.exists(x, x == 1)",
]  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("aé$ {}", max_size=5),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text("ab", min_size=1, max_size=2), below, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def chains(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 5))
    steps: dict[str, Any] = {}
    for place in range(count):
        known = [*EXPRESSIONS]
        for before in range(count):
            # Also of steps that come later, which the definition may not read: those are left out.
            if before < place:
                known += [f"steps.s{before}.output", f"steps.s{before}.output.value", f"steps.s{before}.status"]
        text = draw(st.sampled_from([f"${{{{ {one} }}}}" for one in known] + ["plain", "a ${{ input.n }} b"]))
        steps[f"s{place}"] = {"uses": "sample.echo", "with": {"value": text}}
        if place:
            steps[f"s{place}"]["needs"] = [f"s{place - 1}"]
    document: dict[str, Any] = {"name": "w", "steps": steps}
    if draw(st.booleans()):
        document["output"] = {"last": draw(st.sampled_from([f"${{{{ {one} }}}}" for one in known]))}
    return definition.validate(document, registry.all())


@given(chains(), VALUES, st.lists(VALUES, min_size=5, max_size=5))
def test_a_chain_gives_what_the_machine_decides(graph: Graph, text: Any, outputs: list[Any]) -> None:
    chain = graph.chain
    assert chain is not None
    input_ = {"n": 3, "text": text, "list": [1, text]}
    view = RunView("r", "w", "key", "standard", RunState.PENDING, input_, NOW)
    law = RunInMemory(graph, view)
    law.apply([RunStarted()])
    seen = {"id": "r", "workflow": "w", "business_key": "key", "created_at": NOW.isoformat()}
    walk = Walk(chain, seen, input_, Budget())
    for link, given_ in zip(chain.links, outputs, strict=False):
        key = (link.id, NO_ITEM)
        try:
            input_of = walk.input_of(link)
        except ExpressionError:
            assert law.steps[key].state is StepState.FAILED
            assert law.run.state is RunState.FAILED
            return
        assert law.steps[key].state is StepState.READY
        assert law.inputs[key] == input_of
        law.put(key, law.steps[key].taken())
        # As the first claim does.
        law.run = law.run.in_state(RunState.RUNNING)
        output = {"value": given_}
        law.apply([StepSucceeded(link.id, 1, output)])
        walk.succeeded(link, output)
    try:
        result = walk.output()
    except ExpressionError:
        assert law.run.state is RunState.FAILED
        return
    assert law.run.state is RunState.SUCCEEDED
    assert law.outcome.output == result


def chain_of(**steps: dict[str, Any]) -> Any:
    return definition.validate({"name": "w", "steps": steps}, registry.all()).chain


ECHO: dict[str, Any] = {"uses": "sample.echo"}


def test_only_a_row_of_plain_steps_is_a_chain() -> None:
    assert chain_of(a=ECHO, b={**ECHO, "needs": ["a"]}) is not None
    assert chain_of(a=ECHO, b=ECHO) is None
    assert chain_of(a=ECHO, b={**ECHO, "needs": ["a"]}, c={**ECHO, "needs": ["a"]}) is None
    assert chain_of(a=ECHO, b={**ECHO, "needs": ["a"], "if": "true"}) is None
    assert chain_of(a=ECHO, b={**ECHO, "needs": ["a"], "essential": False}) is None
    assert chain_of(a=ECHO, b={**ECHO, "needs": ["a"], "idempotent": False}) is None
    assert chain_of(a={**ECHO, "heartbeat": "1s"}) is None
    assert chain_of(a={"wait": {"for": "1s"}}) is None
    long = {f"s{n}": {**ECHO, **({"needs": [f"s{n - 1}"]} if n else {})} for n in range(LONGEST + 1)}
    assert chain_of(**long) is None
