"""Sending signals to runs. See Note [Signals] in `core/kinds/wait`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from erip.audit.operation import describe
from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt
from erip.foundation.faults import Fault
from erip.foundation.keyring import hidden
from workflows import store
from workflows.core import definition, sensitive
from workflows.core.graph import Graph
from workflows.core.machine import NO_ITEM, RunSignalled, Signal, StepView
from workflows.core.states import RunState, StepState
from workflows.engine.finding import run_of
from workflows.errors import (
    AmbiguousRun,
    InvalidInput,
    RunAlreadyEnded,
    SignalNotWanted,
    UnknownRun,
    UnknownWorkflow,
    UnreadableHere,
    WorkflowsError,
)
from workflows.graphs import graph_of
from workflows.models import ArchivedRun, RunEvent, StepRun, WorkflowDefinition, WorkflowRun
from workflows.privacy import sealing
from workflows.starts import dispatch
from workflows.store import Report

#: runs that an error names
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Signalled:
    #: the step that was given the signal; None: it is kept for the first step that waits for it
    step: str | None


def signal_run(run_id: str, name: str, payload: Any, *, principal: str, announce_end: bool = False) -> Signalled:
    """Send a signal to a run. When this returns it is durable, and given to exactly one step or kept for one.

    payload: any JSON value. announce_end: the sender waits for the run's end.
    Raises UnknownRun, RunAlreadyEnded, InvalidInput (no step of the workflow waits for it, or the payload does not
    fit), SignalNotWanted.
    """
    run = retry.run(lambda _: run_of(run_id))
    return _signal(run, name, payload, principal, announce_end)


def signal_by_key(
    workflow: str, business_key: str, name: str, payload: Any, *, principal: str, announce_end: bool = False
) -> tuple[str, Signalled]:
    """Send a signal to the one run of a workflow that is under way for a business key. Returns its id as well.

    Raises what `signal_run` raises, UnknownWorkflow, UnknownRun if no such run is under way, and AmbiguousRun if
    several are.
    """
    run = retry.run(lambda _: _under_way(workflow, business_key))
    return str(run.pk), _signal(run, name, payload, principal, announce_end)


@dataclass(frozen=True, slots=True)
class Given:
    """What became of one signal of many: it was given to a step, or is kept for one."""

    kept: bool


#: (workflow, the run's id or None, the business key or None)
Wanted = tuple[str, str | None, str | None]


def runs_for(wanted: Sequence[Wanted]) -> list[str | WorkflowsError]:
    """For each the id of the run that is meant, or why there is none: UnknownRun, RunAlreadyEnded, AmbiguousRun."""
    named = {run_id for _, run_id, _ in wanted if run_id is not None}
    live = dict(WorkflowRun.objects.filter(pk__in=named).values_list("pk", "workflow")) if named else {}
    gone = dict(ArchivedRun.objects.filter(pk__in=named).values_list("pk", "workflow")) if named else {}
    keyed = {(workflow, key) for workflow, run_id, key in wanted if run_id is None and key is not None}
    # A workflow may store hashes of its keys.
    asked = keyed | {(workflow, hidden(key)) for workflow, key in keyed}
    by_key = store.under_way(sorted(asked), most=MAX_NAMED + 1) if keyed else {}
    found: list[str | WorkflowsError] = []
    for workflow, run_id, key in wanted:
        if run_id is None:
            runs = [*by_key.get((workflow, key or ""), ())]
            if key and (other := hidden(key)) != key:
                runs += by_key.get((workflow, other), ())
            found.append(_one_of(workflow, key or "", runs))
        elif live.get(UUID(run_id)) == workflow:
            found.append(run_id)
        else:
            ended = gone.get(UUID(run_id)) == workflow
            found.append(RunAlreadyEnded() if ended else UnknownRun(f"There is no run {run_id} of {workflow}."))
    return found


def _one_of(workflow: str, key: str, runs: Sequence[str]) -> str | WorkflowsError:
    if not runs:
        return UnknownRun(f'No run of {workflow} is under way for the business key "{key[:200]}".')
    return runs[0] if len(runs) == 1 else AmbiguousRun(runs[:MAX_NAMED])


def give_signals(
    signals: Sequence[tuple[str, Signal]],
) -> tuple[list[Given | WorkflowsError], tuple[tuple[str, str], ...]]:
    """Give these signals (run id, signal), in their order, in the caller's transaction. Returns what became of each,
    and hints to publish after the commit."""
    versions = dict(
        WorkflowRun.objects.filter(pk__in={run_id for run_id, _ in signals}).values_list("pk", "version_id")
    )
    outcomes: list[Given | WorkflowsError | None] = [_refusal(run_id, one, versions) for run_id, one in signals]
    signals = [
        (run_id, one if outcome is not None else _sealed_signal(run_id, one, versions))
        for (run_id, one), outcome in zip(signals, outcomes, strict=True)
    ]
    reports = [
        Report(run_id, RunSignalled(one))
        for (run_id, one), outcome in zip(signals, outcomes, strict=True)
        if outcome is None
    ]
    applied = store.apply(reports, graph_of=graph_of)
    discarded = {id(report) for report in applied.discarded}
    untaken = {report.happening.signal.id for report in reports if id(report) in discarded}  # type: ignore[union-attr]
    done: list[Given | WorkflowsError] = []
    for (run_id, one), outcome in zip(signals, outcomes, strict=True):
        if outcome is None and one.id in untaken:
            outcome = _kept(run_id, versions[UUID(run_id)], one)
        done.append(outcome or Given(kept=False))
    return done, applied.hints


@dataclass(frozen=True, slots=True)
class Payload:
    """What is known of a signal's payload before it is given. parts: what of it is sealed."""

    graph: Graph
    name: str

    @property
    def parts(self) -> sensitive.Parts:
        return _parts(self.graph, self.name)

    def faults(self, payload: Any) -> list[Fault]:
        try:
            _check_signal(self.graph, self.name, payload)
        except InvalidInput as error:
            return list(error.faults)
        return []


