"""Pausing runs, and resuming them.

Note [Pause]
A paused run begins nothing. What was ready, or waited for a time or a signal, is parked: the step is PAUSED, is in no
queue and no backlog, and nothing becomes due. A step that runs goes on, and its outcome is recorded; what follows from
it is parked too, so that a run whose last step was running may end while it is paused. A signal that comes is kept, and
given when the run is resumed. A person can still cancel the run, and say how a step ended.
The clock of a paused run stands (`stop`) or goes on (`go`). If it stands, what is left of each time (a rest before a
retry, `wait: {for}`, the timeout of a signal, the run's deadline) is kept, and counts again from the moment of the
resumption: whatever begins during the pause begins at the moment at which the clock stands. A moment of the calendar
(`wait: {until}`) is never moved. If it goes on, what became due during the pause is due at the resumption, and the
deadline ends the run even while it is paused.
Pausing and resuming are statements over many runs, not decisions about each one. The machine is asked only about runs
that have kept signals, items, or waits for several things, because these may have something to take up (`RunResumed`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

from django.db import transaction

from erip.audit.operation import describe
from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt
from erip.foundation.faults import Fault
from workflows import store
from workflows.conf import conf
from workflows.core.definition import DefinitionInvalid
from workflows.core.machine import RunResumed
from workflows.core.states import RunState
from workflows.engine.finding import run_of
from workflows.errors import (
    InvalidInput,
    NotYetPossible,
    RunAlreadyEnded,
    RunAlreadyPaused,
    RunHeld,
    RunNotPaused,
    UnknownRun,
    WorkflowsError,
)
from workflows.graphs import graph_of
from workflows.starts import dispatch
from workflows.store import Held, Report, chunks

#: the format level of workers that can handle paused runs (Note [Format levels] in `core/kinds`)
LEVEL = 3
#: runs that are paused or resumed in one transaction
RUNS_PER_TRANSACTION = 1_000
CLOCKS = ("stop", "go")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run of many."""

    run_id: str
    #: None: it was done
    error: WorkflowsError | None = None


def pause_run(run_id: str, *, principal: str, reason: str = "", clock: str = "stop") -> None:
    """Pause a run (Note [Pause]).

    Raises UnknownRun, RunAlreadyEnded, RunAlreadyPaused, NotYetPossible, InvalidInput.
    """
    _one(pause_runs([str(run_id)], principal=principal, reason=reason, clock=clock))


def resume_run(run_id: str, *, principal: str) -> None:
    """Resume a paused run. Raises UnknownRun, RunAlreadyEnded, RunNotPaused, RunHeld."""
    _one(resume_runs([str(run_id)], principal=principal))


def pause_runs(run_ids: Sequence[str], *, principal: str, reason: str = "", clock: str = "stop") -> list[Outcome]:
    """Pause any number of runs, 1,000 in a transaction. Returns the outcome of each, in their order.

    clock: "stop" keeps what is left of each time; "go" lets times go on. Raises InvalidInput, NotYetPossible.
    """
    if clock not in CLOCKS:
        raise InvalidInput(faults=[Fault("clock", f'must be {" or ".join(CLOCKS)}, not "{str(clock)[:100]}"')])
    if behind := retry.run(lambda _: store.living_below(LEVEL, lease=conf().lease)):
        raise NotYetPossible(behind)
    request = str(uuid4())

    def pause(ids: Sequence[str], attempt: Attempt) -> list[Outcome]:
        with transaction.atomic():
            before = store.requested(ids, "run.paused", request) if attempt.unknown else set()
            return pause_now(ids, principal=principal, reason=reason, clock=clock, request=request, before=before)

    return _in_portions(run_ids, pause)


def resume_runs(run_ids: Sequence[str], *, principal: str) -> list[Outcome]:
    """Resume any number of paused runs, 1,000 in a transaction. Returns the outcome of each, in their order."""
    request = str(uuid4())

    def resume(ids: Sequence[str], attempt: Attempt) -> list[Outcome]:
        with transaction.atomic():
            before = store.requested(ids, "run.resumed", request) if attempt.unknown else set()
            return resume_now(ids, principal=principal, request=request, before=before)

    return _in_portions(run_ids, resume)


