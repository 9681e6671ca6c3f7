"""A step that is done once for each item of a list: how its items stand, and what they come to.

Note [Fan-out]
A fan-out has a row for the step (item -1), which is RUNNING while its items go on, and a row for each item. Deciding
needs of the items only how many are in which state, and those that the happenings at hand touch: a checkpoint of 50
items of 10,000 reads and writes 50 rows. At most `max_parallel` items are active (READY or RUNNING); as some end, as
many others are released, and the store chooses which. An item that rests before its next attempt, or whose outcome
is unknown, takes no place; when it may go on and there is none, it is PENDING again.
An item that fails stops nothing: all items are tried, and their results kept. When none is left the step is joined:
the store reads the results in the transaction that recorded the last one, under the run's lock, and so exactly once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workflows.core.states import StepState

#: A larger output of a fan-out is not composed: it is kept in PostgreSQL and read by the steps after it.
MAX_OUTPUT_BYTES = 8 * 1024 * 1024
#: Larger inputs of all items together are refused: a text that each item repeats grows with their number.
MAX_INPUT_BYTES = 16 * 1024 * 1024
#: failures told in a fan-out's output, and in its error
MAX_FAILURES, MAX_FAILURES_IN_ERROR = 100, 3

_COUNTED_AS = {
    StepState.PENDING: "pending",
    StepState.READY: "active",
    StepState.RUNNING: "active",
    StepState.WAITING: "resting",
    StepState.UNKNOWN: "resting",
    StepState.SUCCEEDED: "succeeded",
    StepState.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class FanView:
    """How many items of a running fan-out are in which state. A claim changes none of these numbers."""

    pending: int = 0
    #: READY or RUNNING
    active: int = 0
    #: WAITING or UNKNOWN
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
        """With `count` items gone from one state to another."""
        source, target = _COUNTED_AS[before], _COUNTED_AS[after]
        if source == target:
            return self
        return replace(self, **{source: getattr(self, source) - count, target: getattr(self, target) + count})


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What an item came to."""

    item: int
    state: StepState
    output: Any = None
    error: Mapping[str, Any] | None = None


def compose(results: Sequence[ItemResult]) -> dict[str, Any]:
    """The output of a fan-out: `results` in the order of the items, null for those that failed, and the failures."""
    failures = [result for result in results if result.state is StepState.FAILED]
    return {
        "results": [result.output for result in results],
        "total": len(results),
        "succeeded": len(results) - len(failures),
        "failed": len(failures),
        "failures": [_failure(result) for result in failures[:MAX_FAILURES]],
    }


def items_failed(results: Sequence[ItemResult]) -> dict[str, Any]:
    """The error of a fan-out of which more items failed than it tolerates."""
    failures = [_failure(result) for result in results if result.state is StepState.FAILED]
    told = "; ".join(f"item {one['item']}: {one['message']}" for one in failures[:MAX_FAILURES_IN_ERROR])
    more = f"; and {len(failures) - MAX_FAILURES_IN_ERROR} more" if len(failures) > MAX_FAILURES_IN_ERROR else ""
    return {"code": "items_failed", "message": f"{len(failures)} of {len(results)} items failed: {told}{more}"}


def _failure(result: ItemResult) -> dict[str, Any]:
    error = result.error or {}
    return {"item": result.item, "code": error.get("code"), "message": str(error.get("message", ""))[:500]}
