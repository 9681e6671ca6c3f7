"""What can be done with workflows: one function for each operation, called by API, admin, commands and workers alike.

Each function owns its transaction. Hints to the workers are published after its commit.

Note [Operations through a failover]
Each transaction is run again when PostgreSQL fails over (Note [Retry] in `erip.foundation.db.retry`). When a
connection is lost during a commit, nobody knows whether it happened. This is how the next attempt finds out:
- a start: by the run's id, which is made before the first attempt. A run with this id is this start's run, with or
  without an Idempotency-Key. If the lost attempt is committed only later, the primary key refuses the second one.
- a publication: by the content, which is a no-op the second time.
- a cancellation or resolution: by the event that it recorded, which names the person who asked for it.
- a signal: by the event that it recorded, which has the signal's id. It is looked up under the run's lock.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, cast
from uuid import UUID, uuid4

import orjson
import structlog
from django.db import IntegrityError, transaction

from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt, retry_transaction
from erip.foundation.faults import Fault
from erip.foundation.ids import new_run_id
from erip.foundation.versioned import add_version, take_turn
from workflows import registry, store
from workflows.core import definition, machine
from workflows.core.cost import Budget
from workflows.core.graph import Graph
from workflows.core.lanes import urgency
from workflows.core.machine import (
    Happening,
    RunCancelled,
    RunSignalled,
    RunStarted,
    RunView,
    Signal,
    Snapshot,
    StepDue,
    StepResolved,
)
from workflows.core.states import Lane, RunState
from workflows.errors import (
    DefinitionInvalid,
    IdempotencyMismatch,
    InvalidInput,
    LaneFull,
    NameMismatch,
    NotYetReadable,
    RequestUnderWay,
    RunAlreadyEnded,
    RunNotEnded,
    SignalNotWanted,
    StepNotUnknown,
    UnknownLane,
    UnknownRun,
)
from workflows.graphs import graph_of
from workflows.models import ArchivedRun, RunEvent, WorkflowDefinition, WorkflowRun, WorkflowVersion, find_run
from workflows.starts import admission, dispatch, handover, precedence, versions
from workflows.starts.versions import Version
from workflows.store import NewRun, Report, StartKey

log = structlog.get_logger(__name__)

#: runs started in one transaction, at most
RUNS_PER_TRANSACTION = 1_000
#: seconds until the next look at a due step of a run whose definition this release cannot read
UNREADABLE_AGAIN_AFTER = 60.0
#: runs checked or planned by a large start before it looks whether a more urgent one came
RUNS_PER_TURN = 100
#: what the expressions of one request may do, in units of `core/cost` (1 s), and how many bytes they may give
REQUEST_UNITS, REQUEST_BYTES = 200_000_000, 64 * 1024 * 1024


# --- definitions ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Published:
    name: str
    number: int
    hash: str
    #: False where the latest version already had this content
    created: bool
    version_id: int


def validate(source: str | bytes, media: str) -> Graph:
    """Check a definition without storing it. Raises DefinitionInvalid."""
    return _check(source, media)[1]


def publish(name: str | None, source: str | bytes, media: str, *, author: str) -> Published:
    """Store a definition as its workflow's next version; the same content again is a no-op.

    name: the name that the definition must have; None accepts any. media: "yaml" or "json".
    Raises DefinitionInvalid, NameMismatch, NotYetReadable.
    """
    document, graph = _check(source, media)
    if name is not None and graph.name != name:
        raise NameMismatch(faults=[Fault("name", f'is "{graph.name}", but it is published as "{name}"')])
    text = source.decode() if isinstance(source, bytes) else source
    return _publish(document, graph, text, media, author)


@retry_transaction
def _publish(document: dict[str, Any], graph: Graph, text: str, media: str, author: str) -> Published:
    content_hash = definition.content_hash(document)
    if graph.level > 1 and (behind := store.workers_below(graph.level)):
        raise NotYetReadable(behind)
    with transaction.atomic():
        workflow, latest = take_turn(WorkflowDefinition, graph.name)
        if latest and latest.content_hash == content_hash:
            return Published(graph.name, latest.number, content_hash, False, latest.pk)
        version = add_version(
            workflow,
            content_hash=content_hash,
            source=text,
            media=media,
            document=document,
            author=author,
        )
    return Published(graph.name, version.number, content_hash, True, version.pk)


def _check(source: str | bytes, media: str) -> tuple[dict[str, Any], Graph]:
    try:
        document = definition.parse(source, cast(Any, media))
        return document, definition.validate(document, registry.all())
    except definition.DefinitionInvalid as error:
        raise DefinitionInvalid(faults=error.faults) from None


# --- starting runs ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartRequest:
    input: dict[str, Any]
    business_key: str | None = None
    #: None takes the definition's lane
    lane: str | None = None


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
    if attempt.unknown and (found := _accepted(single.run_id)):
        return found
    try:
        return _start_once(single)
    except IntegrityError:
        # The lost attempt was committed after we looked.
        if attempt.unknown and (found := _accepted(single.run_id)):
            return found
        raise


def _accepted(run_id: str) -> StartedRun | None:
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
    with precedence.starting(lane):
        _check_inputs(graph, [request], single.many, lane)
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
    return _started(run, version.number)


def _start_many(
    version: Version, requests: Sequence[StartRequest], principal: str, notify: bool, key: StartKey | None
) -> list[StartedRun]:
    graph = graph_of(version.id)
    lanes = [request.lane or graph.lane for request in requests]
    lane = urgency(lanes)[0] if lanes else graph.lane
    with precedence.starting(lane):
        _check_inputs(graph, requests, True, lane)
        groups: list[list[NewRun]] = []
        budget = Budget()
        for start in range(0, len(requests), RUNS_PER_TRANSACTION):
            runs: list[NewRun] = []
            for request in requests[start : start + RUNS_PER_TRANSACTION]:
                if len(runs) % RUNS_PER_TURN == RUNS_PER_TURN - 1:
                    precedence.give_way(lane)
                runs.append(new_run(graph, version.id, request, version.now, principal, notify, budget=budget))
                _check_spent(budget, len(runs) + start, len(requests))
            if start == 0:
                retry.run(lambda _: admission.admit(lanes))
            groups.append(runs)
        # Only after all are decided on: a request that is too large is refused as a whole.
        started = [_started(run, version.number) for runs in groups for run in runs]
        if key is not None:
            return retry.run(lambda _: _insert_once(groups, started, key))
        for runs in groups:
            retry.run(partial(_insert, runs))
        return started


def _check_spent(budget: Budget, done: int, wanted: int) -> None:
    """Raise InvalidInput if the expressions of one request are too much (Note [Budgets] in `core/cost`)."""
    if budget.units <= REQUEST_UNITS and budget.bytes <= REQUEST_BYTES:
        return
    much = f"their values have more than {REQUEST_BYTES:,} bytes"
    if budget.units > REQUEST_UNITS:
        much = "their expressions take too long"
    message = f"{much}: the first {done:,} of {wanted:,} runs are as much as one request may start; send fewer at once"
    raise InvalidInput(faults=[Fault("inputs", message)])


def _insert_once(groups: Sequence[Sequence[NewRun]], started: list[StartedRun], key: StartKey) -> list[StartedRun]:
    """Start all of them or none, in one transaction that also writes the key by which they are found."""
    with transaction.atomic():
        if store.take_key(key):
            for runs in groups:
                dispatch.hint_after_commit(store.insert_runs(runs))
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


def _insert(runs: Sequence[NewRun], attempt: Attempt) -> None:
    """Start all of them or none. If runs were inserted but the answer was lost, the reconciler and the workers find
    them."""
    if attempt.unknown and find_run(UUID(runs[0].id)):
        return
    try:
        with transaction.atomic():
            dispatch.hint_after_commit(store.insert_runs(runs))
    except IntegrityError:
        # The lost attempt was committed after we looked.
        if not (attempt.unknown and find_run(UUID(runs[0].id))):
            raise


def _check_lanes(requests: Sequence[StartRequest]) -> None:
    for lane in {request.lane for request in requests} - {None, *Lane}:
        raise UnknownLane(faults=[Fault("lane", f'there is no lane "{lane}"; choose one of {", ".join(Lane)}')])


def _check_inputs(graph: Graph, requests: Sequence[StartRequest], many: bool, lane: str) -> None:
    faults: list[Fault] = []
    for index, request in enumerate(requests):
        if index % RUNS_PER_TURN == RUNS_PER_TURN - 1:
            precedence.give_way(lane)
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
    view = RunView(
        id=run_id or new_run_id(),
        workflow=graph.name,
        business_key=request.business_key,
        lane=request.lane or graph.lane,
        state=RunState.PENDING,
        input=request.input,
        created_at=now,
    )
    plan = machine.decide(graph, Snapshot(view, {}), [RunStarted()], now, budget)
    timeout = (deadline - now).total_seconds() if deadline is not None and deadline > now else graph.timeout
    return NewRun(view.id, version_id, view, timeout, principal, notify, plan, graph)


def _started(run: NewRun, number: int) -> StartedRun:
    state = run.plan.run.state if run.plan.run else RunState.PENDING
    view = run.view
    return StartedRun(run.id, view.workflow, number, str(state), view.lane, view.business_key, view.created_at)


def _existing(run_id: str, known_hash: str, request_hash: str, own_id: str) -> StartedRun:
    """own_id: the id that this request made. A run with this id was started by this request, not by an earlier one."""
    if known_hash != request_hash:
        raise IdempotencyMismatch
    return _found(_run(run_id), existing=run_id != own_id)


def _found(run: WorkflowRun | ArchivedRun, *, existing: bool) -> StartedRun:
    return StartedRun(
        str(run.pk), run.workflow, run.version.number, run.state, run.lane, run.business_key, run.created_at, existing
    )


# --- what people do to runs -------------------------------------------------------------------------------


def cancel_run(run_id: str, *, principal: str, reason: str = "") -> None:
    """End a run as CANCELLED. A step that runs right now is not interrupted; its result no longer counts, unless it is
    declared not idempotent: then it is still recorded. Raises UnknownRun, RunAlreadyEnded."""

    def cancel(attempt: Attempt) -> None:
        with transaction.atomic():
            applied = _report_of_person(run_id, RunCancelled(principal, reason))
            if applied.discarded and not (attempt.unknown and _recorded(run_id, "run.cancelled", principal)):
                raise RunAlreadyEnded
            dispatch.hint_after_commit(applied.hints)

    retry.run(cancel)


def retry_run(run_id: str, *, principal: str) -> StartedRun:
    """Start a new run with the version, input, lane and business key of one that has ended.

    Raises UnknownRun, RunNotEnded, InvalidInput.
    """
    run, number = retry.run(lambda _: ((found := _run(run_id)), found.version.number))
    if not RunState(run.state).ended:
        raise RunNotEnded
    request = StartRequest(run.input, run.business_key, run.lane)
    return start_runs(run.workflow, [request], principal=principal, version=number)[0]


def resolve_step(
    run_id: str,
    step: str,
    *,
    outcome: str,
    principal: str,
    item: int | None = None,
    output: Any = None,
    note: str = "",
) -> None:
    """Say how an UNKNOWN step ended: outcome is "succeeded" (with its output), "failed" or "retry".

    Raises UnknownRun, StepNotUnknown, InvalidInput.
    """
    if outcome not in ("succeeded", "failed", "retry"):
        raise InvalidInput(faults=[Fault("outcome", 'must be "succeeded", "failed" or "retry"')])
    key = machine.NO_ITEM if item is None else item

    def resolve(attempt: Attempt) -> None:
        with transaction.atomic():
            applied = _report_of_person(run_id, StepResolved(step, outcome, output, principal, note, key))
            done_before = attempt.unknown and _recorded(
                run_id, "step.resolved", principal, step=step, item=key, detail__outcome=outcome
            )
            if applied.discarded and not done_before:
                raise StepNotUnknown
            dispatch.hint_after_commit(applied.hints)

    retry.run(resolve)


@dataclass(frozen=True, slots=True)
class Signalled:
    #: the step that was given the signal; None: it is kept for the first step that waits for it
    step: str | None


def signal_run(run_id: str, name: str, payload: Any, *, principal: str) -> Signalled:
    """Send a signal to a run. When this returns it is durable, and given to exactly one step or kept for one.

    payload: any JSON value. Raises UnknownRun, RunAlreadyEnded, InvalidInput (no step of the workflow waits for it, or
    the payload does not fit), SignalNotWanted.
    """
    run = retry.run(lambda _: _run(run_id))
    _check_signal(graph_of(run.version_id), name, payload)
    signal = Signal(str(uuid4()), name, payload, principal)
    return retry.run(partial(_signal_run, str(run.pk), run.version_id, signal))


def _signal_run(run_id: str, version_id: int, signal: Signal, attempt: Attempt) -> Signalled:
    with transaction.atomic():
        if attempt.unknown:
            # The lost attempt holds the lock until it is committed or gone. Without it, both could be given.
            store.lock_run(run_id)
            sent = RunEvent.objects.filter(run=UUID(run_id), detail__id=signal.id).order_by("id").first()
            if sent is not None:
                return Signalled(sent.step)
        applied = store.apply([Report(run_id, RunSignalled(signal))], graph_of=graph_of)
        if not applied.discarded:
            dispatch.hint_after_commit(applied.hints)
            return Signalled(_taker(run_id, signal))
        # No step waits for it now. The run's lock is held, so none can begin to before this is committed.
        if RunState(_run(run_id).state).ended:
            raise RunAlreadyEnded
        open_steps = graph_of(version_id).waiting_for(signal.name).keys() - store.ended_steps(run_id)
        if store.signals_kept(run_id, signal.name) >= len(open_steps):
            raise SignalNotWanted
        store.keep_signal(run_id, signal)
        return Signalled(None)


def _taker(run_id: str, signal: Signal) -> str | None:
    taken = RunEvent.objects.filter(run=UUID(run_id), type="step.signalled", detail__id=signal.id)
    return taken.values_list("step", flat=True).first()


def _check_signal(graph: Graph, name: str, payload: Any) -> None:
    """Raises InvalidInput for a signal that no step of the workflow waits for, or that does not fit each that does."""
    steps = graph.waiting_for(name)
    if not steps:
        known = {node.how.signal for node in graph.steps.values() if node.how.signal}
        hint = f"it waits for {', '.join(sorted(known))}" if known else "it waits for none"
        raise InvalidInput(faults=[Fault("name", f'no step of {graph.name} waits for the signal "{name}": {hint}')])
    faults = [fault for node in steps.values() for fault in node.how.signal_faults(payload)]
    if faults:
        raise InvalidInput(faults=list(dict.fromkeys(faults)))


@retry_transaction
def report(reports: Sequence[Report]) -> store.Applied:
    """Apply happenings that a search found (lost workers, missed deadlines)."""
    with transaction.atomic():
        applied = store.apply(reports, graph_of=graph_of, pass_over_unreadable=True)
        dispatch.hint_after_commit(applied.hints)
    _log_unreadable(applied)
    return applied


@dataclass(frozen=True, slots=True)
class Released:
    #: how many steps were found to be due
    steps: int = 0
    #: (lane, run id) that some worker should look at
    hints: tuple[tuple[str, str], ...] = ()


@retry_transaction
def release_due(lanes: Sequence[str], *, limit: int) -> Released:
    """Let due steps of up to `limit` runs go on, lane by lane in the order given. Any number of processes may call this
    at the same time; each takes different runs. The caller publishes the hints, or takes the runs itself."""
    with transaction.atomic():
        due = store.lock_due(lanes, limit=limit)
        if not due:
            return Released()
        reports = [Report(run_id, StepDue(step, item)) for run_id, step, item in due]
        applied = store.apply(reports, graph_of=graph_of, pass_over_unreadable=True)
        if applied.unreadable:
            # Otherwise each look would find them first, and in the end it would find nothing else.
            unreadable = {report.run_id for report in applied.unreadable}
            store.put_off([found for found in due if found[0] in unreadable], seconds=UNREADABLE_AGAIN_AFTER)
    _log_unreadable(applied)
    return Released(len(due), applied.hints)


def _log_unreadable(applied: store.Applied) -> None:
    """A newer release published this version: a process of that release goes on with its runs."""
    if applied.unreadable:
        runs = sorted({report.run_id for report in applied.unreadable})
        log.error("definitions_not_readable", runs=len(runs), first=runs[:3])


def _report_of_person(run_id: str, happening: Happening) -> store.Applied:
    _run(run_id)
    return store.apply([Report(str(UUID(run_id)), happening)], graph_of=graph_of)


def _recorded(run_id: str, event: str, principal: str, **more: Any) -> bool:
    """Whether an attempt whose answer was lost has recorded this."""
    return RunEvent.objects.filter(run=UUID(run_id), type=event, detail__by=principal, **more).exists()


def _run(run_id: str) -> WorkflowRun | ArchivedRun:
    try:
        run = find_run(UUID(str(run_id)))
    except ValueError:
        run = None
    if run is None:
        raise UnknownRun
    return run