def pause_now(
    ids: Sequence[str],
    *,
    principal: str,
    reason: str,
    clock: str,
    request: str,
    before: Collection[str] = (),
    hold: int | None = None,
) -> list[Outcome]:
    """Pause these runs in the caller's transaction. request: an id that is recorded with it. before: those that an
    attempt whose answer was lost has paused. hold: see Note [Holds] in `holds`."""
    found = store.lock_runs(ids)
    pending = [id_ for id_, (state, _) in found.items() if state == RunState.PENDING]
    # What is parked is rows of steps; the hints are for nobody, since nothing of it is ready any more.
    unreadable = chunks.let_go(pending, graph_of=graph_of)[1] if pending else set()
    if pending:
        # One may have ended as it left, because its first expression failed.
        found = {**found, **store.lock_runs(pending)}
    outcomes = [
        Outcome(id_, NotYetPossible(["this process"]) if id_ in unreadable else error)
        for id_ in ids
        for error in [_not_pausable(id_, found.get(id_), before)]
    ]
    chosen = [one.run_id for one in outcomes if one.error is None and one.run_id not in before]
    if chosen:
        store.pause(chosen, by=principal, reason=reason, clock=clock, request=request, hold=hold)
        if list(ids) == chosen and len(ids) == 1:
            describe(before={"state": found[ids[0]][0]}, after={"state": RunState.PAUSED, "clock": clock})
    return outcomes


def resume_now(ids: Sequence[str], *, principal: str, request: str, before: Collection[str] = ()) -> list[Outcome]:
    """Resume these runs in the caller's transaction; see `pause_now`."""
    found = store.lock_runs(ids)
    kinds, unreadable = _kinds({version for state, version in found.values() if state == RunState.PAUSED})
    held = store.holds_of(ids)
    outcomes = [Outcome(id_, _not_resumable(id_, found.get(id_), before, unreadable, held)) for id_ in ids]
    chosen = [one.run_id for one in outcomes if one.error is None and one.run_id not in before]
    if chosen:
        hints, following = store.resume(chosen, by=principal, request=request, kinds=kinds)
        if list(ids) == chosen and len(ids) == 1:
            describe(before={"paused": True}, after={"paused": False})
        dispatch.hint_after_commit(hints)
        if following:
            reports = [Report(run_id, RunResumed(moved)) for run_id, moved in following]
            dispatch.hint_after_commit(store.apply(reports, graph_of=graph_of).hints)
    return outcomes


def _one(outcomes: Sequence[Outcome]) -> None:
    if outcomes[0].error is not None:
        raise outcomes[0].error


def _in_portions(run_ids: Sequence[str], do: Callable[[Sequence[str], Attempt], list[Outcome]]) -> list[Outcome]:
    """In the order of the ids, so that two requests lock the same runs in the same order."""
    named = {text: _canonical(text) for text in run_ids}
    ids = sorted({id_ for id_ in named.values() if id_ is not None})
    done: dict[str, WorkflowsError | None] = {}
    for start in range(0, len(ids), RUNS_PER_TRANSACTION):
        outcomes = retry.run(partial(do, ids[start : start + RUNS_PER_TRANSACTION]))
        done.update((one.run_id, one.error) for one in outcomes)
    return [Outcome(text, UnknownRun() if (id_ := named[text]) is None else done[id_]) for text in run_ids]


def _canonical(run_id: str) -> str | None:
    try:
        return str(UUID(str(run_id)))
    except ValueError:
        return None


def _not_pausable(run_id: str, found: tuple[str, int] | None, before: Collection[str]) -> WorkflowsError | None:
    if run_id in before:
        return None
    if (error := _not_alive(run_id, found)) is not None or found is None:
        return error
    return RunAlreadyPaused() if found[0] == RunState.PAUSED else None


def _not_resumable(
    run_id: str, found: tuple[str, int] | None, before: Collection[str], unreadable: set[int], held: Mapping[str, Held]
) -> WorkflowsError | None:
    if run_id in before:
        return None
    if (error := _not_alive(run_id, found)) is not None or found is None:
        return error
    if found[0] != RunState.PAUSED:
        return RunNotPaused()
    if (hold := held.get(run_id)) is not None:
        return RunHeld(hold.kind, hold.name)
    return NotYetPossible(["this process"]) if found[1] in unreadable else None


def _not_alive(run_id: str, found: tuple[str, int] | None) -> WorkflowsError | None:
    if found is None:
        try:
            run_of(run_id)
        except UnknownRun as error:
            return error
        return RunAlreadyEnded()  # it is archived
    return RunAlreadyEnded() if RunState(found[0]).ended else None


def _kinds(versions: set[int]) -> tuple[list[tuple[int, str, bool, bool, bool]], set[int]]:
    """What `store.resume` must know of the steps of these versions, and the versions that cannot be read here."""
    kinds: list[tuple[int, str, bool, bool, bool]] = []
    unreadable: set[int] = set()
    for version in versions:
        try:
            graph = graph_of(version)
        except DefinitionInvalid:
            unreadable.add(version)
            continue
        for node in graph.steps.values():
            if node.work is None or node.how.fixed:
                kinds.append((version, node.id, node.work is None, node.how.fixed, node.how.told_of_pauses))
    return kinds, unreadable
