"""The state of a step's items, and their results.

Note [Items]
A step that has items has a row of its own (item -1), which is RUNNING while its items go on, and a row for each item.
A decision needs only how many items are in each state, and the items that its happenings touch: a checkpoint of 50
items of 10,000 reads and writes 50 rows. At most `Kind.places` items are active (READY or RUNNING); as some end, as
many others are released, and the store chooses which. An item that rests before its next attempt, or whose outcome is
unknown, takes no place; if none is free when it may go on, it is PENDING again.
When no item is left the step is joined: the store reads the results in the transaction that recorded the last one,
under the run's lock, so this happens exactly once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workflows.core.states import StepState

#: Larger outputs of all items together are not read for a join: the step's output would be kept in PostgreSQL and read
#: by the steps after it.
MAX_OUTPUT_BYTES = 8 * 1024 * 1024

_COUNTED_AS = {
    StepState.PENDING: "pending",
    StepState.READY: "active",
    StepState.RUNNING: "active",
    StepState.WAITING: "resting",
    StepState.UNKNOWN: "resting",
    StepState.PAUSED: "resting",
    StepState.SUCCEEDED: "succeeded",
    StepState.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class FanView:
    """How many items of a running step are in which state. A claim changes none of these numbers."""

    pending: int = 0
    #: READY or RUNNING
    active: int = 0
    #: WAITING, UNKNOWN or PAUSED
    resting: int = 0
    succeeded: int = 0
    failed: int = 0

    @classmethod
    def of(cls, counts: Mapping[StepState, int]) -> "FanView":
        numbers: dict[str, int] = {}
        for state, count in counts.items():
            if name := _COUNTED_AS.get(state):
                numbers[name] = numbers.get(name, 0) + count
        return cls(**numbers)

    @property
    def total(self) -> int:
        return self.pending + self.active + self.resting + self.succeeded + self.failed

    @property
    def over(self) -> bool:
        """Whether every item has ended."""
        return not (self.pending or self.active or self.resting)

    def moved(self, before: StepState, after: StepState, count: int = 1) -> "FanView":
        """The same, with `count` items moved from one state to another."""
        source, target = _COUNTED_AS[before], _COUNTED_AS[after]
        if source == target:
            return self
        return replace(self, **{source: getattr(self, source) - count, target: getattr(self, target) + count})


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The result of an item."""

    item: int
    state: StepState
    output: Any = None
    error: Mapping[str, Any] | None = None
