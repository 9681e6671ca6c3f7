"""Pause and resume: what is paused begins nothing (Note [Pause] in `engine/pausing`)."""

from collections.abc import Sequence
from functools import partial

from workflows import store
from workflows.conf import conf
from workflows.core.states import RUN_ENDS, RunState
from workflows.engine import pausing
from workflows.operations.operation import Operation, PutOff
from workflows.store import Batch, Outcome

_PAUSABLE = frozenset(RunState) - RUN_ENDS - {RunState.PAUSED, RunState.COMPENSATING}
_PAUSED = frozenset({RunState.PAUSED})
#: seconds until the next look whether a worker of an earlier release is alive
LOOK_AGAIN_AFTER = 10.0

#: by the code of the error that a run was refused with
_CODES = {
    "run_already_ended": "already_ended",
    "unknown_run": "already_ended",
    "run_already_paused": "already_paused",
    "run_not_paused": "not_paused",
    "not_yet_possible": "not_readable",
}


def _pause(clock: str, batch: Batch, run_ids: Sequence[str]) -> Sequence[Outcome]:
    if behind := store.living_below(pausing.LEVEL, lease=conf().lease):
        raise PutOff(LOOK_AGAIN_AFTER, f"a process of an earlier release is alive: {behind[0]}")
    done = pausing.pause_now(
        run_ids, principal=batch.created_by, reason=batch.reason, clock=clock, request=str(batch.id)
    )
    return [Outcome(one.run_id, _CODES[one.error.code] if one.error else "paused") for one in done]


def _resume(batch: Batch, run_ids: Sequence[str]) -> Sequence[Outcome]:
    done = pausing.resume_now(run_ids, principal=batch.created_by, request=str(batch.id))
    return [Outcome(one.run_id, _CODES[one.error.code] if one.error else "resumed") for one in done]


def _pausing(name: str, clock: str) -> Operation:
    return Operation(
        name=name,
        states=_PAUSABLE,
        usual=_PAUSABLE,
        takes="r.finished_at IS NULL",
        archived=False,
        outcomes={
            "paused": "It is PAUSED.",
            "already_ended": "It had ended by itself before its turn came.",
            "already_paused": "It had been paused before its turn came.",
        },
        portion=partial(_pause, clock),
    )


PAUSE = _pausing("pause", "stop")
#: with `clock: go`
PAUSE_GO = _pausing("pause-go", "go")
RESUME = Operation(
    name="resume",
    states=_PAUSED,
    usual=_PAUSED,
    takes="r.finished_at IS NULL",
    archived=False,
    outcomes={
        "resumed": "It goes on.",
        "already_ended": "It had ended before its turn came.",
        "not_paused": "It had been resumed before its turn came.",
        "not_readable": "This release cannot read its definition: resume it again once the upgrade is done.",
    },
    portion=_resume,
)
