"""What an event does: the rules of a workflow in their order, and the windows of their cases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.core.rules import Rule, compile_rule, compile_rules, moment_of
from workflows.core.triggers import (
    MAX_DEPTH,
    Drop,
    Failed,
    Held,
    RuleBook,
    Start,
    ask,
    decide,
    depth_of,
    settle,
    started_by,
)

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def rules(*documents: dict[str, Any], workflow: str = "respond") -> tuple[Rule, ...]:
    found, faults = compile_rules([{"event": "acme.found", **document} for document in documents], workflow, None)
    assert faults == []
    return found


def event(type_: str = "acme.found", **attributes: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "1", "source": "/scanner/7", "type": type_, **attributes}


@pytest.mark.parametrize(
    ("pattern", "type_", "about"),
    [
        ("acme.found", "acme.found", True),
        ("acme.found", "acme.found.again", False),
        ("acme.*", "acme.found", True),
        ("acme.*", "acme.found.again", True),
        ("acme.*", "acme", False),
        ("acme.*", "acmes.found", False),
    ],
)
def test_a_pattern_is_about_all_types_below_it(pattern: str, type_: str, about: bool) -> None:
    book = RuleBook(rules({"event": pattern}))
    assert bool(book.ask(event(type_))) == about
    assert bool(book.wanting(type_)) == about
    assert book.patterns == {pattern}


@pytest.mark.parametrize(
    ("source", "about"), [("/scanner/7", True), ("/scanner/*", True), ("/scanner", False), ("/scanner/8", False)]
)
def test_a_rule_may_be_about_one_source_or_those_that_begin_alike(source: str, about: bool) -> None:
    assert (ask(rules({"source": source}), event()) is not None) == about


def test_what_types_are_called_fills_no_memory() -> None:
    book = RuleBook(rules({"event": "acme.*"}))
    for number in range(30_000):
        assert book.wanting(f"other.{number}") == ()
        assert book.wanting(f"acme.{number}")
    assert len(book._known) <= 10_000


def test_the_first_rule_that_matches_decides_for_its_workflow_alone() -> None:
    of_one = rules({"if": "event.data.n > 2", "action": "drop"}, {"lane": "high"}, {"lane": "bulk"}, workflow="one")
    book = RuleBook([*of_one, *rules({}, workflow="two")])
    dropped, started = book.ask(event(data={"n": 3}))
    assert isinstance(dropped, Drop)
    assert isinstance(started, Start)
    assert started.rule.workflow == "two"
    first, _ = book.ask(event(data={"n": 1}))
    assert isinstance(first, Start)
    assert first.lane == "high"


def test_a_rule_that_fails_is_told_with_its_places_and_those_behind_it_are_not_asked() -> None:
    found = ask(
        rules({"input": {"a": ["${{ event.data.x }}"]}, "business_key": "${{ event.data }}"}, {}), event(data={})
    )
    assert isinstance(found, Failed)
    assert [str(fault) for fault in found.faults] == [
        "input.a[0]: there is no event.data.x",
        "business_key: gave no text",
    ]


@pytest.mark.parametrize(("value", "key"), [("a", "a"), (7, "7"), (None, None), ("", None)])
def test_a_business_key_is_text_a_whole_number_or_nothing(value: Any, key: str | None) -> None:
    found = ask(rules({"business_key": "${{ event.data.key }}"}), event(data={"key": value}))
    assert isinstance(found, Start)
    assert found.business_key == key


def test_a_business_key_that_is_too_long_for_a_run_fails_the_rule() -> None:
    found = ask(rules({"business_key": "${{ event.data.key }}"}), event(data={"key": "x" * 201}))
    assert isinstance(found, Failed)


def test_a_chain_ends_at_its_depth() -> None:
    assert isinstance(ask(rules({}), event(eripdepth=MAX_DEPTH - 1)), Start)
    found = ask(rules({}), event(eripdepth=MAX_DEPTH))
    assert isinstance(found, Failed)
    assert found.code == "too_deep"
    # A rule that starts nothing is no link of a chain.
    assert isinstance(ask(rules({"action": "drop"}), event(eripdepth=99)), Drop)


@pytest.mark.parametrize(("value", "depth"), [(3, 3), ("3", 3), (-1, 0), (True, 0), ("x", 0), (None, 0)])
def test_the_depth_is_read_from_what_events_may_say(value: Any, depth: int) -> None:
    assert depth_of(event(eripdepth=value)) == depth


def test_who_started_a_run_tells_the_type_and_the_depth() -> None:
    assert started_by("acme.found", 1) == "event:acme.found"
    assert started_by("acme.found", 3) == "event:acme.found#3"
    assert started_by("acme#9", 1) == "event:acme#9#1"
    assert len(started_by("x" * 250, 8)) <= 200


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-11-30", datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)),
        ("2026-11-30T12:00:00+01:00", datetime(2026, 11, 30, 11, tzinfo=UTC)),
        (None, None),
    ],
)
def test_a_date_is_the_end_of_its_day(value: Any, moment: datetime | None) -> None:
    assert moment_of(value) == moment


@pytest.mark.parametrize(
    "value", ["", "soon", "2026-11-31", "2026-11-30T12:00:00", 5, True, "0001-01-01T00:00:00+10:00"]
)
def test_what_is_no_moment_is_no_deadline(value: Any) -> None:
    with pytest.raises(ValueError):
        moment_of(value)


def test_the_same_rule_has_the_same_key_in_the_next_version_and_another_has_not() -> None:
    before, after = rules({"lane": "high"}), rules({"lane": "bulk"}, {"lane": "high"})
    assert before[0].key == after[1].key
    assert before[0].key != after[0].key
    assert before[0].key != rules({"lane": "high"}, workflow="other")[0].key


def test_a_stored_rule_has_the_same_faults_as_a_definitions() -> None:
    _, faults = compile_rule({"event": "a.b", "if": "input.x", "lane": "fast"}, "w", None, at="rule", label="x")
    assert [fault.path for fault in faults] == ["rule.lane"]
    _, faults = compile_rule({"event": "a.b", "if": "input.x", "dedupe": "99999d"}, "w", None, at="rule", label="x")
    assert [fault.path for fault in faults] == ["rule.if", "rule.dedupe"]


# --- windows: laws, whatever the events and the times between them

WINDOW = 60.0
TIMES = st.lists(st.tuples(st.floats(0, 100), st.sampled_from("abc")), max_size=40)


def starts(kind: str, steps: list[tuple[float, str]]) -> dict[str, list[tuple[datetime, bool]]]:
    """For each case: when its events came, and whether they started a run."""
    book = RuleBook(rules({"business_key": "${{ event.subject }}", kind: WINDOW}))
    now, marks = NOW, {}
    seen: dict[str, list[tuple[datetime, bool]]] = {}
    for pause, case in steps:
        now += timedelta(seconds=pause)
        (decision,), changed = decide(book, event(subject=case), now, marks)
        assert isinstance(decision, Start | Held)
        marks.update(changed)
        seen.setdefault(case, []).append((now, isinstance(decision, Start)))
    return seen


@given(TIMES)
def test_dedupe_starts_at_most_one_run_in_a_window_and_the_first_event_after_it_starts_one(
    steps: list[tuple[float, str]],
) -> None:
    for events in starts("dedupe", steps).values():
        last = None
        for at, started in events:
            # It starts one exactly if none was started within the window before it.
            assert started == (last is None or (at - last).total_seconds() >= WINDOW)
            last = at if started else last


@given(TIMES)
def test_debounce_starts_one_run_for_a_case_that_never_falls_silent_for_the_window(
    steps: list[tuple[float, str]],
) -> None:
    for events in starts("debounce", steps).values():
        before = None
        for at, started in events:
            assert started == (before is None or (at - before).total_seconds() >= WINDOW)
            before = at


@given(TIMES, st.sampled_from(["dedupe", "debounce"]), st.integers(1, 5))
def test_events_that_are_settled_together_come_to_what_they_come_to_one_by_one(
    steps: list[tuple[float, str]], kind: str, size: int
) -> None:
    book = RuleBook(rules({"business_key": "${{ event.subject }}", kind: WINDOW}))
    alone: dict[str, datetime] = {}
    together: dict[str, datetime] = {}
    now = NOW
    for start in range(0, len(steps), size):
        group = steps[start : start + size]
        now += timedelta(seconds=group[0][0])
        asked = [one for _, case in group for one in book.ask(event(subject=case))]
        decisions, changed = settle([one for one in asked if isinstance(one, Start)], together, now)
        together.update(changed)
        for (_, case), decision in zip(group, decisions, strict=True):
            (single,), marks = decide(book, event(subject=case), now, alone)
            alone.update(marks)
            assert isinstance(single, Start) == isinstance(decision, Start)
    assert alone == together