def payloads_of(wanted: Sequence[tuple[str, str]]) -> list[Payload | None]:
    """For each (run id, signal) what its payload is like; None: the run is gone, or this release cannot read it."""
    versions = dict(WorkflowRun.objects.filter(pk__in={run for run, _ in wanted}).values_list("pk", "version_id"))
    found: list[Payload | None] = []
    for run_id, name in wanted:
        version = versions.get(UUID(run_id))
        try:
            found.append(None if version is None else Payload(graph_of(version), name))
        except definition.DefinitionInvalid:
            found.append(None)
    return found


def _refusal(run_id: str, signal: Signal, versions: Mapping[UUID, int]) -> WorkflowsError | None:
    version = versions.get(UUID(run_id))
    if version is None:
        return RunAlreadyEnded()
    try:
        _check_signal(graph_of(version), signal.name, signal.payload)
    except definition.DefinitionInvalid:
        return UnreadableHere()
    except InvalidInput as error:
        return error
    return None


def _sealed_signal(run_id: str, signal: Signal, versions: Mapping[UUID, int]) -> Signal:
    sealed = _sealed(graph_of(versions[UUID(run_id)]), run_id, signal.name, signal.payload)
    return signal if sealed is signal.payload else replace(signal, payload=sealed)


def _kept(run_id: str, version_id: int, signal: Signal) -> Given | WorkflowsError:
    try:
        _keep(run_id, version_id, signal)
    except (RunAlreadyEnded, SignalNotWanted, UnknownRun) as error:
        return error
    return Given(kept=True)


def _under_way(workflow: str, business_key: str) -> WorkflowRun:
    runs = WorkflowRun.objects.filter(
        workflow=workflow, business_key__in=(business_key, hidden(business_key)), finished_at__isnull=True
    )
    found = list(runs.order_by("-id")[: MAX_NAMED + 1])
    if not found:
        if not WorkflowDefinition.objects.filter(name=workflow).exists():
            raise UnknownWorkflow
        raise UnknownRun(f'No run of {workflow} is under way for the business key "{business_key[:200]}".')
    if len(found) > 1:
        raise AmbiguousRun([str(run.pk) for run in found[:MAX_NAMED]])
    return found[0]


