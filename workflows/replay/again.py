"""Decides a stored run again: the happenings of its history, the machine of today."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from workflows import registry
from workflows.core.graph import Graph
from workflows.core.in_memory import RunInMemory
from workflows.core.machine import NO_ITEM, Happening, RunStarted, StepDue, StepKey
from workflows.core.states import RunState, StepState
from workflows.errors import UnknownStep
from workflows.replay.compare import Difference, differences
from workflows.replay.history import Happened, StoredRow, StoredRun, happenings

__all__ = ["Difference", "decide_again", "differences_of", "input_differences", "is_undecided", "live_again"]


def decide_again(run: StoredRun, graph: Graph, *, max_lost: int) -> list[Difference]:
    """What today's code decides differently. graph: of the run's version, as today's code reads it."""
    if is_undecided(run):
        return input_differences(run, graph)
    return differences_of(run, live_again(run, graph, max_lost=max_lost), graph)


def is_undecided(run: StoredRun) -> bool:
    """It is in a chunk: nothing of it is decided yet."""
    return run.view.state is RunState.PENDING and not run.rows


def live_again(
    run: StoredRun, graph: Graph, *, max_lost: int, between: Callable[[], None] = lambda: None
) -> RunInMemory:
    """The run as it is when all that happened to it has happened again. between: called before each thing that
    happened; what it raises ends this."""
    again = _Again(run, graph, between)
    again.live_through(happenings(run, graph, max_lost=max_lost))
    return again


def input_differences(run: StoredRun, graph: Graph) -> list[Difference]:
    """What the graph's schema refuses of the run's input."""
    return [Difference(fault.path, "was accepted", fault.message) for fault in graph.input_faults(run.view.input)]


def differences_of(run: StoredRun, again: RunInMemory, graph: Graph) -> list[Difference]:
    """What is different between the stored run and the one that was decided again by that graph."""
    return [*input_differences(run, graph), *differences(run, again), *_refused(run, graph)]


class _Again(RunInMemory):
    """The run, decided again."""

    def __init__(self, run: StoredRun, graph: Graph, between: Callable[[], None]) -> None:
        super().__init__(graph, replace(run.view, state=RunState.PENDING))
        self.stored = run
        self._between = between

    def live_through(self, happened: list[Happened]) -> None:
        """Take everything in turn. What comes before its step has begun waits: clocks of workers differ a little."""
        self.apply([RunStarted()])
        early: list[Happened] = []
        for one in happened:
            if one.last:
                self._claim_the_rest(one.at)
            if not self._take(one):
                early.append(one)
                continue
            taken = True
            while taken and early:
                taken = False
                for other in list(early):
                    if self._take(other):
                        early.remove(other)
                        taken = True
        self._claim_the_rest(None)

    def _take(self, one: Happened) -> bool:
        """Returns False if the step that it is about has not begun."""
        self._between()
        self.now = max(self.now, one.at)
        if one.key is None:
            self.apply([one.happening])
            return True
        view = self.view(one.key)
        if view is None:
            return False
        if view.state.ended:
            return True  # what is different shows when the rows are compared
        if isinstance(one.happening, StepDue) and (due_at := self.dues.get(one.key)):
            # It was due: if it is not by our clock, our clock is a little slow.
            self.now = max(self.now, due_at)
        if getattr(one.happening, "attempt", None) is not None:
            self._claim(one.key, one.happening)
        self.apply([one.happening])
        return True

    def _claim(self, key: StepKey, happening: Happening) -> None:
        """A worker took the step, for the attempt that the happening is about. That is a fact."""
        view = self.view(key)
        if view is not None and view.state is StepState.WAITING:
            self.apply([StepDue(*key)])
            view = self.view(key)
        if view is None or view.state not in (StepState.READY, StepState.PENDING):
            return
        self._run(key, getattr(happening, "attempt", view.attempt + 1))

    def _run(self, key: StepKey, attempt: int) -> None:
        view = self.view(key)
        assert view is not None
        if view.state is StepState.PENDING and (parent := self.steps.get((key[0], NO_ITEM))) and parent.fan:
            # Which items come next is the store's choice.
            self.steps[key[0], NO_ITEM] = replace(parent, fan=parent.fan.moved(StepState.PENDING, StepState.RUNNING))
        self.put(key, replace(view, state=StepState.RUNNING, attempt=attempt))
        if self.run.state is RunState.PENDING:
            self.run = replace(self.run, state=RunState.RUNNING)

    def _claim_the_rest(self, until: datetime | None) -> None:
        """Steps that workers had taken by then, and that have given nothing yet."""
        for key, row in self.stored.rows.items():
            view = self.view(key)
            if view is None or view.state is not StepState.READY or row.attempt <= view.attempt:
                continue
            if row.started_at is not None and (until is None or row.started_at <= until):
                self._run(key, row.attempt)


def _refused(run: StoredRun, graph: Graph) -> list[Difference]:
    """Inputs that steps took, and whose models refuse them today."""
    found: list[Difference] = []
    for key, row in run.rows.items():
        node = graph.steps.get(key[0])
        if node is None or node.work is None or row.attempt == 0 or row.items is not None or _was_refused(row):
            continue
        try:
            registry.get(node.work.uses).input_model.model_validate(row.input)
        except UnknownStep:
            found.append(Difference(_path(key, "uses"), node.work.uses, "no such step is registered"))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            at = ".".join(map(str, first["loc"]))
            found.append(Difference(_path(key, "input"), "was accepted", f"is refused: {at}: {first['msg']}"))
    return found


def _was_refused(row: StoredRow) -> bool:
    return (row.error or {}).get("code") in ("invalid_input", "unknown_step")


def _path(key: StepKey, what: str) -> str:
    step, item = key
    return f"steps.{step}.{what}" if item == NO_ITEM else f"steps.{step}[{item}].{what}"
