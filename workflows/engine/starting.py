"""Starting runs: one takes one round trip, many take a transaction per 1,000."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from django.db import IntegrityError, transaction

from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt
from erip.foundation.faults import Fault
from erip.foundation.ids import new_run_id
from workflows import store
from workflows.core import machine
from workflows.core.cost import Budget
from workflows.core.graph import Graph
from workflows.core.lanes import urgency
from workflows.core.machine import Plan, RunStarted, RunView, Snapshot
from workflows.core.states import Lane, RunState
from workflows.engine.finding import run_of
from workflows.errors import IdempotencyMismatch, InvalidInput, LaneFull, RequestUnderWay, UnknownLane
from workflows.graphs import graph_of
from workflows.models import ArchivedRun, WorkflowRun, WorkflowVersion, find_run
from workflows.privacy import sealing
from workflows.starts import admission, chunks, dispatch, handover, holds, precedence, versions
from workflows.starts.versions import Version
from workflows.store import NewRun, StartKey

#: inserts runs in the caller's transaction, and returns the hints to publish after commit
Insert = Callable[[Sequence[NewRun]], list[tuple[str, str]]]
#: runs started in one transaction, at most
RUNS_PER_TRANSACTION = 1_000
#: runs checked or planned by a large start before it looks whether a more urgent one came
RUNS_PER_TURN = 100
#: what the expressions of one request may do, in units of `core/cost` (1 s), and how many bytes they may give
REQUEST_UNITS, REQUEST_BYTES = 200_000_000, 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StartRequest:
    input: dict[str, Any]
    business_key: str | None = None
    #: None takes the definition's lane
    lane: str | None = None
    #: the number of the key that seals it, if the input names nobody; None: the workflow's own
    key: int | None = None


@dataclass(frozen=True, slots=True)
class StartedRun:
    id: str
    workflow: str
    version: int
    status: str
    lane: str
    business_key: str | None
    created_at: datetime
    #: True where an idempotency key led to a run that was there already
    existing: bool = False


def start_runs(
    workflow: str,
    requests: Sequence[StartRequest],
    *,
    principal: str,
    version: int | None = None,
    idempotency_key: str | None = None,
    request_hash: str | None = None,
    notify: bool = False,
    many: bool = False,
) -> list[StartedRun]:
    """Start runs; when this returns they are durable. One run takes one statement, many take a transaction per 1,000.

    All inputs are checked before the first run is started. idempotency_key: the same key from the same principal with
    the same request_hash gives the same runs; many are then started in one transaction. notify: announce the end (see
    `notify`).
    many: the caller sent a list, and its faults are named `inputs[0].…`, not `input.…`.
    Either all runs are admitted to their lanes or none. A key that already has its run is always answered with that
    run.
    Raises UnknownWorkflow, UnknownVersion, UnknownLane, InvalidInput, IdempotencyMismatch, RequestUnderWay, LaneFull.
    """
    _check_lanes(requests)
    key = store.StartKey(principal, idempotency_key, request_hash or "") if idempotency_key is not None else None
    if len(requests) == 1:
        single = _Single(workflow, version, requests[0], key, principal, notify, many, new_run_id())
        return [retry.run(partial(_start_single, single))]
    if key is not None and (before := retry.run(lambda _: _started_before(key))):
        return before
    return _start_many(retry.run(lambda _: versions.read(workflow, version)), requests, principal, notify, key)


@dataclass(frozen=True, slots=True)
class _Single:
    """One run to be started, the same at every attempt."""

    workflow: str
    number: int | None
    request: StartRequest
    key: StartKey | None
    principal: str
    notify: bool
    #: see `start_runs`
    many: bool
    run_id: str


def _start_single(single: _Single, attempt: Attempt) -> StartedRun:
    """Takes one round trip if what this process knows about the workflow is still right (Note [Known versions])."""
    if attempt.unknown and (found := accepted(single.run_id)):
        return found
    try:
        return _start_once(single)
    except IntegrityError:
        # The lost attempt was committed after we looked.
        if attempt.unknown and (found := accepted(single.run_id)):
            return found
        raise


def accepted(run_id: str) -> StartedRun | None:
    """The run that an earlier attempt started, if that attempt's answer was lost."""
    run = find_run(UUID(run_id))
    if run is None:
        return None
    if not RunState(run.state).ended:
        dispatch.hint_after_commit([(run.lane, run_id)])
    return _found(run, existing=False)


