"""The rows of one run, in memory: what the store does with plans, without a store.

`workflows.testing` runs definitions on it, and `workflows.replay` decides stored runs again. Both add what they need by
overriding the methods that begin with `on_`.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from workflows.core import machine
from workflows.core.graph import Graph, StepNode
from workflows.core.machine import (
    NO_ITEM,
    Event,
    Happening,
    ItemsEnded,
    Plan,
    RunChange,
    RunView,
    Signal,
    Snapshot,
    StepChange,
    StepKey,
    StepSignalled,
    StepView,
)
from workflows.core.machine.items import MAX_OUTPUT_BYTES, FanView, ItemResult
from workflows.core.states import StepState


class RunInMemory:
    """A run and its steps. `now` is the clock of each decision; whoever owns the run moves it."""

    def __init__(self, graph: Graph, run: RunView) -> None:
        self.graph = graph
        self.run = run
        self.now: datetime = run.created_at
        #: rows of steps, and rows of items
        self.steps: dict[StepKey, StepView] = {}
        self.items: dict[str, dict[int, StepView]] = defaultdict(dict)
        #: of new rows
        self.inputs: dict[StepKey, Any] = {}
        self.errors: dict[StepKey, Mapping[str, Any] | None] = {}
        #: when rows that wait go on by themselves
        self.dues: dict[StepKey, datetime | None] = {}
        #: signals that came before a step waited for them
        self.kept: list[Signal] = []
        #: the last change of the run
        self.outcome = RunChange(run.state)
        #: heaps of items that wait for a place; some may have got one meanwhile
        self._pending: dict[str, list[int]] = defaultdict(list)

    def view(self, key: StepKey) -> StepView | None:
        """A row; None if there is none yet."""
        step, item = key
        return self.steps.get(key) if item == NO_ITEM else self.items[step].get(item)

    def put(self, key: StepKey, view: StepView) -> None:
        """Change a row that is there, as a claim does."""
        step, item = key
        if item == NO_ITEM:
            self.steps[key] = view
        else:
            self.items[step][item] = view

    def apply(self, happenings: Sequence[Happening]) -> bool:
        """Decide and write, with all that follows at once. Returns whether every happening counted."""
        touched: dict[StepKey, StepView] = {}
        for happening in happenings:
            key = (getattr(happening, "step", ""), getattr(happening, "item", NO_ITEM))
            if key[1] != NO_ITEM and (view := self.view(key)):
                touched[key] = view
        plan = machine.decide(self.graph, Snapshot(self.run, {**self.steps, **touched}), happenings, self.now)
        self._write(plan)
        for step in plan.joins:
            if not self.run.state.ended:
                self.apply([ItemsEnded(step, self._results(step))])
        for step, name in plan.asks:
            signal = next((one for one in self.kept if one.name == name), None)
            view = self.steps[step, NO_ITEM]
            waits = view.state is StepState.WAITING and self.graph.steps[step].how.wants(view, name)
            if signal is not None and waits:
                self.kept.remove(signal)
                self.apply([StepSignalled(step, signal)])
        return not plan.discarded

    # --- for subclasses ---

    def on_event(self, event: Event) -> None:
        """The plan recorded an event."""

    def on_ready(self, key: StepKey) -> None:
        """The row became READY."""

    def on_step(self, change: StepChange, new: bool) -> None:
        """The row was written."""

    def on_run(self, change: RunChange) -> None:
        """The run changed its state."""

    # --- writing ---

    def _write(self, plan: Plan) -> None:
        named: dict[str, set[int]] = defaultdict(set)
        for event in plan.events:
            self.on_event(event)
        for change in plan.steps:
            if change.item != NO_ITEM:
                named[change.step].add(change.item)
            self._write_step(change, plan.fans.get(change.step) if change.item == NO_ITEM else None)
        for step, fan in plan.fans.items():
            self.steps[step, NO_ITEM] = replace(self.steps[step, NO_ITEM], fan=fan)
        for step, count in plan.releases:
            for item in self._first_pending(step, count, but=named[step]):
                self.items[step][item] = replace(self.items[step][item], state=StepState.READY)
                self.on_ready((step, item))
        for step in plan.cancels:
            self._cancel_items(self.graph.steps[step])
        if plan.run is not None:
            self.outcome = plan.run
            self.run = replace(self.run, state=plan.run.state)
            self.on_run(plan.run)

    def _write_step(self, change: StepChange, fan: FanView | None) -> None:
        key = (change.step, change.item)
        new = self.view(key) is None
        if new:
            self.inputs[key] = change.input
        self.errors[key] = change.error
        self.put(key, StepView(change.state, change.attempt, change.failures, change.lost, change.output, fan))
        if change.item != NO_ITEM and change.state is StepState.PENDING:
            heapq.heappush(self._pending[change.step], change.item)
        if change.state is StepState.READY:
            self.on_ready(key)
        elif change.state is StepState.WAITING:
            self.dues[key] = change.due_at
        self.on_step(change, new)

    def _first_pending(self, step: str, count: int, *, but: set[int]) -> list[int]:
        """The first `count` items that wait for a place."""
        found: list[int] = []
        passed: list[int] = []
        while len(found) < count and self._pending[step]:
            item = heapq.heappop(self._pending[step])
            if self.items[step][item].state is StepState.PENDING:
                (passed if item in but else found).append(item)
        for item in passed:
            heapq.heappush(self._pending[step], item)
        return found

    def _cancel_items(self, node: StepNode) -> None:
        idle = {StepState.PENDING, StepState.READY, StepState.WAITING}
        if machine.repeatable(node):
            idle.add(StepState.RUNNING)
        for item, view in self.items[node.id].items():
            if view.state in idle:
                self.items[node.id][item] = replace(view, state=StepState.CANCELLED)

    def _results(self, step: str) -> tuple[ItemResult, ...] | None:
        items = sorted(self.items[step].items())
        if sum(len(orjson.dumps(view.output)) for _, view in items) > MAX_OUTPUT_BYTES:
            return None
        return tuple(ItemResult(item, view.state, view.output, self.errors.get((step, item))) for item, view in items)
