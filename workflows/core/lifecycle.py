"""What the outside learns about a run and its steps: types, ids and contents of their CloudEvents.

Note [Lifecycle events]
An event reports a state that a run or a step has reached. Its id is made of what it reports (run, step, item,
attempt, state), so a consumer that gets the same report twice sees the same (source, id). It holds no input and no
output, because these may hold secrets and personal data; a reader with access gets them from the run.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from workflows.core.machine import NO_ITEM, RunView
from workflows.core.states import RunState, StepState
from workflows.core.triggers import DEPTH_ATTRIBUTE

RUN_STARTED: Final = "workflow.run.started"
STEP_STARTED: Final = "workflow.step.started"
#: of the ends of runs
RUN_ENDED: Final[Mapping[RunState, str]] = {
    RunState.SUCCEEDED: "workflow.run.succeeded",
    RunState.FAILED: "workflow.run.failed",
    RunState.CANCELLED: "workflow.run.cancelled",
    RunState.TIMED_OUT: "workflow.run.timed_out",
}
#: of steps; skipped and cancelled steps are not reported
STEP: Final[Mapping[StepState, str]] = {
    StepState.RUNNING: STEP_STARTED,
    StepState.SUCCEEDED: "workflow.step.completed",
    StepState.FAILED: "workflow.step.failed",
}
TYPES: Final = frozenset({RUN_STARTED, *RUN_ENDED.values(), *STEP.values()})

_DEPTH = re.compile(r"#([0-9]{1,3})\Z")
#: what `triggers.started_by` puts before and after the type of the event that started a run; the same in PostgreSQL
STARTED_BY_EVENT: Final = "event:"
DEPTH_PATTERN: Final = "#([0-9]{1,3})$"


def depth_of(started_by: str) -> int:
    """How many events led to a run, one after the other; 0 where none did. See `triggers.started_by`.

    It is kept in a column that every run has anyway, and nobody else can write such a value: the names of other
    principals begin with `key:` or `user:`.
    """
    if not started_by.startswith(STARTED_BY_EVENT):
        return 0
    found = _DEPTH.search(started_by)
    return int(found[1]) if found else 1


#: the beginning of the source of the platform's own events; no other source begins with it
OWN_SOURCES = "/erip/"
#: the beginning of the types of the platform's own events, today's and future ones
OWN_TYPES = ("workflow.", "erip.")


def source_of(workflow: str) -> str:
    return f"{OWN_SOURCES}workflows/{workflow}"


@dataclass(frozen=True, slots=True)
class Told:
    type: str
    id: str
    #: the whole CloudEvent in structured JSON, on one line
    text: str


def run_event(
    run: RunView, version: int, state: RunState | None, at: datetime, *, error: Any = None, depth: int = 0
) -> Told:
    """The event that a run was accepted (state is None) or has ended."""
    data: dict[str, Any] = {
        **_run_data(run, version),
        "state": state or RunState.PENDING,
        "created_at": _text(run.created_at),
        "finished_at": _text(at) if state else None,
        "error": error,
    }
    kind = RUN_ENDED[state] if state else RUN_STARTED
    return _told(f"{run.id}:{state or 'STARTED'}", data, _attributes(run, kind, at, depth))


def step_event(
    run: RunView,
    version: int,
    step: str,
    item: int,
    attempt: int,
    state: StepState,
    at: datetime,
    *,
    error: Any = None,
    depth: int = 0,
) -> Told:
    """The event that a step, or an item of a fan-out, began, succeeded or failed for good."""
    data = {
        "item": None if item == NO_ITEM else item,
        "attempt": attempt,
        **_run_data(run, version),
        "step": step,
        "state": state,
        "error": error,
    }
    return _told(f"{run.id}:{step}:{item}:{attempt}:{state}", data, _attributes(run, STEP[state], at, depth))


def item_started_template(run: RunView, version: int, step: str, at: datetime) -> tuple[str, str]:
    """The text before and after the item's numbers in the `step_event` of an item that begins: PostgreSQL fills them
    in.

    The whole is before + ITEM:ATTEMPT + :RUNNING","data":{"item":ITEM,"attempt":ATTEMPT, + after.
    """
    rest = {**_run_data(run, version), "step": step, "state": StepState.RUNNING, "error": None}
    data = orjson.dumps(rest).decode()[1:]
    attributes = orjson.dumps(_attributes(run, STEP_STARTED, at, 0)).decode()[1:]
    return f'{{"id":"{run.id}:{step}:', f"{data},{attributes}"


def _told(id: str, data: dict[str, Any], attributes: dict[str, Any]) -> Told:
    event = {"id": id, "data": data, **attributes}
    return Told(attributes["type"], id, orjson.dumps(event).decode())


def _run_data(run: RunView, version: int) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "workflow": run.workflow,
        "version": version,
        "lane": run.lane,
        "business_key": run.business_key,
    }


def _attributes(run: RunView, kind: str, at: datetime, depth: int) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "type": kind,
        "source": source_of(run.workflow),
        "subject": run.id,
        "time": _text(at),
        "datacontenttype": "application/json",
    }
    if depth:
        attributes[DEPTH_ATTRIBUTE] = depth
    return attributes


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
