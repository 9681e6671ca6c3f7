"""`run_workflow`: one run, decided by `core/machine`, with a store, workers and a clock that are only objects.

The clock stands still while anything can happen, and then jumps to the next moment at which something does: the end of
an attempt, of a rest or of a wait, a signal, the deadline. So a wait of 72 hours takes no time, and the same test gives
the same history each time.

What is as in production: the check of the definition and of the input, every decision, the input and output models, the
limits of outputs. What is not: there is always a free worker, nothing is lost unless a stub says so, and the rests
between attempts have no jitter.
"""

import heapq
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import orjson

from erip.foundation.faults import Fault
from workflows import registry
from workflows.core import definition as definitions
from workflows.core.claim import Claim
from workflows.core.durations import parse_duration
from workflows.core.graph import Graph, StepNode, Work
from workflows.core.in_memory import RunInMemory
from workflows.core.machine import (
    NO_ITEM,
    Event,
    Happening,
    RunChange,
    RunStarted,
    RunTimedOut,
    RunView,
    StepChange,
    StepDue,
    StepFailed,
    StepKey,
    StepLost,
)
from workflows.core.secrets import given as given_secrets
from workflows.core.sensitive import plain
from workflows.core.states import RunState, StepState
from workflows.errors import DefinitionInvalid, InvalidInput
from workflows.testing.moments import Moment
from workflows.testing.one_step import MOMENT, RUN_ID, finished
from workflows.testing.results import Entry, Result, StepResult
from workflows.testing.steps_of import know
from workflows.testing.stubs import Escape, Stubs
from workflows.worker import bodies

#: lost attempts after which a step fails, as ERIP_MAX_LOST_ATTEMPTS has it by default
MAX_LOST = 5
#: as an exact rest: `rest` halves the delay and adds jitter times the other half
_NO_JITTER = 1.0
_TOLD_AS = {"run.cancelled": "run.cancel_requested", "run.timed_out": "run.deadline_missed"}


def run_workflow(
    definition: str | bytes | Path | Mapping[str, Any],
    input: Mapping[str, Any] | None = None,
    stubs: Mapping[str, Any] | None = None,
    *,
    during: Sequence[Moment] = (),
    business_key: str | None = None,
    lane: str | None = None,
    deadline: str | float | datetime | None = None,
    starts_at: datetime = MOMENT,
    secrets: Mapping[str, str] | None = None,
) -> Result:
    """Run a definition until nothing more can happen to the run, and return what became of it.

    definition: its text (YAML or JSON), the path of a file, or the document. stubs: what stands in for a step, by the
    step's id or by the name of the registered step: a value (a dict, or the step's output model), a function of the
    input, of (input, context) or of nothing, an exception, or `in_turn`, `takes` and `lost`. A step without a stub runs
    its body.
    during: what happens from outside: `signal`, `cancel`, `resolve`. deadline: in place of the definition's `timeout`:
    a duration after the start, or a moment. secrets: what bodies and stubs get in place of `${{ secrets.name }}`.
    Raises DefinitionInvalid, InvalidInput (the input, or a signal, is not what the workflow asks for), StubUnfit, and
    what a stub asserts.
    """
    graph, specs = read(definition)
    given = {} if input is None else dict(input)
    faults = graph.input_faults(given) + signal_faults(graph, during)
    if faults:
        raise InvalidInput(faults=faults)
    if isinstance(deadline, str | int | float):
        deadline = starts_at + timedelta(seconds=parse_duration(deadline))
    if deadline is None and graph.timeout is not None:
        deadline = starts_at + timedelta(seconds=graph.timeout)
    view = RunView(RUN_ID, graph.name, business_key, lane or graph.lane, RunState.PENDING, given, starts_at)
    with given_secrets(secrets or {}), plain():
        return InMemory(graph, view, Stubs(graph, stubs or {}, specs), deadline).happen(during)


