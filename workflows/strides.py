"""Which step a worker may go on with before the last one is recorded. See Note [Strides] in `executor`."""

from dataclasses import replace
from datetime import UTC, datetime

from workflows import registry
from workflows.core.graph import Graph, StepNode
from workflows.core.machine import NO_ITEM, Deciding, Happening, StepSucceeded, StepTaken
from workflows.errors import UnknownStep
from workflows.store import Claim


class Stride:
    """One run, as the thread sees it that goes on with it."""

    def __init__(self, graph: Graph, claim: Claim) -> None:
        self._graph = graph
        self._snapshot = claim.snapshot
        self._deciding: Deciding | None = None

    def follow(self, claim: Claim, happening: Happening) -> tuple[Claim, registry.StepSpec] | None:
        """What to go on with after `claim` came to `happening`: the one step that follows it, if it may be repeated."""
        if self._snapshot is None or not isinstance(happening, StepSucceeded) or claim.item != NO_ITEM:
            return None
        following = self._graph.dependents[claim.step]
        if len(following) != 1 or not _repeatable(self._graph.steps[claim.step]):
            return None
        node = self._graph.steps[following[0]]
        if not node.essential or not _repeatable(node) or node.fan_out is not None:
            return None
        try:
            spec = registry.get(node.uses)
        except UnknownStep:
            return None
        if spec.is_async:
            return None
        if self._deciding is None:
            # Its clock counts for failures only, and those the store decides on.
            self._deciding = Deciding(self._graph, self._snapshot, datetime.now(UTC))
        self._deciding.take(happening)
        ready = self._deciding.ready()
        if [change.step for change in ready] != [node.id]:
            return None
        self._deciding.take(StepTaken(node.id))
        taken = replace(claim, step=node.id, attempt=ready[0].attempt + 1, input=ready[0].input, snapshot=None)
        return taken, spec


def _repeatable(node: StepNode) -> bool:
    """Whether it may run once more than is recorded."""
    return node.idempotent and not node.transactional
