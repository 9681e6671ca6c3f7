"""Which step a worker may go on with before the last one is recorded. See Note [Strides] in `executor`."""

from datetime import UTC, datetime

from workflows import registry
from workflows.core.graph import Graph, StepNode
from workflows.core.machine import NO_ITEM, Deciding, Happening, Snapshot, StepSucceeded, StepTaken
from workflows.errors import UnknownStep
from workflows.graphs import step_for
from workflows.store import Claim, Decided


class Stride:
    """One run, as seen by the thread that goes on with it."""

    def __init__(self, graph: Graph, claim: Claim) -> None:
        self._graph = graph
        self._snapshot = claim.snapshot
        self._deciding: Deciding | None = None
        self._taken = 0
        self._last: Happening | None = None

    def follow(self, claim: Claim, happening: Happening) -> tuple[Claim, registry.StepSpec] | None:
        """What to go on with after `claim` ended in `happening`: the one step that follows it, if it may be
        repeated."""
        if self._snapshot is None or not isinstance(happening, StepSucceeded) or claim.item != NO_ITEM:
            return None
        following = self._graph.dependents[claim.step]
        if len(following) != 1 or not _repeatable(self._graph.steps[claim.step]):
            return None
        node = self._graph.steps[following[0]]
        work = node.work
        if work is None or not node.how.strides or not node.essential or not _repeatable(node):
            return None
        try:
            spec = step_for(claim.version_id, node.id, work.uses)
        except UnknownStep:
            return None
        if spec.is_async:
            return None
        ready = self._take(self._snapshot, happening).ready()
        if [change.step for change in ready] != [node.id]:
            return None
        self._take(self._snapshot, StepTaken(node.id))
        taken = claim.following(node.id, ready[0].attempt + 1, ready[0].input)
        return taken, spec

    def end(self, happening: Happening) -> Decided | None:
        """What follows from all happenings, of which `happening` is the last. It is decided here to save the writer
        work, because all threads of a worker wait for the writer."""
        if self._snapshot is None or not isinstance(happening, StepSucceeded):
            return None
        if self._last is not happening:
            self._take(self._snapshot, happening)
        assert self._deciding is not None
        return Decided(self._snapshot, self._deciding.plan(), self._taken)

    def _take(self, snapshot: Snapshot, happening: Happening) -> Deciding:
        if self._deciding is None:
            # The clock matters only for failures, and the store decides on those.
            self._deciding = Deciding(self._graph, snapshot, datetime.now(UTC))
        self._deciding.take(happening)
        self._last = happening
        self._taken += 1
        return self._deciding


def _repeatable(node: StepNode) -> bool:
    """Whether it may run once more than the record shows."""
    return node.work is not None and node.work.idempotent and not node.work.transactional
