"""The order of steps, cycles, and what a graph tells."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erip.foundation.faults import Fault, join
from workflows.core.durations import NotADuration, parse_duration
from workflows.core.graph import Graph
from workflows.core.ordering import ancestors, cycles, topological
from workflows.core.schema import Schema


@st.composite
def acyclic(draw) -> dict[str, tuple[str, ...]]:
    """Steps in any order of writing, each with needs among those that are before it in a hidden order."""
    names = [f"s{i}" for i in range(draw(st.integers(1, 12)))]
    needs = {
        name: tuple(draw(st.lists(st.sampled_from(names[:i]), unique=True, max_size=4))) if i else ()
        for i, name in enumerate(names)
    }
    return {name: needs[name] for name in draw(st.permutations(names))}


@given(acyclic())
def test_every_step_stands_after_all_that_it_needs(needs):
    order = topological(needs)
    assert sorted(order) == sorted(needs)
    for step, wanted in needs.items():
        assert all(order.index(need) < order.index(step) for need in wanted)
    assert cycles(needs) == []


@given(acyclic())
def test_the_order_is_stable(needs):
    order = topological(needs)
    assert topological({step: needs[step] for step in order}) == order
    assert topological(dict(needs)) == order


def test_steps_that_may_come_in_any_order_keep_that_of_the_definition():
    assert topological({"z": (), "b": ("z",), "a": (), "c": ("a", "b")}) == ["z", "b", "a", "c"]


@given(acyclic())
def test_ancestors_are_all_that_ended_before(needs):
    found = ancestors(needs, topological(needs))
    for step, wanted in needs.items():
        assert found[step] == set(wanted).union(*(found[need] for need in wanted))


@pytest.mark.parametrize(
    ("needs", "circles"),
    [
        ({"a": ("b",), "b": ("a",)}, [("a", "b", "a")]),
        ({"x": ("a",), "a": ("b",), "b": ("c",), "c": ("a",)}, [("a", "b", "c", "a")]),
        ({"a": ("b",), "b": ("a",), "c": ("d",), "d": ("c",)}, [("a", "b", "a"), ("c", "d", "c")]),
        ({"a": ("b", "c"), "b": (), "c": ("b",)}, []),
    ],
)
def test_cycles_are_told_as_they_are_walked(needs, circles):
    assert cycles(needs) == circles


def test_a_chain_of_any_length_is_no_matter():
    needs = {f"s{i}": (f"s{i + 1}",) if i < 4999 else () for i in range(5000)}
    assert cycles(needs) == []


def test_input_faults_have_paths_from_the_input():
    schema = {"properties": {"cves": {"items": {"type": "string"}}}}
    graph = Graph("a", "high", None, schema, {}, None, {}, "", Schema.compile(schema))
    assert [fault.path for fault in graph.input_faults({"cves": [1]})] == ["input.cves[0]"]


def test_a_graph_without_an_input_schema_takes_any_input():
    assert Graph("a", "high", None, None, {}, None, {}, "").input_faults({"any": 1}) == []


@pytest.mark.parametrize(
    ("path", "key", "joined"),
    [
        ("", "steps", "steps"),
        ("steps", "a", "steps.a"),
        ("needs", 0, "needs[0]"),
        ("a", "b c", "a['b c']"),
        ("", "b c", "['b c']"),
    ],
)
def test_paths_are_written_as_a_reader_would(path, key, joined):
    assert join(path, key) == joined


def test_a_fault_reads_as_path_and_message():
    assert str(Fault("a.b", "is required")) == "a.b: is required"
    assert str(Fault("", "is empty")) == "is empty"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("4h", 14_400),
        ("1h30m", 5_400),
        ("500ms", 0.5),
        ("2d", 172_800),
        ("1.5s", 1.5),
        (3, 3),
        (0.25, 0.25),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "10", "-1s", "1s1h", "1 h", "1h1h", "1w", True, None, float("nan"), -1, [], "1e3s"]
)
def test_what_is_no_duration(text):
    with pytest.raises(NotADuration, match="is not a duration"):
        parse_duration(text)


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_not(text):
    with contextlib.suppress(NotADuration):
        assert parse_duration(text) >= 0