def read(source: str | bytes | Path | Mapping[str, Any]) -> tuple[Graph, Mapping[str, registry.StepSpec]]:
    """A definition, checked, and the steps that there are. Raises DefinitionInvalid."""
    media: Literal["yaml", "json"] = "yaml"
    if isinstance(source, Path):
        media = "json" if source.suffix == ".json" else "yaml"
        source = source.read_bytes()
    elif isinstance(source, Mapping):
        media, source = "json", orjson.dumps(dict(source))
    try:
        document = definitions.parse(source, media)
        steps = document.get("steps")
        uses = (
            [step.get("uses") for step in steps.values() if isinstance(step, dict)] if isinstance(steps, dict) else ()
        )
        know(name for name in uses if isinstance(name, str))
        specs = registry.all()
        return definitions.validate(document, specs), specs
    except definitions.DefinitionInvalid as error:
        raise DefinitionInvalid(faults=error.faults) from None


def signal_faults(graph: Graph, during: Sequence[Moment]) -> list[Fault]:
    """Signals that the API would refuse, whenever they came."""
    faults: list[Fault] = []
    for signal in [moment.signal for moment in during if moment.signal]:
        steps = graph.waiting_for(signal.name)
        if not steps:
            known = ", ".join(sorted({name for node in graph.steps.values() for name in node.how.signals})) or "none"
            faults.append(Fault(f"signal {signal.name}", f"no step waits for it; {graph.name} waits for {known}"))
        for node in steps.values():
            faults.extend(
                Fault(f"signal {signal.name}: {fault.path}", fault.message)
                for fault in node.how.signal_faults(signal.name, signal.payload)
            )
    return list(dict.fromkeys(faults))


