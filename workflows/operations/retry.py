"""Retry: starts each run again, once."""

from collections.abc import Sequence
from datetime import datetime

from erip.foundation.errors import EripError
from erip.foundation.ids import new_run_id
from workflows import store
from workflows.core.definition import DefinitionInvalid
from workflows.core.states import RUN_ENDS, RunState
from workflows.engine.starting import StartRequest, new_run
from workflows.errors import LaneFull
from workflows.graphs import graph_of
from workflows.operations.operation import Operation, PutOff
from workflows.privacy import sealing
from workflows.starts import admission, dispatch, holds
from workflows.store import Batch, EndedRun, NewRun, Outcome


def _portion(batch: Batch, run_ids: Sequence[str]) -> Sequence[Outcome]:
    found, now = store.runs_to_retry(run_ids), store.clock()
    outcomes = [Outcome(run_id, "unknown_run") for run_id in run_ids if run_id not in found]
    before = store.retries_of(list(found))
    outcomes += [Outcome(run_id, "already_retried", again) for run_id, again in before.items()]
    new: dict[str, NewRun] = {}
    for run in found.values():
        if run.id in before:
            continue
        if not RunState(run.state).ended:
            outcomes.append(Outcome(run.id, "not_ended"))
            continue
        again = _again(run, now, batch.created_by)
        if isinstance(again, NewRun):
            new[run.id] = again
        else:
            outcomes.append(again)
    if new:
        new = _admitted(new, done=bool(outcomes))
        outcomes += _insert(new, batch.created_by)
    return outcomes


def _again(run: EndedRun, now: datetime, by: str) -> NewRun | Outcome:
    """The new run; or, if it cannot be started, what becomes of it."""
    input_ = store.from_json(run.input)
    try:
        graph = graph_of(run.version_id)
    except DefinitionInvalid:
        return Outcome(run.id, "not_readable")
    if graph.sensitive:
        try:
            input_ = sealing.opened(graph.name, input_)
        except EripError as error:
            return Outcome(run.id, "refused", detail=error.message)
    if faults := graph.input_faults(input_):
        return Outcome(run.id, "refused", detail="; ".join(str(fault) for fault in faults))
    request = StartRequest(input_, run.business_key, run.lane)
    return new_run(graph, run.version_id, request, now, by, run_id=new_run_id())


def _admitted(new: dict[str, NewRun], *, done: bool) -> dict[str, NewRun]:
    """Those for which their lanes have room; the others wait for a later portion. done: whether other runs of the
    portion have an outcome. Raises PutOff if there is room for none."""
    full: dict[str, LaneFull] = {}
    while new:
        try:
            admission.admit([run.view.lane for run in new.values()])
            return new
        except LaneFull as error:
            room = 0 if error.lane in full else error.room
            full[error.lane] = error
            of_lane = [run_id for run_id, run in new.items() if run.view.lane == error.lane]
            kept = set(of_lane[:room])
            new = {run_id: run for run_id, run in new.items() if run.view.lane != error.lane or run_id in kept}
    if not done:
        first = min(full.values(), key=lambda error: error.retry_after)
        raise PutOff(first.retry_after, f'more waits in lane "{first.lane}" than can be served in time')
    return new


def _insert(new: dict[str, NewRun], by: str) -> list[Outcome]:
    if not new:
        return []
    won = store.add_retries([(run_id, run.id) for run_id, run in new.items()], by=by)
    # Somebody else has retried the others since we looked.
    lost = [run_id for run_id in new if run_id not in won]
    if started := [run for run_id, run in new.items() if run_id in won]:
        dispatch.hint_after_commit(holds.insert_runs(started))
    outcomes = [Outcome(run_id, "retried", new[run_id].id) for run_id in won]
    if lost:
        others = store.retries_of(lost)
        outcomes += [Outcome(run_id, "already_retried", others.get(run_id)) for run_id in lost]
    return outcomes


RETRY = Operation(
    name="retry",
    states=RUN_ENDS,
    usual=frozenset({RunState.FAILED, RunState.TIMED_OUT}),
    takes="NOT EXISTS (SELECT FROM workflows_runretry t WHERE t.retry_of = r.id)",
    archived=True,
    outcomes={
        "retried": "A new run of the same version with the same input was started: `result`.",
        "already_retried": "Somebody else had retried it before its turn came: `result`.",
        "not_ended": "It has not ended.",
        "refused": "Its workflow no longer takes its input: `detail`.",
        "not_readable": "This release cannot read its definition: retry it again once the upgrade is done.",
        "unknown_run": "It is not kept any more.",
    },
    portion=_portion,
)