def _start_once(single: _Single) -> StartedRun:
    admitted: set[str] = set()
    remembered = versions.remembered(single.workflow, single.number)
    if remembered is not None:
        # Input that does not fit may fit the latest version; if not, the latest version names the faults.
        with suppress(InvalidInput, WorkflowVersion.DoesNotExist):
            started = _start_from(remembered, single, admitted)
            if started is not None:
                return started
    while True:
        started = _start_from(versions.read(single.workflow, single.number), single, admitted)
        if started is not None:
            return started


def _start_from(version: Version, single: _Single, admitted: set[str]) -> StartedRun | None:
    """None if `version` is no longer the right one. admitted: lanes that have admitted this run; this function adds to
    it."""
    graph = graph_of(version.id)
    request, key = single.request, single.key
    lane = request.lane or graph.lane
    with precedence.starting(lane) as own:
        check_inputs(graph, [request], single.many, own)
        run = new_run(graph, version.id, request, version.now, single.principal, single.notify, run_id=single.run_id)
        try:
            if lane not in admitted:
                admission.admit([lane])
                admitted.add(lane)
        except LaneFull:
            # A request that was accepted earlier still gets its answer.
            if key is not None and (taken := store.run_of_key(key.principal, key.key)):
                return _existing(*taken, key.request_hash, run.id)
            raise
        if holds.hold_of(graph.name, lane, version.holds) is not None:
            return _start_parked(run, version, key)
        inserted = store.start_run(
            run,
            key=key,
            unsure=version.remembered,
            pinned=version.pinned,
            hand_over=lane == Lane.CRITICAL or precedence.alone(),
        )
    if inserted is None:
        if key is not None and (taken := store.run_of_key(key.principal, key.key)):
            return _existing(*taken, key.request_hash, run.id)
        return None
    now, hints, announced = inserted
    versions.learn_clock(now)
    if announced:
        handover.handed_over(run.id)
        hints = [hint for hint in hints if hint != (lane, run.id)]
    dispatch.hint_after_commit(hints)
    return started_run(run, version.number)


def _start_parked(run: NewRun, version: Version, key: StartKey | None) -> StartedRun | None:
    """Start a run whose workflow or lane is paused: it is accepted, and begins when that is resumed."""
    with transaction.atomic():
        inserted = store.start_run(run, key=key)
        parked = holds.park([run], version.holds) if inserted is not None else set()
    if inserted is None:
        if key is not None and (taken := store.run_of_key(key.principal, key.key)):
            return _existing(*taken, key.request_hash, run.id)
        return None
    started = started_run(run, version.number)
    return replace(started, status=str(RunState.PAUSED)) if parked else started


def _start_many(
    version: Version, requests: Sequence[StartRequest], principal: str, notify: bool, key: StartKey | None
) -> list[StartedRun]:
    graph = graph_of(version.id)
    lanes = [request.lane or graph.lane for request in requests]
    lane = urgency(lanes)[0] if lanes else graph.lane
    size = retry.run(lambda _: chunks.size_for(graph, version.id, lanes, version.holds))
    if size and _costly(graph, version, requests, principal):
        size = 0
    insert = partial(chunks.insert_runs, size=size) if size else partial(holds.insert_runs, holds=version.holds)
    with precedence.starting(lane) as own:
        check_inputs(graph, requests, True, own)
        if size and key is None and not graph.sensitive and not graph.hides_key:
            retry.run(lambda _: admission.admit(lanes))
            with admission.inserting(lanes) as left:
                return _start_in_portions(graph, version, requests, principal, notify, insert, own, left)
        groups: list[list[NewRun]] = []
        budget = Budget()
        for start in range(0, len(requests), RUNS_PER_TRANSACTION):
            portion = requests[start : start + RUNS_PER_TRANSACTION]
            if size:
                groups.append(_accepted(graph, version, portion, principal, notify, own))
            else:
                groups.append(_decided(graph, version, requests, start, principal, notify, budget, own))
            if start == 0:
                retry.run(lambda _: admission.admit(lanes))
        # Only after all are decided on: a request that is too large is refused as a whole.
        started = [started_run(run, version.number) for runs in groups for run in runs]
        with admission.inserting(lanes) as left:
            if key is not None:
                return retry.run(lambda _: _insert_once(groups, started, key, insert))
            for runs in groups:
                retry.run(partial(_insert, runs, insert))
                left.subtract(run.view.lane for run in runs)
            return started


