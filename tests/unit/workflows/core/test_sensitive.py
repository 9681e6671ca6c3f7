"""`sensitive: true`: what is sealed, what an expression may do with it, and where it is opened again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from tests.sample import steps  # noqa: F401  (registers the steps)
from workflows import registry
from workflows.core import definition, sensitive
from workflows.core.definition import DefinitionInvalid
from workflows.core.graph import Graph

SENSITIVE = {"type": "string", "sensitive": True}
INPUT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "subject": True},
        "name": SENSITIVE,
        "person": {"type": "object", "sensitive": True, "properties": {"age": {"type": "integer"}}},
        "people": {"type": "array", "items": {"$ref": "#/$defs/person"}},
        "case": {"type": "string"},
    },
    "$defs": {"person": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"mail": SENSITIVE, "n": {}}}]}},
}
ECHO = {"uses": "sample.echo"}


def graph(steps_: dict[str, Any], **more: Any) -> Graph:
    return definition.validate({"name": "w", "input": INPUT, "steps": steps_, **more}, registry.all())


def mark(value: Any) -> Any:
    return {sensitive.SEALED: repr(value)}


def test_what_the_schema_says_is_sealed_wherever_it_stands() -> None:
    value = {
        "id": "p-7",
        "name": "Ada",
        "person": {"age": 36},
        "people": [{"mail": "a@b", "n": 1}, None, {"n": 2}],
        "case": "C",
        "unknown": "x",
    }
    parts = sensitive.parts_of(INPUT)

    assert sensitive.change(parts, value, mark) == {
        "id": mark("p-7"),
        "name": mark("Ada"),
        "person": mark({"age": 36}),
        "people": [{"mail": mark("a@b"), "n": 1}, None, {"n": 2}],
        "case": "C",
        "unknown": "x",
    }
    assert sensitive.subjects(parts, value) == ["p-7"]


def _nested(below: Any) -> Any:
    return st.lists(below) | st.dictionaries(st.text(max_size=3), below)


@given(st.recursive(st.none() | st.text(max_size=4), _nested))
def test_a_schema_that_contains_itself_ends(value: Any) -> None:
    tree = {"$ref": "#/$defs/t", "$defs": {"t": {"additionalProperties": {"$ref": "#/$defs/t"}, "items": SENSITIVE}}}

    changed = sensitive.change(sensitive.parts_of(tree), value, mark)

    assert sensitive.opened(changed, eval) == value


def test_a_schema_without_it_costs_nothing() -> None:
    plain = definition.validate({"name": "w", "steps": {"a": ECHO}}, registry.all())

    assert sensitive.parts_of({"properties": {"sensitive": {"type": "string"}}}) == ()
    assert (plain.sensitive, plain.seals, plain.steps["a"].work.opens, plain.level) == ((), False, (), 1)  # type: ignore[union-attr]


GOOD = [
    {"a": {**ECHO, "with": {"value": "${{ input.name }}"}}},
    {"a": {**ECHO, "with": {"value": ["${{ input.person }}", {"x": "${{ input }}"}]}}},
    {"a": {**ECHO, "if": "has(input.name) && input.case == 'x'"}},
    {"a": {**ECHO, "foreach": "${{ input.people }}", "with": {"value": "${{ item.mail }}"}}},
    {"a": {**ECHO, "foreach": "${{ input.people }}", "with": {"value": "${{ item }} ${{ index }}"}, "if": "true"}},
]


@pytest.mark.parametrize("steps_", GOOD[:4])
def test_a_sealed_part_may_be_handed_on_as_it_is(steps_: dict[str, Any]) -> None:
    assert graph(steps_, output={"who": "${{ input.name }}"}).level == 8


@pytest.mark.parametrize(
    ("steps_", "at"),
    [
        ({"a": {**ECHO, "if": "input.name == 'Ada'"}}, "steps.a.if"),
        ({"a": {**ECHO, "if": "input.people.exists(p, has(p.mail))"}}, "steps.a.if"),
        ({"a": {**ECHO, "if": "has(input.person.age)"}}, "steps.a.if"),
        ({"a": {**ECHO, "with": {"value": "Dear ${{ input.name }}"}}}, "steps.a.with.value"),
        ({"a": {**ECHO, "with": {"value": "${{ input.person.age }}"}}}, "steps.a.with.value"),
        ({"a": {**ECHO, "with": {"value": "${{ size(input.name) }}"}}}, "steps.a.with.value"),
        ({"a": {**ECHO, "with": {"value": "${{ {'x': input.name} }}"}}}, "steps.a.with.value"),
        ({"a": {**ECHO, "with": {"value": "${{ input.people[0].mail + 'x' }}"}}}, "steps.a.with.value"),
        ({"a": {**ECHO, "foreach": "${{ input.person }}"}}, "steps.a.foreach"),
        (
            {"a": {**ECHO, "foreach": "${{ input.people }}", "with": {"value": "-${{ item.mail }}"}}},
            "steps.a.with.value",
        ),
        ({"a": {"wait": {"until": "${{ input.name }}"}}}, "steps.a.wait.until"),
        ({"a": {"decision": "d", "input": {"n": "${{ input.name }}"}}}, "steps.a.input.n"),
    ],
)
def test_nothing_looks_into_a_sealed_part(steps_: dict[str, Any], at: str) -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        graph(steps_)

    assert [(fault.path, "sensitive" in fault.message) for fault in refused.value.faults] == [(at, True)]


def test_only_what_the_definition_hands_on_is_opened() -> None:
    """Text in another place that looks like something sealed stays what it is: nobody makes a worker open it."""
    work = (
        graph({"a": {**ECHO, "with": {"value": ["${{ input.name }}", "${{ input.case }}", "${{ input.people }}"]}}})
        .steps["a"]
        .work
    )
    sealed = {sensitive.SEALED: "1.x"}
    given_ = {"value": [sealed, sealed, [{"mail": sealed, "n": sealed}]]}

    opened = sensitive.open_at(given_, work.opens, lambda text: f"opened {text}")  # type: ignore[union-attr]

    assert opened == {"value": ["opened 1.x", sealed, [{"mail": "opened 1.x", "n": sealed}]]}
    assert given_["value"][0] == sealed


class Made(BaseModel):
    mail: str = Field("", json_schema_extra={"sensitive": True})
    n: int = 0


def test_outputs_are_sealed_as_their_models_say_and_read_by_the_steps_after() -> None:
    registry.step("test.sensitive_output")(_made)
    try:
        found = graph(
            {
                "m": {"uses": "test.sensitive_output"},
                "a": {**ECHO, "needs": ["m"], "with": {"value": "${{ steps.m.output }}"}},
                "f": {"uses": "test.sensitive_output", "foreach": [1]},
                "b": {**ECHO, "needs": ["f"], "with": {"value": "${{ steps.f.output.results[0].mail }}"}},
            }
        )
        assert [len(found.steps[id].work.opens) for id in "mab"] == [0, 1, 1]  # type: ignore[union-attr]
        looks = {**ECHO, "needs": ["m"], "if": "steps.m.output.mail == 'x'"}
        with pytest.raises(DefinitionInvalid):
            graph({"m": {"uses": "test.sensitive_output"}, "a": looks})
    finally:
        registry._steps.pop("test.sensitive_output", None)


def _made(data: Made) -> Made:
    return data
