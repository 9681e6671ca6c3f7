"""Laws of a wait with groups in groups and with conditions: it ends when the formula over all that has happened becomes
true, what a group that has come did not need is withdrawn, and no signal is taken that changes nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.core import kinds
from workflows.core.definition import DefinitionInvalid, validate
from workflows.core.in_memory import RunInMemory
from workflows.core.kinds.wait_format import MAX_IN_ALL, MAX_PARTS
from workflows.core.machine import NO_ITEM, RunResumed, RunSignalled, RunStarted, RunView, Signal, StepDue
from workflows.core.states import RunState, StepState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNALS = ("a", "b", "c", "d")
#: steps beside the wait, each of which ends with a signal of its own
BESIDE = ("p", "q")


def run_of(wait: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> RunInMemory:
    steps = {"w": {"wait": wait}, **{name: {"wait": {"signal": f"end.{name}"}} for name in BESIDE}, **(more or {})}
    graph = validate({"name": "w", "steps": steps}, {})
    run = RunInMemory(graph, RunView("r", "w", None, "standard", RunState.PENDING, {}, NOW))
    run.apply([RunStarted()])
    return run


def send(run: RunInMemory, name: str, payload: Any = None) -> bool:
    return run.apply([RunSignalled(Signal(f"s-{name}", name, payload, "ann"))])


def held(run: RunInMemory) -> Any:
    return run.steps["w", NO_ITEM]


# --- any nesting against brute force

LEAVES = st.one_of(
    st.tuples(st.just("signal"), st.sampled_from(SIGNALS)),
    st.tuples(st.just("for"), st.integers(1, 5)),
    st.tuples(st.just("when"), st.sampled_from(BESIDE)),
)


def groups(inner: Any) -> Any:
    return st.tuples(st.sampled_from(["any", "all"]), st.lists(inner, min_size=1, max_size=4))


TREES = groups(st.one_of(LEAVES, groups(st.one_of(LEAVES, groups(LEAVES)))))


def once(tree: Any, seen: set[str]) -> Any:
    """The tree, with each signal in it once; the second becomes a time."""
    kind, what = tree
    if kind in ("any", "all"):
        return kind, [once(one, seen) for one in what]
    if kind == "signal":
        if what in seen:
            return "for", 3
        seen.add(what)
    return tree


def written(tree: Any) -> dict[str, Any]:
    kind, what = tree
    if kind in ("any", "all"):
        return {kind: [written(one) for one in what]}
    if kind == "for":
        return {"for": f"{what}m"}
    return {kind: what if kind == "signal" else f"${{{{ steps.{what}.status == 'SUCCEEDED' }}}}"}


def true(tree: Any, happened: set[Any]) -> bool:
    kind, what = tree
    if kind in ("any", "all"):
        return (any if kind == "any" else all)(true(one, happened) for one in what)
    return tree in happened


def wanted(tree: Any, leaf: Any, happened: set[Any]) -> bool:
    """Whether it is in the tree, and nothing that it is in has come."""
    if true(tree, happened):
        return False
    kind, what = tree
    return any(wanted(one, leaf, happened) for one in what) if kind in ("any", "all") else bool(tree == leaf)


def times(tree: Any, happened: set[Any]) -> list[int]:
    kind, what = tree
    if true(tree, happened):
        return []
    if kind in ("any", "all"):
        return [minute for one in what for minute in times(one, happened)]
    return [what] if kind == "for" else []


@settings(max_examples=120, deadline=None)
@given(
    tree=TREES,
    what=st.lists(st.one_of(st.sampled_from([*SIGNALS, *BESIDE, "due", "pause"]), st.integers(1, 3)), max_size=14),
)
def test_it_ends_as_the_formula_over_all_that_happened_becomes_true(tree: Any, what: list[Any]) -> None:
    tree = once(tree, set())
    run = run_of(written(tree))
    #: all that happened, and what of it the wait took
    everything: set[Any] = set()
    happened: set[Any] = set()
    late = 0.0
    for one in ["", *what]:
        if one in SIGNALS:
            leaf = ("signal", one)
            wants = wanted(tree, leaf, happened)
            assert send(run, one, {"n": one}) is wants
            everything.add(leaf)
            if wants:
                happened.add(leaf)
        elif one in BESIDE:
            send(run, f"end.{one}")
            everything.add(("when", one))
            if wanted(tree, ("when", one), happened):
                happened.add(("when", one))
        elif one == "pause" and held(run).state is StepState.WAITING:
            run.now += timedelta(minutes=1)
            late += 1
            run.apply([RunResumed(60.0)])
        elif one == "due" or isinstance(one, int):
            due = run.dues.get(("w", NO_ITEM))
            if held(run).state is not StepState.WAITING or due is None:
                continue
            # At its moment, or so late that others have come meanwhile.
            run.now = max(run.now, due) + timedelta(minutes=one if isinstance(one, int) else 0)
            run.apply([StepDue("w")])
            minutes = (run.now - NOW).total_seconds() / 60 - late
            everything |= {("for", minute) for minute in range(1, 6) if minute <= minutes}
            for minute in range(1, 6):
                if minute <= minutes and minute in times(tree, happened):
                    happened.add(("for", minute))
        over = true(tree, everything)
        assert over is true(tree, happened)
        assert (held(run).state is StepState.SUCCEEDED) is over, (tree, one)
        if over:
            assert held(run).output.get("first", 0) is not None
            check(tree, held(run).output, happened)
        else:
            assert held(run).state is StepState.WAITING
            left = times(tree, happened)
            due = run.dues["w", NO_ITEM]
            assert due == (NOW + timedelta(minutes=min(left) + late) if left else None)


def check(tree: Any, output: Any, happened: set[Any]) -> None:
    """The output tells of every signal that was taken, and the first one of an `any` has come."""
    kind, what = tree
    if kind == "any":
        if output["first"] is None:
            return  # it was withdrawn in the moment in which it could have come
        assert true(what[output["first"]], happened)
    results = output.get("results")
    if results is None:
        assert all(one[0] not in ("any", "all") for one in what)
        if what[output["first"]][0] == "signal":
            assert output["payload"] == {"n": output["signal"]}
        return
    for one, result in zip(what, results, strict=True):
        if one[0] in ("any", "all"):
            if true(one, happened):
                check(one, result, happened)
        elif one[0] == "signal":
            assert (result is not None) is (one in happened)
            assert result is None or result == {"signal": one[1], "payload": {"n": one[1]}, "by": "ann"}


# --- what is told

WAIT = {"all": [{"signal": "a"}, {"any": [{"all": [{"signal": "b"}, {"signal": "c"}]}, {"for": "1h"}]}]}


def test_what_came_of_a_group_that_lost_is_told() -> None:
    run = run_of(WAIT)
    assert send(run, "b", 7)
    assert held(run).state is StepState.WAITING
    told = run.graph.steps["w"].how.explain(held(run), run.dues["w", NO_ITEM])
    assert told == (
        'waits for the signal "a" and (the first of the signal "c", the moment 2026-01-01T01:00:00+00:00); '
        "the next moment is 2026-01-01T01:00:00+00:00"
    )
    run.now = NOW + timedelta(hours=1)
    assert run.apply([StepDue("w")])
    # The signal of the group that lost is withdrawn, and so is its time.
    assert not send(run, "c", 8)
    assert run.dues["w", NO_ITEM] is None
    assert send(run, "a", 9)
    assert held(run).output == {
        "results": [
            {"signal": "a", "payload": 9, "by": "ann"},
            {
                "first": 1,
                "signal": None,
                "payload": None,
                "by": None,
                "results": [{"results": [{"signal": "b", "payload": 7, "by": "ann"}, None]}, {"signal": None}],
            },
        ],
        "timed_out": False,
    }


def test_a_signal_that_was_kept_for_a_group_is_taken_only_if_it_is_still_wanted() -> None:
    run = RunInMemory(
        validate({"name": "w", "steps": {"w": {"wait": WAIT}, "z": {"wait": {"signal": "c"}, "needs": ["w"]}}}, {}),
        RunView("r", "w", None, "standard", RunState.PENDING, {}, NOW),
    )
    run.kept = [Signal("1", "c", 1, "ann"), Signal("2", "b", 2, "ann"), Signal("3", "c", 3, "ann")]
    run.apply([RunStarted()])
    assert [one.id for one in run.kept] == ["3"]
    assert send(run, "a")
    assert run.run.state is RunState.SUCCEEDED
    assert run.kept == []


# --- conditions

ENDED = "${{ steps.p.status == 'SUCCEEDED' }}"


def test_a_condition_that_cannot_be_decided_yet_is_waited_for_and_once_true_has_come() -> None:
    run = run_of({"all": [{"when": "steps.p.output.payload.score > 5"}, {"signal": "a"}]})
    told = run.graph.steps["w"].how.explain(held(run), None)
    assert told == 'waits for the condition steps.p.output.payload.score > 5 and the signal "a"'
    send(run, "end.p", {"score": 6})
    assert run.graph.steps["w"].how.explain(held(run), None) == 'waits for the signal "a"'
    assert send(run, "a")
    assert held(run).state is StepState.SUCCEEDED


@pytest.mark.parametrize("fits", ["steps.p.output.payload.score > 5", "steps.p.output.payload"])
def test_a_condition_that_can_never_be_decided_fails_the_step(fits: str) -> None:
    run = run_of({"any": [{"when": fits}, {"signal": "a"}]})
    send(run, "end.p", {"other": 6})
    assert held(run).state is StepState.FAILED
    error = run.errors["w", NO_ITEM]
    assert error is not None
    assert error["code"] == "expression_error"
    assert error["message"].startswith("wait.any[0].when: ")
    assert run.run.state is RunState.FAILED


def test_a_wait_that_cannot_end_any_more_fails_unless_it_has_a_time_limit() -> None:
    never = [{"when": "steps.p.output.payload"}, {"any": [{"signal": "a"}, {"for": "5h"}]}]
    run = run_of({"all": never})
    send(run, "end.p", False)
    error = run.errors["w", NO_ITEM]
    assert (held(run).state, error and error["code"]) == (StepState.FAILED, "wait_never")
    assert error
    assert "the condition steps.p.output.payload and (the first of" in error["message"]
    for goes_on in ({"any": never}, {"all": never, "timeout": "1h"}):
        run = run_of(goes_on)
        send(run, "end.p", False)
        assert held(run).state is StepState.WAITING


def test_what_ends_by_a_condition_lets_its_own_followers_begin_in_the_same_decision() -> None:
    follows = {
        "x": {"wait": {"any": [{"when": ENDED}, {"signal": "x"}]}},
        "y": {"wait": {"any": [{"when": "steps.x.status == 'SUCCEEDED'"}, {"signal": "y"}]}},
        "z": {"wait": {"for": "1h"}, "needs": ["y"]},
        # It is skipped by the same decision, before which no step tells that it has ended.
        "skipped": {"wait": {"for": "1h"}, "needs": ["p"], "if": False},
    }
    run = run_of(
        {"all": [{"when": "steps.skipped.status == 'SKIPPED'"}, {"when": "steps.z.status == 'WAITING'"}]}, follows
    )
    send(run, "end.p")
    states = {step: view.state for (step, _), view in run.steps.items()}
    assert states == {
        "p": StepState.SUCCEEDED,
        "q": StepState.WAITING,
        "skipped": StepState.SKIPPED,
        "w": StepState.SUCCEEDED,
        "x": StepState.SUCCEEDED,
        "y": StepState.SUCCEEDED,
        "z": StepState.WAITING,
    }


def test_a_step_that_is_not_essential_waits_for_conditions_after_the_outcome() -> None:
    steps = {
        "main": {"wait": {"signal": "go"}},
        "late": {"essential": False, "wait": {"signal": "late"}},
        "after": {"essential": False, "wait": {"any": [{"when": "steps.late.status == 'SUCCEEDED'"}, {"for": "9h"}]}},
    }
    run = RunInMemory(
        validate({"name": "w", "steps": steps}, {}), RunView("r", "w", None, "standard", RunState.PENDING, {}, NOW)
    )
    run.apply([RunStarted()])
    send(run, "go")
    assert run.run.state is RunState.SUCCEEDED
    send(run, "late")
    assert run.steps["after", NO_ITEM].state is StepState.SUCCEEDED


# --- every fault, with its path


@pytest.mark.parametrize(
    ("part", "path", "says"),
    [
        ({"any": [{"signal": "a"}, {"signal": "a"}]}, ".any[1].signal", '"a" is there already'),
        ({"any": [{"signal": "first"}]}, ".any[0].signal", '"first" is there already'),
        ({"any": []}, ".any", "[] has less than 1 item"),
        ({"any": [{}]}, ".any[0]", "needs one of for, until, signal, when, any, all"),
        ({"any": [{"signal": "a"}], "all": [{"signal": "b"}]}, "", "has any and all: it can have only one of them"),
        ({"any": [{"signal": "a"}], "schema": {}}, ".schema", "goes with signal"),
        ({"any": [{"signal": "a"}], "timeout": "1h"}, ".timeout", "unknown key"),
        ({"all": [{"any": [{"any": [{"signal": "a"}]}]}]}, ".all[0].any[0].any", "unknown key"),
        ({"any": [{"for": "soon"}]}, ".any[0].for", "soon"),
        ({"any": [{"until": "2026-01-01"}]}, ".any[0].until", "is not a moment with its time zone"),
        ({"any": [{"signal": "a", "schema": {"type": 5}}]}, ".any[0].schema.type", ""),
        ({"when": "steps.p.status =="}, ".when", ""),
        ({"when": "true"}, ".when", "reads no step, so it never changes"),
        ({"when": True}, ".when", "reads no step, so it never changes"),
        ({"when": "input.x"}, ".when", "reads no step, so it never changes"),
        ({"when": 5}, ".when", "is not an expression"),
        ({"when": "steps.w.output"}, ".when", "a step cannot wait for itself"),
        ({"when": "steps.pp.output"}, ".when", 'no step "pp"'),
        ({"when": "steps.after.output"}, ".when", 'reads "after", which needs "w": it begins after this wait'),
        ({"when": "steps.late.output"}, ".when", 'reads "late", which is not essential'),
        ({"when": "steps.p.output.nothing"}, ".when", "there is no steps.p.output.nothing"),
        ({"when": "steps.p.output.payload", "signal": "a"}, "", "has signal and when"),
    ],
)
def test_each_fault_has_its_path(part: Any, path: str, says: str) -> None:
    steps: dict[str, Any] = {
        "w": {"wait": {"all": [{"signal": "first"}, part]}},
        "p": {"wait": {"signal": "p"}},
        "after": {"wait": {"signal": "x"}, "needs": ["w"]},
        "late": {"wait": {"signal": "y"}, "essential": False},
    }
    with pytest.raises(DefinitionInvalid) as caught:
        validate({"name": "w", "steps": steps}, {})
    found = {fault.path: fault.message for fault in caught.value.faults}
    assert says in found[f"steps.w.wait.all[1]{path}"], found


def test_one_wait_has_a_bounded_number_of_parts_in_all() -> None:
    many = [{"any": [{"for": "1h"}] * MAX_PARTS}] * (MAX_IN_ALL // MAX_PARTS)
    assert validate({"name": "w", "steps": {"w": {"wait": {"all": many}}}}, {}).level == 5 <= kinds.level()
    with pytest.raises(DefinitionInvalid, match=f"waits for {MAX_IN_ALL + 1} signals, times and conditions in all"):
        validate({"name": "w", "steps": {"w": {"wait": {"all": [*many, {"for": "1h"}]}}}}, {})