def _start_in_portions(
    graph: Graph,
    version: Version,
    requests: Sequence[StartRequest],
    principal: str,
    notify: bool,
    insert: Insert,
    own: precedence.Start,
    left: Counter[str],
) -> list[StartedRun]:
    """Start runs of which nothing is decided yet, and nothing can be refused any more: workers begin with the first
    while the last are not written yet. left: of `admission.inserting`."""
    started: list[StartedRun] = []
    for start in range(0, len(requests), RUNS_PER_TRANSACTION):
        portion = requests[start : start + RUNS_PER_TRANSACTION]
        runs = _accepted(graph, version, portion, principal, notify, own)
        last = start + len(portion) == len(requests)
        retry.run(partial(_insert, runs, insert, wait=last))
        left.subtract(run.view.lane for run in runs)
        started += [started_run(run, version.number) for run in runs]
    return started


def _accepted(
    graph: Graph,
    version: Version,
    requests: Sequence[StartRequest],
    principal: str,
    notify: bool,
    own: precedence.Start,
) -> list[NewRun]:
    """Runs of which nothing is decided yet: their worker decides what their start decides."""
    runs: list[NewRun] = []
    for request in requests:
        _take_turns(len(runs), own)
        runs.append(accepted_run(graph, version.id, request, version.now, principal, notify))
    return runs


def _decided(
    graph: Graph,
    version: Version,
    requests: Sequence[StartRequest],
    start: int,
    principal: str,
    notify: bool,
    budget: Budget,
    own: precedence.Start,
) -> list[NewRun]:
    """The runs of one transaction, from the request with the number `start` on, each with what its start decides."""
    runs: list[NewRun] = []
    for request in requests[start : start + RUNS_PER_TRANSACTION]:
        _take_turns(len(runs), own)
        runs.append(new_run(graph, version.id, request, version.now, principal, notify, budget=budget))
        _check_spent(budget, len(runs) + start, len(requests))
    return runs


def _take_turns(done: int, own: precedence.Start) -> None:
    if done % RUNS_PER_TURN == RUNS_PER_TURN - 1:
        own.give_way()


def _costly(graph: Graph, version: Version, requests: Sequence[StartRequest], principal: str) -> bool:
    """Whether the expressions of one request may be too much, by its first run: then each run is decided at its start,
    which says so."""
    budget = Budget()
    new_run(graph, version.id, requests[0], version.now, principal, budget=budget)
    return budget.units * len(requests) > REQUEST_UNITS or budget.bytes * len(requests) > REQUEST_BYTES


def _check_spent(budget: Budget, done: int, wanted: int) -> None:
    """Raise InvalidInput if the expressions of one request are too much (Note [Budgets] in `core/cost`)."""
    if budget.units <= REQUEST_UNITS and budget.bytes <= REQUEST_BYTES:
        return
    much = f"their values have more than {REQUEST_BYTES:,} bytes"
    if budget.units > REQUEST_UNITS:
        much = "their expressions take too long"
    message = f"{much}: the first {done:,} of {wanted:,} runs are as much as one request may start; send fewer at once"
    raise InvalidInput(faults=[Fault("inputs", message)])


def _insert_once(
    groups: Sequence[Sequence[NewRun]], started: list[StartedRun], key: StartKey, insert: Insert
) -> list[StartedRun]:
    """Start all of them or none, in one transaction that also writes the key by which they are found."""
    with transaction.atomic():
        if store.take_key(key):
            for runs in groups:
                dispatch.hint_after_commit(insert(runs))
            store.keep_answer(key, orjson.dumps(started).decode())
            return started
    before = _started_before(key)
    if before is None:
        raise RequestUnderWay  # the other request has just failed, and took the key with it
    return before


