"""What a run waits for: every state of every kind of step gets one sentence, and what is unknown is not said."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workflows.core.test_kinds import Registered
from workflows.core import definition, explaining
from workflows.core.explaining import COUNT_TO, Facts, Holder, Queue, StepFacts
from workflows.core.graph import Retry
from workflows.core.machine import StepView
from workflows.core.machine.items import FanView
from workflows.core.states import Lane, StepState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GRAPH = definition.validate(
    {
        "name": "all",
        "steps": {
            "task": {"uses": "t.t"},
            "each": {"uses": "t.t", "foreach": [1, 2], "max_parallel": 7},
            "nap": {"wait": {"for": "1h"}},
            "ask": {"wait": {"signal": "ok", "timeout": "1h"}},
            "late": {"uses": "t.t", "needs": ["task", "ask"]},
            "mail": {"uses": "t.t", "essential": False},
        },
    },
    {"t.t": Registered("t.t", {}, retry=Retry(max_attempts=5))},
)
TASK = GRAPH.steps["task"]
BUSY = Queue(ahead=40, urgent=2, workers=1, rate=10.0)


def facts(rows: dict[str, list[StepFacts]], **more: Any) -> Facts:
    known: dict[str, Any] = {"now": NOW, "ended": (), "lease": 3.0, "bounds": {"standard": 60.0}}
    return Facts(steps=rows, **{**known, **more})


def about(step: str, row: StepFacts, **more: Any) -> explaining.Waits:
    found = [one for one in explaining.explain(GRAPH, facts({step: [row]}, **more)) if one.step == step]
    assert len(found) == 1
    return found[0]


def test_a_ready_step_says_behind_how_many_it_waits_and_until_when() -> None:
    row = StepFacts(StepView(StepState.READY), "standard", ready_at=NOW, queue=BUSY)
    one = about("task", row)
    assert one.sentence == (
        "task waits for a worker of lane standard since 2026-01-01T00:00:00Z, behind 40 of its lane and 2 of more "
        "urgent ones; admitted work of lane standard starts within 60 s while workers are up; expected in 4.2 s, at 10 "
        "steps/s."
    )
    assert (one.ahead, one.lane, one.until) == (42, "standard", NOW + timedelta(seconds=4.2))


def test_what_is_unknown_is_not_said() -> None:
    row = StepFacts(StepView(StepState.READY), "standard", ready_at=NOW, queue=Queue(3, 0, 1, None))
    one = about("task", row)
    assert one.until is None
    assert one.sentence.endswith("nobody has measured yet how fast its workers are.")
    assert '"t.t"' not in one.sentence, "a worker that says nothing may know the step"
    assert 'no living worker has the step "t.t"' in about("task", row, registered=frozenset({"other"})).sentence
    many = StepFacts(StepView(StepState.READY), "standard", ready_at=NOW, queue=Queue(COUNT_TO, 0, 1, 1.0))
    assert "behind 1,000 or more of its lane" in about("task", many).sentence
    assert "expected in at least 16 min 40 s" in about("task", many).sentence


def test_a_lane_that_nobody_serves_is_named() -> None:
    row = StepFacts(StepView(StepState.READY), "bulk", ready_at=NOW, queue=Queue(0, 0, 0, None))
    assert about("task", row).sentence.endswith("but no living worker serves lane bulk: start one.")


def test_a_running_step_names_its_worker_and_what_is_left_of_its_lease() -> None:
    view = StepView(StepState.RUNNING, attempt=2, failures=1)
    one = about("task", StepFacts(view, "standard", started_at=NOW, holder=Holder("w1", 0.5, False)))
    assert one.sentence == (
        "task attempt 2 runs on worker w1 since 2026-01-01T00:00:00Z; an attempt may take 30 s; it may fail 5 times, "
        "and has failed once; the worker was heard of 0.5 s ago, and keeps the step unless it is silent for 2.5 s more."
    )
    assert (one.worker, one.until) == ("w1", NOW + timedelta(seconds=30))
    gone = about("task", StepFacts(view, "standard", started_at=NOW, holder=Holder("w1", 9.0, True)))
    assert "that worker is gone" in gone.sentence
    last = StepView(StepState.RUNNING, attempt=5, failures=4)
    assert "failure 5 of 5" in about("task", StepFacts(last, "standard", holder=Holder("w", 0.0, False))).sentence


def test_a_step_that_rests_says_until_when_and_why() -> None:
    view = StepView(StepState.WAITING, attempt=2, failures=2)
    one = about("task", StepFacts(view, "high", due_at=NOW + timedelta(minutes=2), error="no answer"))
    assert one.sentence == (
        "task rests until 2026-01-01T00:02:00Z before attempt 3 (in 2 min); 2 of at most 5 failures; "
        "attempt 2 failed: no answer."
    )


def test_waits_items_needs_and_people() -> None:
    waiting = StepView(StepState.WAITING)
    ask = about("ask", StepFacts(waiting, "standard", started_at=NOW, due_at=NOW + timedelta(hours=30)))
    assert (ask.waits_for, ask.until) == ("signal", NOW + timedelta(hours=30))
    assert 'signal "ok"' in ask.sentence
    assert "(in 1 d 6 h)" in ask.sentence
    assert about("nap", StepFacts(waiting, "standard", due_at=NOW)).sentence.endswith("(due now).")
    fan = StepView(StepState.RUNNING, fan=FanView(pending=5, active=3, succeeded=2))
    each = about("each", StepFacts(fan, "standard", started_at=NOW))
    assert (each.waits_for, each.limit) == ("items", "at most 7 items at once")
    assert "8 of its 10 items" in each.sentence
    unknown = about("task", StepFacts(StepView(StepState.UNKNOWN, attempt=1), "standard"))
    assert unknown.waits_for == "person"
    pending = {one.step: one.sentence for one in explaining.explain(GRAPH, facts({}, ended={"task"}))}
    assert pending["late"] == "late waits for ask to end."
    assert pending["mail"].startswith("mail waits for the run's outcome")
    assert "task" not in pending


COUNTS = st.integers(0, COUNT_TO)
QUEUES = st.builds(Queue, COUNTS, COUNTS, st.integers(0, 3), st.none() | st.floats(0, 9))
OPEN = [state for state in StepState if not state.ended]


@given(
    step=st.sampled_from(sorted(GRAPH.steps)),
    state=st.sampled_from(OPEN),
    item=st.integers(-1, 3),
    holder=st.none() | st.builds(Holder, st.just("w"), st.floats(0, 1e6), st.booleans()),
    queue=st.none()
    | st.builds(
        Queue, st.integers(0, COUNT_TO), st.integers(0, COUNT_TO), st.integers(0, 3), st.none() | st.floats(0, 9)
    ),
    moments=st.tuples(*[st.none() | st.datetimes(timezones=st.just(UTC), max_value=datetime(9000, 1, 1))] * 3),
    fan=st.none() | st.just(FanView(active=1)),
    lane=st.sampled_from(list(Lane)),
)
def test_whatever_is_known_there_is_one_sentence(
    step: str, state: StepState, item: int, holder: Any, queue: Any, moments: Any, fan: Any, lane: Lane
) -> None:
    row = StepFacts(StepView(state, 1, fan=fan), str(lane), item, *moments, "boom", holder, queue=queue)
    one = about(step, row)
    assert one.sentence.startswith(step)
    assert one.sentence.endswith(".")
    assert "None" not in one.sentence
    assert one.status == state
