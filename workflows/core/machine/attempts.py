"""The life of what workers run: a step, or an item of one, is claimed, and each claim is an attempt."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from workflows.core.graph import StepNode, Work
from workflows.core.machine.happenings import (
    NO_ITEM,
    StepDue,
    StepFailed,
    StepHappening,
    StepLost,
    StepResolved,
    StepReturned,
    StepSucceeded,
    StepTaken,
)
from workflows.core.machine.plan import Event, StepView
from workflows.core.states import StepState

if TYPE_CHECKING:
    from workflows.core.machine.deciding import Deciding


def happened(deciding: "Deciding", work: Work, happening: StepHappening) -> None:
    """What a happening does to a step, or an item, for which workers do `work`."""
    handle = _HANDLERS.get(type(happening))
    if handle is None:
        deciding.discarded.append(happening)
    else:
        handle(deciding, work, happening)


def stop(deciding: "Deciding", node: StepNode, work: Work, view: StepView) -> None:
    """The run has ended without this step. A step that has not begun is cancelled, and so is a running one that can be
    repeated: its late result is discarded. A running one that cannot be repeated keeps its row, so that its outcome is
    still recorded."""
    idle = view.state in (StepState.READY, StepState.WAITING, StepState.PAUSED)
    if idle or (view.state is StepState.RUNNING and work.repeatable):
        deciding.set(node.id, NO_ITEM, replace(view, state=StepState.CANCELLED))


def explain(view: StepView, due_at: datetime | None) -> str:
    """What a step that workers run waits for."""
    match view.state:
        case StepState.READY:
            return "waits for a worker"
        case StepState.RUNNING:
            return f"waits for attempt {view.attempt}, which a worker runs"
        case StepState.WAITING if due_at is not None:
            return f"rests until {due_at.isoformat()} before attempt {view.attempt + 1}"
        case StepState.WAITING:
            return f"rests before attempt {view.attempt + 1}"
        case StepState.PAUSED:
            return "is paused with its run"
        case StepState.UNKNOWN:
            return f"waits for a person to say how attempt {view.attempt} ended, whose outcome is unknown"
        case _:
            return "waits for a place to run"


def repeatable(node: StepNode) -> bool:
    """Whether an attempt of this step with an unknown outcome may be run again."""
    return node.work is None or node.work.repeatable


def rest(work: Work, failures: int, jitter: float, retry_after: float | None) -> float:
    """Seconds before the next attempt: exponential, capped, with equal jitter (AWS Architecture Blog, "Exponential
    Backoff And Jitter"); never less than what the failed attempt asked for."""
    # The exponent is bounded because a float overflows, long after every cap has been reached.
    delay = min(work.retry.backoff * work.retry.factor ** min(failures - 1, 60), work.retry.max_delay)
    delay *= 0.5 + 0.5 * jitter
    return max(delay, retry_after or 0.0)


def _owned(deciding: "Deciding", happening: StepSucceeded | StepFailed | StepLost | StepReturned) -> StepView | None:
    """The step, if this attempt still owns it; else the happening is discarded (Note [Fencing] in `happenings`)."""
    view = deciding.steps.get((happening.step, happening.item))
    if view is None or view.state is not StepState.RUNNING or view.attempt != happening.attempt:
        deciding.discarded.append(happening)
        return None
    return view


def _taken(deciding: "Deciding", work: Work, happening: StepTaken) -> None:
    """Take only a step that this decision made ready: another worker may already have any other step."""
    key = (happening.step, happening.item)
    view = deciding.steps.get(key)
    if key in deciding.known or view is None or view.state is not StepState.READY:
        deciding.discarded.append(happening)
        return
    deciding.set(happening.step, happening.item, view.taken())


def _succeeded(deciding: "Deciding", work: Work, happening: StepSucceeded) -> None:
    if view := _owned(deciding, happening):
        deciding.set(happening.step, happening.item, view.succeeded(happening.output))


def _failed(deciding: "Deciding", work: Work, happening: StepFailed) -> None:
    view = _owned(deciding, happening)
    if view is None:
        return
    step, item, error = happening.step, happening.item, happening.error
    view = replace(view, failures=view.failures + 1)
    told = {"error": error} if happening.trace is None else {"error": error, "trace": happening.trace}
    if not happening.certain and not work.repeatable:
        deciding.set(step, item, replace(view, state=StepState.UNKNOWN), error)
        _record(deciding, "step.unknown", happening, told)
        return
    if not happening.retryable or view.failures >= work.retry.max_attempts:
        deciding.set(step, item, replace(view, state=StepState.FAILED), error)
        _record(deciding, "step.attempt_failed", happening, {**told, "retry_at": None})
        return
    due_at = deciding.now + timedelta(seconds=rest(work, view.failures, happening.jitter, happening.retry_after))
    deciding.set(step, item, replace(view, state=StepState.WAITING), error, due_at)
    _record(deciding, "step.attempt_failed", happening, {**told, "retry_at": due_at.isoformat()})


def _lost(deciding: "Deciding", work: Work, happening: StepLost) -> None:
    view = _owned(deciding, happening)
    if view is None:
        return
    view = replace(view, lost=view.lost + 1)
    error = {"code": "worker_lost", "message": f"the worker of attempt {view.attempt} is gone"}
    if not work.repeatable:
        deciding.set(happening.step, happening.item, replace(view, state=StepState.UNKNOWN), error)
        _record(deciding, "step.unknown", happening, {"error": error})
    elif view.lost >= happening.max_lost:
        deciding.set(happening.step, happening.item, replace(view, state=StepState.FAILED), error)
        _record(deciding, "step.attempt_failed", happening, {"error": error, "retry_at": None})
    else:
        deciding.again(happening.step, happening.item, view, error)
        _record(deciding, "step.lost", happening, {"error": error})


def _returned(deciding: "Deciding", work: Work, happening: StepReturned) -> None:
    if view := _owned(deciding, happening):
        deciding.again(happening.step, happening.item, view)


def _due(deciding: "Deciding", work: Work, happening: StepDue) -> None:
    """The step has rested long enough for its next attempt."""
    view = deciding.steps.get((happening.step, happening.item))
    if view is None or view.state is not StepState.WAITING:
        deciding.discarded.append(happening)
    else:
        deciding.again(happening.step, happening.item, view)


def _resolved(deciding: "Deciding", work: Work, happening: StepResolved) -> None:
    view = deciding.steps.get((happening.step, happening.item))
    if view is None or view.state is not StepState.UNKNOWN:
        deciding.discarded.append(happening)
        return
    state = {
        "succeeded": StepState.SUCCEEDED,
        "failed": StepState.FAILED,
        "retry": StepState.READY,
    }[happening.outcome]
    error = None
    if state is StepState.FAILED:
        error = {"code": "resolved_failed", "message": happening.note or f"{happening.by} says it failed"}
    output = happening.output if state is StepState.SUCCEEDED else None
    if state is StepState.READY:
        deciding.again(happening.step, happening.item, view)
    else:
        deciding.set(happening.step, happening.item, replace(view, state=state, output=output), error)
    detail = {"by": happening.by, "outcome": happening.outcome, "note": happening.note}
    deciding.events.append(Event("step.resolved", happening.step, happening.item, view.attempt, detail))


def _record(deciding: "Deciding", type: str, of: StepFailed | StepLost, detail: Mapping[str, Any]) -> None:
    deciding.events.append(Event(type, of.step, of.item, of.attempt, detail))


_HANDLERS: Mapping[type[StepHappening], Callable[["Deciding", Work, Any], None]] = {
    StepTaken: _taken,
    StepSucceeded: _succeeded,
    StepFailed: _failed,
    StepLost: _lost,
    StepReturned: _returned,
    StepDue: _due,
    StepResolved: _resolved,
}