def _started_before(key: StartKey) -> list[StartedRun] | None:
    """The runs that were started under this key. Raises IdempotencyMismatch."""
    found = store.answer_of_key(key.principal, key.key)
    if found is None:
        return None
    known_hash, answer = found
    if known_hash != key.request_hash or not answer:
        raise IdempotencyMismatch
    return [
        StartedRun(**{**run, "created_at": datetime.fromisoformat(run["created_at"]), "existing": True})
        for run in orjson.loads(answer)
    ]


def _insert(runs: Sequence[NewRun], insert: Insert, attempt: Attempt, *, wait: bool = True) -> None:
    """Start all of them or none. If runs were inserted but the answer was lost, the reconciler and the workers find
    them.

    wait: until the workers' messages are sent.
    """
    if attempt.unknown and find_run(UUID(runs[0].id)):
        return
    try:
        with transaction.atomic():
            dispatch.hint_after_commit(insert(runs), wait=wait)
    except IntegrityError:
        # The lost attempt was committed after we looked.
        if not (attempt.unknown and find_run(UUID(runs[0].id))):
            raise


def _check_lanes(requests: Sequence[StartRequest]) -> None:
    for lane in {request.lane for request in requests} - {None, *Lane}:
        raise UnknownLane(faults=[Fault("lane", f'there is no lane "{lane}"; choose one of {", ".join(Lane)}')])


def check_inputs(graph: Graph, requests: Sequence[StartRequest], many: bool, own: precedence.Start) -> None:
    """Raises InvalidInput. own: the start that they are of."""
    faults: list[Fault] = []
    for index, request in enumerate(requests):
        _take_turns(index, own)
        for fault in graph.input_faults(request.input):
            path = fault.path
            if many:
                path = f"inputs[{index}]{path.removeprefix('input')}"
            faults.append(Fault(path, fault.message))
    if faults:
        raise InvalidInput(faults=faults)


def new_run(
    graph: Graph,
    version_id: int,
    request: StartRequest,
    now: datetime,
    principal: str,
    notify: bool = False,
    *,
    run_id: str | None = None,
    deadline: datetime | None = None,
    budget: Budget | None = None,
) -> NewRun:
    """A run with what its start decides, ready to be inserted; its input is known to fit.

    budget: is charged for its expressions.
    deadline: when the run is given up, in place of the definition's timeout; a deadline that has passed is ignored.
    """
    view = _view(graph, request, now, run_id)
    plan = machine.decide(graph, Snapshot(view, {}), [RunStarted()], now, budget)
    timeout = (deadline - now).total_seconds() if deadline is not None and deadline > now else graph.timeout
    return NewRun(view.id, version_id, view, timeout, principal, notify, plan, graph)


def accepted_run(
    graph: Graph,
    version_id: int,
    request: StartRequest,
    now: datetime,
    principal: str,
    notify: bool = False,
    *,
    run_id: str | None = None,
) -> NewRun:
    """A run of which nothing is decided yet (Note [Chunks] in `store/chunks`)."""
    view = _view(graph, request, now, run_id)
    return NewRun(view.id, version_id, view, graph.timeout, principal, notify, Plan(), graph)


def _view(graph: Graph, request: StartRequest, now: datetime, run_id: str | None) -> RunView:
    run_id = run_id or new_run_id()
    return RunView(
        id=run_id,
        workflow=graph.name,
        business_key=sealing.stored_key(graph, request.business_key) if graph.hides_key else request.business_key,
        lane=request.lane or graph.lane,
        state=RunState.PENDING,
        input=sealing.seal_input(graph, run_id, request.input, request.key) if graph.sensitive else request.input,
        created_at=now,
    )


def started_run(run: NewRun, number: int) -> StartedRun:
    state = run.plan.run.state if run.plan.run else RunState.PENDING
    view = run.view
    return StartedRun(run.id, view.workflow, number, str(state), view.lane, view.business_key, view.created_at)


def _existing(run_id: str, known_hash: str, request_hash: str, own_id: str) -> StartedRun:
    """own_id: the id that this request made. A run with this id was started by this request, not by an earlier one."""
    if known_hash != request_hash:
        raise IdempotencyMismatch
    return _found(run_of(run_id), existing=run_id != own_id)


def _found(run: WorkflowRun | ArchivedRun, *, existing: bool) -> StartedRun:
    return StartedRun(
        str(run.pk), run.workflow, run.version.number, run.state, run.lane, run.business_key, run.created_at, existing
    )
