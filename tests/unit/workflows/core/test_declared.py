"""`clocks` of a definition: the steps that they become, and the faults, where the author wrote them."""

from typing import Any

import pytest

from workflows import registry
from workflows.core import definition
from workflows.core.definition import DefinitionInvalid
from workflows.core.graph import Graph

registry.discover()
STEPS: dict[str, Any] = {"wait": {"wait": {"for": "1s"}}, "then": {"wait": {"for": "1s"}, "needs": ["wait"]}}


def graph(clocks: Any, steps: dict[str, Any] = STEPS, **more: Any) -> Graph:
    return definition.validate({"name": "flow", "steps": steps, "clocks": clocks, **more}, registry.all())


def faults(clocks: Any, steps: dict[str, Any] = STEPS, **more: Any) -> dict[str, str]:
    with pytest.raises(DefinitionInvalid) as caught:
        graph(clocks, steps, **more)
    return {fault.path: fault.message for fault in caught.value.faults}


def test_clocks_become_a_step_for_all_that_read_the_same_steps() -> None:
    found = graph(
        [
            {"obligation": "a", "starts": "${{ input.at }}"},
            {"obligation": "b", "starts": {"detected": "${{ steps.wait.output }}", "paid": None}, "places": ["DE"]},
            {"obligation": "c", "starts": "2026-11-26T10:00:00Z", "if": "input.big"},
        ]
    )
    assert {id: node.needs for id, node in found.steps.items()} == {
        "wait": (), "then": ("wait",), "clocks_1": (), "clocks_2": ("wait",),
    }  # fmt: skip
    first = found.steps["clocks_1"].work
    assert first is not None
    assert first.uses == "clocks.start"
    assert first.with_ is not None
    rendered = first.with_.render({"input": {"at": "2026-11-26T09:00:00Z", "big": False}, "steps": {}, "run": {}})
    assert [(one["obligation"], one["starts"], one["if"]) for one in rendered["clocks"]] == [
        ("a", "2026-11-26T09:00:00Z", True), ("c", "2026-11-26T10:00:00Z", False),
    ]  # fmt: skip
    assert found.clocks == ("a", "b", "c")
    assert found.level == 7


def test_where_its_condition_does_not_hold_nothing_else_of_a_clock_is_evaluated() -> None:
    clock = {
        "obligation": "a",
        "if": "has(input.at)",
        "starts": {"aware": "${{ input.at }}"},
        "places": "${{ input.places }}",
    }
    work = graph([clock]).steps["clocks_1"].work
    assert work is not None
    assert work.with_ is not None
    rendered = work.with_.render({"input": {}, "steps": {}, "run": {}})["clocks"]
    assert rendered == [{"obligation": "a", "if": False, "starts": {"aware": None}, "places": None}]


@pytest.mark.parametrize("condition", [None, 5, "yes", [], True])
def test_a_condition_that_gives_neither_true_nor_false_keeps_what_the_clock_starts_from(condition: Any) -> None:
    clock = {"obligation": "a", "if": "input.big", "starts": "${{ input.at }}", "places": "${{ input.places }}"}
    work = graph([clock]).steps["clocks_1"].work
    assert work is not None
    assert work.with_ is not None
    given = {"big": condition, "at": "2026-11-26T09:00:00Z", "places": ["DE"]}
    rendered = work.with_.render({"input": given, "steps": {}, "run": {}})["clocks"]
    assert rendered == [{"obligation": "a", "if": condition, "starts": given["at"], "places": ["DE"]}]


def test_a_definition_without_clocks_is_read_as_before() -> None:
    assert graph([]).steps.keys() == STEPS.keys()
    assert graph([]).level == 2


def test_the_steps_of_clocks_keep_out_of_the_way_of_the_authors_steps() -> None:
    found = graph([{"obligation": "a", "starts": "${{ input.at }}"}], {"clocks_1": {"wait": {"for": "1s"}}})
    assert set(found.steps) == {"clocks_1", "clocks_2"}


@pytest.mark.parametrize(
    ("clocks", "path", "said"),
    [
        (5, "clocks", "is not a list of objects with obligation and starts"),
        ([{"obligation": "a"}], "clocks[0].starts", "is required"),
        ([{"obligation": "a b", "starts": "x"}], "clocks[0].obligation", "is not the code of a duty"),
        ([{"obligation": "a", "starts": 5}], "clocks[0].starts", "is not a moment"),
        ([{"obligation": "a", "starts": {}}], "clocks[0].starts", ""),
        ([{"obligation": "a", "starts": {"awre": "x"}}], "clocks[0].starts.awre", 'did you mean "aware"'),
        ([{"obligation": "a", "starts": "x", "place": []}], "clocks[0].place", 'did you mean "places"'),
        ([{"obligation": "a", "starts": "${{ steps.none.output }}"}], "clocks[0].starts", 'no step "none"'),
        ([{"obligation": "a", "starts": "${{ nothing }}"}], "clocks[0].starts", ""),
        ([{"obligation": "a", "starts": "x"}, {"obligation": "b", "starts": "${{"}], "clocks[1].starts", ""),
        ([{"obligation": "a", "starts": "x", "if": "input."}], "clocks[0].if", ""),
        ([{"obligation": "a", "starts": "${{ steps.last.output }}"}], "clocks[0]", "is not essential"),
        ([{"obligation": "a", "starts": "x"}] * 51, "clocks", ""),
    ],
)
def test_every_fault_is_reported_where_the_author_wrote_it(clocks: Any, path: str, said: str) -> None:
    steps = {**STEPS, "last": {"wait": {"for": "1s"}, "essential": False}}
    found = faults(clocks, steps)
    assert path in found
    assert said in found[path]
    assert not any("clocks_" in each for each in found)


def test_all_faults_are_reported_at_once_also_those_of_the_steps() -> None:
    found = faults(
        [{"obligation": "a", "starts": "${{ steps.a.output }}"}, {"obligation": "b", "starts": "${{ input.at"}],
        {"one": {"uses": "no.such"}},
    )
    assert set(found) == {"clocks[0].starts", "clocks[1].starts", "steps.one.uses"}


def test_a_path_that_the_input_cannot_have_is_a_fault_of_the_clock() -> None:
    schema = {"type": "object", "properties": {"aware_at": {}}, "additionalProperties": False}
    found = faults([{"obligation": "a", "starts": "${{ input.awareat }}"}], input=schema)
    assert list(found) == ["clocks[0].starts"]


def test_a_run_needs_a_step_of_the_authors_that_is_essential() -> None:
    found = faults([{"obligation": "a", "starts": "x"}], {"one": {"wait": {"for": "1s"}, "essential": False}})
    assert found == {"steps": "at least one step must be essential: the run's outcome is theirs"}
