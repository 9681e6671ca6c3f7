"""What is different between a run as it is stored and as it was decided again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from workflows.core.in_memory import RunInMemory
from workflows.core.machine import NO_ITEM, StepKey, StepView
from workflows.core.states import RunState, StepState
from workflows.replay.history import StoredRow, StoredRun

#: seconds by which moments may differ that were derived from the moment of a decision
TOLERANCE = 60.0
#: characters of a value that are shown
_SHOWN = 120
#: a worker may take it or has it: which of them is not decided by the machine
_GOING_ON = frozenset({StepState.READY, StepState.RUNNING, StepState.PENDING})


@dataclass(frozen=True, slots=True)
class Difference:
    """path: of the run, as `steps.notify.state` or `output`."""

    path: str
    stored: str
    today: str

    def __str__(self) -> str:
        return f"{self.path}: {self.stored}; today: {self.today}"


def differences(run: StoredRun, again: RunInMemory) -> list[Difference]:
    """Everything that is different, steps first."""
    keys = dict.fromkeys(
        [*run.rows, *again.steps, *((step, item) for step in again.items for item in again.items[step])]
    )
    found = [one for key in sorted(keys) for one in _of_step(key, run.rows.get(key), again)]
    return [*found, *_of_run(run, again)]


def _of_run(run: StoredRun, again: RunInMemory) -> Iterator[Difference]:
    if not _alike_runs(run.view.state, again.run.state):
        yield Difference("state", str(run.view.state), _with_error(str(again.run.state), again.outcome.error))
        return
    if not run.view.state.ended:
        return
    if not same(run.output, again.outcome.output):
        yield Difference("output", shown(run.output), shown(again.outcome.output))
    stored, today = (
        {key: (error or {}).get(key) for key in ("code", "step")} for error in (run.error, again.outcome.error)
    )
    if stored != today:
        yield Difference("error", shown(stored), shown(today))


def _run_state(state: RunState) -> RunState:
    return RunState.RUNNING if state is RunState.PENDING else state


def _alike_runs(stored: RunState, today: RunState) -> bool:
    """That somebody paused it is a fact, and nothing follows from it."""
    return _run_state(stored) == _run_state(today) or (stored is RunState.PAUSED and not today.ended)


def _of_step(key: StepKey, row: StoredRow | None, again: RunInMemory) -> Iterator[Difference]:
    step, item = key
    path = f"steps.{step}" if item == NO_ITEM else f"steps.{step}[{item}]"
    view = again.view(key)
    if row is None or view is None:
        never = "had not begun"
        yield Difference(f"{path}.state", str(row.state) if row else never, str(view.state) if view else never)
        return
    error = again.errors.get(key)
    if not _alike(row, view, again.run.state.ended):
        yield Difference(f"{path}.state", str(row.state), _with_error(str(view.state), error))
        return
    if not _same_input(row.input, again.inputs.get(key)):
        yield Difference(f"{path}.input", shown(row.input), shown(again.inputs.get(key)))
    if row.state is StepState.SUCCEEDED and not same(row.output, view.output):
        yield Difference(f"{path}.output", shown(row.output), shown(view.output))
    if row.state is StepState.FAILED and (row.error or {}).get("code") != (error or {}).get("code"):
        yield Difference(f"{path}.error", shown(row.error), shown(error))
    if row.state.ended and row.failures != view.failures:
        yield Difference(f"{path}.failures", str(row.failures), str(view.failures))


def _alike(row: StoredRow, view: StepView, ended: bool) -> bool:
    if row.state is view.state or (row.state is StepState.PAUSED and not view.state.ended):
        return True
    # A rest that is over makes a step READY, and nothing that is stored says that it is over.
    live = _GOING_ON if view.fan is not None or row.items is not None else _GOING_ON | {StepState.WAITING}
    return not ended and row.state in _GOING_ON and view.state in live


def _same_input(stored: Any, today: Any) -> bool:
    if isinstance(stored, Mapping) and isinstance(today, Mapping) and {"until"} <= stored.keys() & today.keys():
        moments = [_moment(one["until"]) for one in (stored, today)]
        if moments[0] is not None and moments[1] is not None:
            if abs((moments[0] - moments[1]).total_seconds()) > TOLERANCE:
                return False
            stored, today = ({**one, "until": None} for one in (stored, today))
    return same(stored, today)


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def shown(value: Any) -> str:
    """The beginning of a value as JSON."""
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _with_error(state: str, error: Mapping[str, Any] | None) -> str:
    return f"{state} ({str(error.get('message', ''))[:200]})" if error else state
