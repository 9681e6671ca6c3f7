"""What can be done with workflows: one function for each operation, called by API, admin, commands and workers alike.

Each function owns its transaction. Hints to the workers are published after its commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.db import connection, transaction

from workflows import admission, dispatch, precedence, registry, store
from workflows.core import definition, machine
from workflows.core.faults import Fault
from workflows.core.graph import Graph
from workflows.core.lanes import urgency
from workflows.core.machine import Happening, RunCancelled, RunStarted, RunView, Snapshot, StepResolved
from workflows.core.states import Lane, RunState
from workflows.errors import (
    DefinitionInvalid,
    IdempotencyMismatch,
    InvalidInput,
    NameMismatch,
    RunAlreadyEnded,
    RunNotEnded,
    StepNotUnknown,
    UnknownLane,
    UnknownRun,
    UnknownVersion,
    UnknownWorkflow,
)
from workflows.graphs import graph_of
from workflows.ids import new_run_id
from workflows.models import ArchivedRun, WorkflowDefinition, WorkflowRun, WorkflowVersion, find_run
from workflows.store import NewRun, Report

#: runs started in one transaction, at most
RUNS_PER_TRANSACTION = 1_000
#: runs checked or planned by a large start before it looks whether a more urgent one came
RUNS_PER_TURN = 100


# --- definitions ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Published:
    name: str
    number: int
    hash: str
    #: False where the content was the latest version's already
    created: bool
    version_id: int


def validate(source: str | bytes, media: str) -> Graph:
    """Check a definition without storing it. Raises DefinitionInvalid."""
    return _check(source, media)[1]


def publish(name: str | None, source: str | bytes, media: str, *, author: str) -> Published:
    """Store a definition as its workflow's next version; the same content again is a no-op.

    name: what it must be called, None takes the definition's own. media: "yaml" or "json".
    Raises DefinitionInvalid, NameMismatch.
    """
    document, graph = _check(source, media)
    if name is not None and graph.name != name:
        raise NameMismatch(faults=[Fault("name", f'is "{graph.name}", but it is published as "{name}"')])
    content_hash = definition.content_hash(document)
    text = source.decode() if isinstance(source, bytes) else source
    with transaction.atomic():
        WorkflowDefinition.objects.get_or_create(name=graph.name)
        # Publishers of one workflow take turns, or two could take the same number.
        workflow = WorkflowDefinition.objects.select_for_update().get(name=graph.name)
        latest = workflow.versions.filter(number=workflow.latest).first()
        if latest and latest.content_hash == content_hash:
            return Published(graph.name, latest.number, content_hash, False, latest.pk)
        version = WorkflowVersion.objects.create(
            definition=workflow,
            number=workflow.latest + 1,
            content_hash=content_hash,
            source=text,
            media=media,
            document=document,
            author=author,
        )
        workflow.latest = version.number
        workflow.save(update_fields=["latest"])
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
    """Start runs; when this returns they are durable. One transaction per 1,000 of them.

    All inputs are checked before the first run is started. idempotency_key: for exactly one request; the same key from
    the same principal with the same request_hash gives the same run. notify: announce the end (see `notify`).
    many: the caller sent a list, and its faults are named `inputs[0].…`, not `input.…`.
    Either all of them are let into their lanes or none; a key that has its run already is answered with it in any case.
    Raises UnknownWorkflow, UnknownVersion, UnknownLane, InvalidInput, IdempotencyMismatch, LaneFull.
    """
    if idempotency_key is not None and len(requests) != 1:
        raise ValueError("an idempotency key goes with exactly one run")
    version_id, number, now = _resolve(workflow, version)
    graph = graph_of(version_id)
    _check_lanes(requests)
    lanes = [request.lane or graph.lane for request in requests]
    lane = urgency(lanes)[0] if lanes else graph.lane
    with precedence.starting(lane):
        _check_inputs(graph, requests, many, lane)
        started: list[StartedRun] = []
        for start in range(0, len(requests), RUNS_PER_TRANSACTION):
            runs: list[NewRun] = []
            for request in requests[start : start + RUNS_PER_TRANSACTION]:
                if len(runs) % RUNS_PER_TURN == RUNS_PER_TURN - 1:
                    precedence.give_way(lane)
                runs.append(_new_run(graph, version_id, request, now, principal, notify))
            with transaction.atomic():
                if idempotency_key is not None:
                    taken = store.take_idempotency_key(principal, idempotency_key, request_hash or "", runs[0].id)
                    if taken is not None:
                        return [_existing(*taken, request_hash or "")]
                if start == 0:
                    # Here, so that a refused request leaves no key behind, and one that was accepted has its answer.
                    admission.admit(lanes)
                dispatch.hint_after_commit(store.insert_runs(runs))
            started += [_started(run, number) for run in runs]
        return started


def _resolve(workflow: str, number: int | None) -> tuple[int, int, datetime]:
    """(version id, number, the database's now)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT v.id, v.number, clock_timestamp() FROM workflows_workflowdefinition d
            LEFT JOIN workflows_workflowversion v ON v.definition_id = d.id AND v.number = coalesce(%s, d.latest)
            WHERE d.name = %s
            """,
            [number, workflow],
        )
        row = cursor.fetchone()
    if row is None:
        raise UnknownWorkflow(f'There is no workflow "{workflow}". GET /api/v1/workflows lists those there are.')
    if row[0] is None:
        raise UnknownVersion(f'Workflow "{workflow}" has no version {number}.')
    return cast("tuple[int, int, datetime]", row)


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


def _new_run(
    graph: Graph, version_id: int, request: StartRequest, now: datetime, principal: str, notify: bool
) -> NewRun:
    view = RunView(
        id=new_run_id(),
        workflow=graph.name,
        business_key=request.business_key,
        lane=request.lane or graph.lane,
        state=RunState.PENDING,
        input=request.input,
        created_at=now,
    )
    plan = machine.decide(graph, Snapshot(view, {}), [RunStarted()], now)
    return NewRun(view.id, version_id, view, graph.timeout, principal, notify, plan, graph)


def _started(run: NewRun, number: int) -> StartedRun:
    state = run.plan.run.state if run.plan.run else RunState.PENDING
    view = run.view
    return StartedRun(run.id, view.workflow, number, str(state), view.lane, view.business_key, view.created_at)


def _existing(run_id: str, known_hash: str, request_hash: str) -> StartedRun:
    if known_hash != request_hash:
        raise IdempotencyMismatch
    run = _run(run_id)
    return StartedRun(
        str(run.pk), run.workflow, run.version.number, run.state, run.lane, run.business_key, run.created_at, True
    )


# --- what people do to runs -------------------------------------------------------------------------------


def cancel_run(run_id: str, *, principal: str, reason: str = "") -> None:
    """End a run as CANCELLED. A step that runs right now is not interrupted; its result no longer counts, unless it is
    declared not idempotent: then it is still recorded. Raises UnknownRun, RunAlreadyEnded."""
    with transaction.atomic():
        applied = _report_of_person(run_id, RunCancelled(principal, reason))
        if applied.discarded:
            raise RunAlreadyEnded
        dispatch.hint_after_commit(applied.hints)


def retry_run(run_id: str, *, principal: str) -> StartedRun:
    """Start a new run with the version, input, lane and business key of one that has ended.

    Raises UnknownRun, RunNotEnded, InvalidInput.
    """
    run = _run(run_id)
    if not RunState(run.state).ended:
        raise RunNotEnded
    request = StartRequest(run.input, run.business_key, run.lane)
    return start_runs(run.workflow, [request], principal=principal, version=run.version.number)[0]


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
    with transaction.atomic():
        applied = _report_of_person(run_id, StepResolved(step, outcome, output, principal, note, key))
        if applied.discarded:
            raise StepNotUnknown
        dispatch.hint_after_commit(applied.hints)


def report(reports: Sequence[Report]) -> store.Applied:
    """Apply what was found to have happened (lost workers, due retries, missed deadlines)."""
    with transaction.atomic():
        applied = store.apply(reports, graph_of=graph_of)
        dispatch.hint_after_commit(applied.hints)
    return applied


def _report_of_person(run_id: str, happening: Happening) -> store.Applied:
    _run(run_id)
    return store.apply([Report(str(UUID(run_id)), happening)], graph_of=graph_of)


def _run(run_id: str) -> WorkflowRun | ArchivedRun:
    try:
        run = find_run(UUID(str(run_id)))
    except ValueError:
        run = None
    if run is None:
        raise UnknownRun
    return run
