"""What happened to a stored run, in its order: from its rows and its events, back to the happenings of the machine."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workflows.core.graph import Graph, StepNode
from workflows.core.machine import (
    NO_ITEM,
    Happening,
    RunCancelled,
    RunTimedOut,
    RunView,
    Signal,
    StepAnswered,
    StepDue,
    StepFailed,
    StepKey,
    StepLost,
    StepResolved,
    StepSignalled,
    StepSucceeded,
)
from workflows.core.states import RunState, StepState

#: codes of failures that are always, or never, tried again, whatever the body says
_ALWAYS_RETRYABLE = frozenset({"step_raised", "step_timed_out", "heartbeat_missed", "step_not_begun"})
#: codes of failures whose effect may have happened
_UNCERTAIN = frozenset({"step_raised", "step_timed_out", "heartbeat_missed"})


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row of a step, or of an item."""

    state: StepState
    attempt: int = 0
    failures: int = 0
    lost: int = 0
    input: Any = None
    output: Any = None
    error: Mapping[str, Any] | None = None
    items: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    at: datetime
    type: str
    step: str | None = None
    item: int = NO_ITEM
    attempt: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as it is stored; `view.state` is its state now."""

    view: RunView
    version_id: int
    output: Any
    error: Mapping[str, Any] | None
    finished_at: datetime | None
    rows: Mapping[StepKey, StoredRow]
    events: Sequence[StoredEvent]


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that happened to a run from outside of the machine."""

    at: datetime
    #: of several at the same moment, what ends the run comes last
    last: bool
    happening: Happening
    #: the step or item that it is about; None: the run
    key: StepKey | None = None


def happenings(run: StoredRun, graph: Graph, *, max_lost: int) -> list[Happened]:
    """What happened, in the order of its time. max_lost: how many lost attempts a step may have today."""
    of_key: dict[StepKey, list[StoredEvent]] = defaultdict(list)
    for event in run.events:
        if event.step is not None:
            of_key[event.step, event.item].append(event)
    found = [
        one
        for key, row in run.rows.items()
        if (node := graph.steps.get(key[0])) is not None
        for one in _of_row(run, node, key, row, of_key[key], max_lost)
    ]
    for event in run.events:
        if event.type == "run.cancelled":
            cancelled = RunCancelled(str(event.detail.get("by", "")), str(event.detail.get("reason", "")))
            found.append(Happened(run.finished_at or event.at, True, cancelled))
        elif event.type == "run.timed_out":
            found.append(Happened(run.finished_at or event.at, True, RunTimedOut()))
    return sorted(found, key=lambda one: (one.at, one.last))


def _of_row(
    run: StoredRun, node: StepNode, key: StepKey, row: StoredRow, events: Sequence[StoredEvent], max_lost: int
) -> Iterator[Happened]:
    if node.work is None:
        yield from _of_wait(key, node, row, events)
        return
    if key[1] == NO_ITEM and row.items is not None:
        return  # what happens to a step with items happens to its items
    for event in events:
        happening = _of_event(key, row, event, max_lost)
        if happening is None:
            continue
        final = event is events[-1] and row.state is StepState.FAILED
        at = (row.finished_at if final else None) or event.at
        yield _placed(run, node, key, row, at, happening, final=final)
    resolved = bool(events) and events[-1].type == "step.resolved" and events[-1].detail.get("outcome") == "succeeded"
    if row.state is StepState.SUCCEEDED and row.finished_at is not None and not resolved:
        success = StepSucceeded(key[0], row.attempt, row.output, key[1])
        yield _placed(run, node, key, row, row.finished_at, success, final=True)


def _placed(
    run: StoredRun, node: StepNode, key: StepKey, row: StoredRow, at: datetime, happening: Happening, *, final: bool
) -> Happened:
    end, state = run.finished_at, run.view.state
    if end is None or not node.essential or state is RunState.SUCCEEDED:
        return Happened(at, False, happening, key)
    ends_it = final and row.state is StepState.FAILED and (run.error or {}).get("step") == key[0] and key[1] == NO_ITEM
    if ends_it:
        return Happened(end, True, happening, key)
    if node.work is not None and node.work.repeatable:
        # After the run's end it would have been discarded: it was recorded before, whatever the clocks say.
        at = min(at, end)
    return Happened(at, False, happening, key)


def _of_event(key: StepKey, row: StoredRow, event: StoredEvent, max_lost: int) -> Happening | None:
    step, item = key
    attempt, detail = event.attempt or row.attempt, event.detail
    error = detail.get("error") or {}
    code = error.get("code")
    match event.type:
        case "step.lost":
            return StepLost(step, attempt, max_lost, item)
        case "step.attempt_failed" | "step.unknown" if code == "worker_lost":
            return StepLost(step, attempt, max_lost, item)
        case "step.unknown":
            return StepFailed(step, attempt, error, True, 0.0, certain=False, item=item)
        case "step.attempt_failed":
            retryable = detail.get("retry_at") is not None or code in _ALWAYS_RETRYABLE
            # One that was tried again, or failed for good, was certain for a step that may not be repeated.
            certain = code not in _UNCERTAIN
            return StepFailed(step, attempt, error, retryable, 0.0, certain=certain, item=item)
        case "step.resolved":
            outcome = str(detail.get("outcome"))
            output = row.output if outcome == "succeeded" else None
            return StepResolved(step, outcome, output, str(detail.get("by")), str(detail.get("note", "")), item)
    return None


def _of_wait(key: StepKey, node: StepNode, row: StoredRow, events: Sequence[StoredEvent]) -> Iterator[Happened]:
    ended = row.state in (StepState.SUCCEEDED, StepState.FAILED)
    for event in events:
        if event.type == "step.answered":
            answer = StepAnswered(key[0], bool(event.detail.get("approved")), event.detail.get("votes") or [])
            yield Happened(row.finished_at or event.at, False, answer, key)
        if event.type != "step.signalled":
            continue
        detail = event.detail
        name = str(detail.get("signal"))
        signal = Signal(str(detail.get("id")), name, _payload(row.output, name), str(detail.get("by")))
        at = row.finished_at if ended and event is events[-1] else None
        yield Happened(at or event.at, False, StepSignalled(key[0], signal), key)
    if ended and row.finished_at is not None:
        # Counts only if no signal has ended it.
        yield Happened(row.finished_at, False, StepDue(key[0]), key)


def _payload(output: Any, signal: str) -> Any:
    """What came with a signal, from the output of the step that took it."""
    if not isinstance(output, dict):
        return None
    for one in output.get("results") or ():  # of a wait for all, or with groups, once it has ended
        if isinstance(one, dict) and (one.get("signal") == signal or "results" in one or "first" in one):
            found = _payload(one, signal)
            if found is not None:
                return found
    if "results" in output:
        return None
    for one in output.get("waits") or ():  # of a wait for several that goes on
        if isinstance(one, dict) and one.get("signal") == signal:
            return (one.get("came") or {}).get("payload")
    return output.get("payload") if output.get("signal", signal) == signal else None