def _signal(run: WorkflowRun | ArchivedRun, name: str, payload: Any, principal: str, announce_end: bool) -> Signalled:
    graph = graph_of(run.version_id)
    _check_signal(graph, name, payload)
    if not RunState(run.state).ended:
        payload = retry.run(lambda _: _sealed(graph, str(run.pk), name, payload))
    signal = Signal(str(uuid4()), name, payload, principal)
    return retry.run(partial(_signal_run, str(run.pk), run.version_id, signal, announce_end))


def _signal_run(run_id: str, version_id: int, signal: Signal, announce_end: bool, attempt: Attempt) -> Signalled:
    with transaction.atomic():
        if announce_end:
            store.announce_end(run_id)
        if attempt.unknown:
            # The lost attempt holds the lock until it is committed or gone. Without it, both could be given.
            store.lock_run(run_id)
            sent = RunEvent.objects.filter(run=UUID(run_id), detail__id=signal.id).order_by("id").first()
            if sent is not None:
                return Signalled(sent.step)
        applied = store.apply([Report(run_id, RunSignalled(signal))], graph_of=graph_of)
        if not applied.discarded:
            dispatch.hint_after_commit(applied.hints)
            taker = _taker(run_id, signal)
            describe(after={"signal": signal.name, "given_to": taker})
            return Signalled(taker)
        _keep(run_id, version_id, signal)
        describe(after={"signal": signal.name, "kept": True})
        return Signalled(None)


def _keep(run_id: str, version_id: int, signal: Signal) -> None:
    """No step waits for it now. The run's lock is held, so none can begin to before this is committed."""
    if RunState(run_of(run_id).state).ended:
        raise RunAlreadyEnded
    nodes = graph_of(version_id).waiting_for(signal.name)
    open_steps = nodes.keys() - store.done_with(run_id, signal.name)
    # A wait for several goes on without what the end of one of its groups has withdrawn.
    for step, state, output in StepRun.objects.filter(
        run=UUID(run_id), item=NO_ITEM, step__in=open_steps, state__in=(StepState.WAITING, StepState.PAUSED)
    ).values_list("step", "state", "output"):
        if not nodes[step].how.wants(StepView(StepState(state), output=output), signal.name):
            open_steps.discard(step)
    if store.signals_kept(run_id, signal.name) >= len(open_steps):
        raise SignalNotWanted
    store.keep_signal(run_id, signal)


def _taker(run_id: str, signal: Signal) -> str | None:
    taken = RunEvent.objects.filter(run=UUID(run_id), type="step.signalled", detail__id=signal.id)
    return taken.values_list("step", flat=True).first()


def _sealed(graph: Graph, run_id: str, name: str, payload: Any) -> Any:
    """The payload as it is stored: with what is sensitive in it sealed for this run. Raises DataErased."""
    return sealing.seal(graph.name, run_id, _parts(graph, name), payload)


def _parts(graph: Graph, name: str) -> sensitive.Parts:
    return tuple(part for node in graph.waiting_for(name).values() for part in node.how.sealed_payload(name))


def _check_signal(graph: Graph, name: str, payload: Any) -> None:
    """Raises InvalidInput for a signal that no step of the workflow waits for, or that does not fit each that does."""
    steps = graph.waiting_for(name)
    if not steps:
        known = {signal for node in graph.steps.values() for signal in node.how.signals}
        hint = f"it waits for {', '.join(sorted(known))}" if known else "it waits for none"
        raise InvalidInput(faults=[Fault("name", f'no step of {graph.name} waits for the signal "{name}": {hint}')])
    faults = [fault for node in steps.values() for fault in node.how.signal_faults(name, payload)]
    if faults:
        raise InvalidInput(faults=list(dict.fromkeys(faults)))