class InMemory(RunInMemory):
    """A run, and what is still to happen to it."""

    def __init__(self, graph: Graph, run: RunView, stubs: Stubs, deadline: datetime | None) -> None:
        super().__init__(graph, run)
        self.stubs = stubs
        self.deadline = deadline
        self.start = run.created_at
        #: whether a worker took a step of it
        self.began = False
        self.ended_at: datetime | None = None
        self.history: list[Entry] = []
        self.refused: list[tuple[str, str]] = []
        self._todo: list[tuple[datetime, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def happen(self, during: Sequence[Moment]) -> Result:
        """Let everything happen, in the order of its time."""
        self._tell("run.accepted")
        if self.deadline is not None:
            self._at(self.deadline, lambda: self._report(RunTimedOut()))
        self.apply([RunStarted()])
        for moment in during:
            self._at(moment.at(self.start), lambda moment=moment: self._from_outside(moment))  # type: ignore[misc]
        while self._todo:
            at, _, happen = heapq.heappop(self._todo)
            self.now = max(self.now, at)
            happen()
        return self._result()

    def _at(self, moment: datetime, happen: Callable[[], None]) -> None:
        heapq.heappush(self._todo, (moment, next(self._count), happen))

    # --- what the rows tell ---

    def on_event(self, event: Event) -> None:
        key = (event.step, event.item) if event.step is not None else None
        self._tell(_TOLD_AS.get(event.type, event.type), key, event.attempt, event.detail)

    def on_ready(self, key: StepKey) -> None:
        self._at(self.now, lambda: self._claim(key))

    def on_step(self, change: StepChange, new: bool) -> None:
        key = (change.step, change.item)
        if change.state is StepState.WAITING:
            if new:
                self._tell("step.started", key)
            if change.due_at is not None:
                self._at(change.due_at, lambda: self._due(key, change.due_at))
        elif change.state is StepState.RUNNING and change.items is not None:
            self._tell("step.started", key)
        elif change.state.ended:
            detail = {"error": change.error} if change.error else {}
            self._tell(f"step.{change.state.lower()}", key, change.attempt or None, detail)

    def on_run(self, change: RunChange) -> None:
        if change.state.ended:
            self.ended_at = self.now
            detail = {"error": change.error} if change.error else {}
            self._tell(f"run.{change.state.lower()}", detail=detail)

    # --- the workers ---

    def _claim(self, key: StepKey) -> None:
        """Begin an attempt; what it gives becomes known when it ends."""
        (step, item), view = key, self.view(key)
        work = self.graph.steps[step].work
        if view is None or view.state is not StepState.READY or work is None:
            return
        view = replace(view, state=StepState.RUNNING, attempt=view.attempt + 1)
        self.put(key, view)
        if self.run.state is RunState.PENDING:
            self.run = replace(self.run, state=RunState.RUNNING)
        if not self.began:
            self.began = True
            self._tell("run.started")
        self._tell("step.started", key, view.attempt)
        run = self.run
        claim = Claim(
            run.id, step, item, view.attempt, self.inputs[key], 0, run.workflow, run.business_key, run.lane,
            self.deadline, run.created_at,
        )  # fmt: skip
        seconds, happening = self._attempt(claim, work)
        self._at(self.now + timedelta(seconds=seconds), lambda: self._report(happening))

    def _report(self, happening: Happening) -> None:
        self.apply([happening])

    def _attempt(self, claim: Claim, work: Work) -> tuple[float, Happening]:
        """(seconds that it takes on the run's clock, what it gives)."""
        call = self.stubs.call(claim.step, claim.attempt, registry.get(work.uses))
        if call.lost:
            return call.seconds, StepLost(claim.step, claim.attempt, MAX_LOST, claim.item)
        began = time.monotonic()
        try:
            if call.spec.is_async:
                happening = finished(bodies.run_async(claim, call.spec, work))
            else:
                happening = bodies.run_sync(claim, call.spec, work)
        except Escape as escape:
            raise escape.error from None
        if call.seconds > work.timeout or time.monotonic() - began > work.timeout:
            happening = bodies.timed_out(claim, work, None)
        if isinstance(happening, StepFailed):
            # As in production: what a transactional step wrote was rolled back with its failure.
            certain = happening.certain or work.transactional
            # Nor is its trace kept: it differs from one test run to the next, and pytest shows what was logged.
            happening = replace(happening, jitter=_NO_JITTER, certain=certain, trace=None)
        return min(call.seconds, work.timeout), happening

    # --- what comes from outside ---

    def _due(self, key: StepKey, due_at: datetime | None) -> None:
        view = self.view(key)
        if view is not None and view.state is StepState.WAITING and self.dues.get(key) == due_at:
            self.apply([StepDue(*key)])

    def _from_outside(self, moment: Moment) -> None:
        if self.apply([moment.happening()]):
            return
        signal = moment.signal
        if self.run.state.ended and not moment.what.startswith("resolve"):
            self.refused.append((moment.what, f"the run had ended {self._ago()} before"))
        elif signal is not None:
            waits = self.graph.waiting_for(signal.name)
            still = [id for id, node in waits.items() if self._may_take(id, node, signal.name)]
            if len([one for one in self.kept if one.name == signal.name]) >= len(still):
                self.refused.append((moment.what, "every step that waits for it has had one, or has ended"))
            else:
                self.kept.append(signal)
                self._tell("signal.kept", detail={"signal": signal.name, "by": signal.by})
        elif moment.what.startswith("answer"):
            self.refused.append((moment.what, "the step did not wait for an answer"))
        else:
            self.refused.append((moment.what, "the step was not UNKNOWN"))

    def _may_take(self, id: str, node: StepNode, signal: str) -> bool:
        view = self.steps.get((id, NO_ITEM))
        if view is None or view.state is not StepState.WAITING:
            return view is None or not view.state.ended
        return node.how.wants(view, signal)

    def _ago(self) -> str:
        return f"{(self.now - (self.ended_at or self.now)).total_seconds():g} s"

    # --- the record ---

    def _tell(
        self,
        type: str,
        key: StepKey | None = None,
        attempt: int | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        step, item = key or (None, NO_ITEM)
        after = (self.now - self.start).total_seconds()
        shown = None if item == NO_ITEM else item
        self.history.append(Entry(self.now, after, type, step, shown, attempt, detail or {}))

    def _result(self) -> Result:
        run = self.run
        return Result(
            workflow=run.workflow,
            state=run.state,
            output=self.outcome.output,
            error=self.outcome.error,
            steps={id: self._step((id, NO_ITEM)) for id in self.graph.steps},
            history=tuple(self.history),
            started_at=self.start,
            ended_at=self.ended_at,
            refused=tuple(self.refused),
        )

    def _step(self, key: StepKey) -> StepResult:
        step, item = key
        view = self.view(key)
        if view is None:
            return StepResult(StepState.CANCELLED if self.run.state.ended else StepState.PENDING)
        open_ = item == NO_ITEM and not view.state.ended
        return StepResult(
            state=view.state,
            attempts=view.attempt,
            failures=view.failures,
            input=self.inputs.get(key),
            output=view.output,
            error=self.errors.get(key),
            waits_for=self.graph.steps[step].how.explain(view, self.dues.get(key)) if open_ else None,
            items=tuple(self._step((step, index)) for index in sorted(self.items[step])) if item == NO_ITEM else (),
        )
