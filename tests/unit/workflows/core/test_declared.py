"""`clocks` of a definition: the steps that they become, and the faults, where the author wrote them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows import registry
from workflows.core import definition
from workflows.core.definition import DefinitionInvalid
from workflows.core.graph import Graph
from workflows.testing import run_workflow

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


#: expressions over INPUT, and what each gives; None: it cannot be computed
INPUT: dict[str, Any] = {"at": "2026-11-26T09:00:00Z", "yes": True, "no": False, "places": ["DE"], "zero": 0}
MOMENTS = {"${{ input.at }}": INPUT["at"], "2026-11-26T10:00:00Z": "2026-11-26T10:00:00Z", "${{ input.gone.at }}": None,
           "${{ string(1 / input.zero) }}": None, "at ${{ input.at }}": "at 2026-11-26T09:00:00Z"}  # fmt: skip
CONDITIONS = {True: True, "input.yes": True, "input.no": False, "input.gone == 1": None, "input.places": ["DE"]}
PLACES = {"${{ input.places }}": ["DE"], "${{ input.gone }}": None}


@st.composite
def one_clock(draw: st.DrawFn) -> dict[str, Any]:
    moments = st.sampled_from(list(MOMENTS))
    starts = draw(moments | st.dictionaries(st.sampled_from(["detected", "aware"]), moments, min_size=1))
    clock = {"obligation": draw(st.sampled_from(["a", "b"])), "starts": starts}
    if draw(st.booleans()):
        clock["if"] = draw(st.sampled_from(list(CONDITIONS)))
    if draw(st.booleans()):
        clock["places"] = draw(st.sampled_from(list(PLACES)))
    return clock


def expected(clock: dict[str, Any]) -> dict[str, Any]:
    failed: set[str] = set()

    def part(key: str, text: str, known: dict[Any, Any]) -> Any:
        if condition is False and "${{" in text:
            return None
        if known[text] is None:
            failed.add(key)
        return known[text]

    condition = CONDITIONS[clock.get("if", True)]
    if condition is None:
        failed, condition = {"if"}, True
    starts = clock["starts"]
    found: dict[str, Any] = {"obligation": clock["obligation"], "if": condition}
    found["starts"] = (
        {name: part(f"starts.{name}", text, MOMENTS) for name, text in starts.items()}
        if isinstance(starts, dict)
        else part("starts", starts, MOMENTS)
    )
    if "places" in clock:
        found["places"] = part("places", clock["places"], PLACES)
    return {**found, "failed": failed} if failed else found


@settings(max_examples=20, deadline=None)
@given(clocks=st.lists(one_clock(), min_size=1, max_size=6))
def test_what_cannot_be_computed_costs_neither_its_clock_nor_any_other(clocks: list[dict[str, Any]]) -> None:
    """Through the machine and, if it is one, through the chain: the run never fails by it."""
    given: list[Any] = []

    def start(input: Any) -> dict[str, Any]:
        given.extend(input.model_dump(by_alias=True, exclude_unset=True)["clocks"])
        return {"as_of": "2026-11-26T12:00:00Z", "clocks": None}

    document = {"name": "flow", "steps": {"only": {"wait": {"for": "1s"}}}, "clocks": clocks}
    result = run_workflow(document, INPUT, {"clocks.start": start})
    result.expect("SUCCEEDED")
    for one in given:
        if "failed" in one:
            assert all(one["failed"].values()), "each says why"
            one["failed"] = set(one["failed"])
    assert given == [expected(clock) for clock in clocks]


def test_so_many_that_the_budget_is_spent_are_still_all_started() -> None:
    costly = "${{ string(input.many.all(x, input.text.matches('(a|b)*c'))) }}"
    found = graph([{"obligation": f"o{n}", "starts": costly} for n in range(50)])
    work = found.steps["clocks_1"].work
    assert work is not None
    assert work.with_ is not None
    context = {"input": {"many": list(range(200)), "text": "ab" * 200}, "steps": {}, "run": {}}
    from workflows.core.cost import BUDGET_KEY, Budget

    rendered = work.with_.render({**context, BUDGET_KEY: Budget()})["clocks"]
    assert len(rendered) == 50
    assert {one["obligation"] for one in rendered} == {f"o{n}" for n in range(50)}
    assert "failed" in rendered[-1]
