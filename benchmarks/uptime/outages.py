"""What a fault did to the clients: pure arithmetic on the fleet's samples. Times are seconds on one clock.

Definitions, as benchmarks/README.md gives them to readers:

- A try is *disturbed* when it got no right answer, or one that took longer than NORMAL seconds.
- A disturbed try belongs to the last fault that was injected before it ended.
- *Failover*, of one operation: from the start of its first disturbed try to the end of the first right answer among
  its tries that started then or later. Of a fault: the longest of its operations. 0: no try was disturbed.
- *Recovery*: from the injection to the end of the last disturbed try that belongs to the fault: then all operations
  are normal again.
- *Gap*: the longest time in which an operation had no right answer, while it asked for one: from the last right answer
  before its first disturbed try (or the injection, if that was later) to the first right answer afterwards. Of a
  fault: the longest of all operations and outages.

The start of a try counts, and not the moment at which it failed: a request that hangs until its time is over has waited
from its start. An operation that is not right again by the end of the load counts to the end of the load.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .samples import Sample, Try

#: seconds within which an answer is normal
NORMAL = 1.0


@dataclass(frozen=True, slots=True)
class Mark:
    """A fault that was injected."""

    kind: str
    #: what was hit, e.g. "redis-2 (pid 4711)"
    victim: str
    at: float
    #: when it was healed; for a kill, the moment of the kill
    healed: float
    #: seconds from the injection until every node was in its place again; None: not seen within the time for it
    whole: float | None = None


@dataclass(frozen=True)
class Outage:
    """What one fault did."""

    mark: Mark
    failover: float
    recovery: float
    gap: float
    #: tries without a right answer, and right ones that took longer than NORMAL
    failed_tries: int
    slow_tries: int
    #: operations of which every try failed
    failed: int
    #: the failover of each operation that was disturbed
    by_operation: dict[str, float] = field(default_factory=dict)

    @property
    def noticed(self) -> bool:
        return bool(self.by_operation)


def disturbed(one: Try) -> bool:
    return not one.right or one.seconds > NORMAL


def outages(samples: Sequence[Sample], marks: Sequence[Mark], end: float) -> list[Outage]:
    """One for each mark, in their order. marks: by time. end: of the load."""
    starts = [mark.at for mark in marks]
    tries = _by_operation(samples)
    belonging: list[dict[str, list[Try]]] = [defaultdict(list) for _ in marks]
    for operation, made in tries.items():
        for one in made:
            place = bisect_right(starts, one.ended) - 1
            if place >= 0 and disturbed(one):
                belonging[place][operation].append(one)
    failed = [0] * len(marks)
    for sample in samples:
        place = bisect_right(starts, sample.ended) - 1
        if place >= 0 and not sample.right:
            failed[place] += 1
    return [
        _outage(mark, hit, {name: tries[name] for name in hit}, lost, end)
        for mark, hit, lost in zip(marks, belonging, failed, strict=True)
    ]


def calm(samples: Sequence[Sample], marks: Sequence[Mark]) -> tuple[int, int]:
    """Tries that ended before the first fault, and how many of them were disturbed though nothing had been done."""
    first = marks[0].at if marks else float("inf")
    tries = [one for sample in samples for one in sample.tries if one.ended < first]
    return len(tries), sum(map(disturbed, tries))


def _outage(mark: Mark, hit: dict[str, list[Try]], all_tries: dict[str, list[Try]], failed: int, end: float) -> Outage:
    by_operation = {
        name: _next_right(all_tries[name], min(one.began for one in tries), end) - min(one.began for one in tries)
        for name, tries in hit.items()
    }
    wrong = [one for tries in hit.values() for one in tries]
    return Outage(
        mark=mark,
        failover=max(by_operation.values(), default=0.0),
        recovery=max((one.ended - mark.at for one in wrong), default=0.0),
        gap=max((_gap(mark, tries, all_tries[name], end) for name, tries in hit.items()), default=0.0),
        failed_tries=sum(not one.right for one in wrong),
        slow_tries=sum(one.right for one in wrong),
        failed=failed,
        by_operation=by_operation,
    )


def _next_right(tries: Iterable[Try], since: float, end: float) -> float:
    """When the first right answer came to a try that started at `since` or later."""
    return min((one.ended for one in tries if one.right and one.began >= since), default=max(end, since))


def _gap(mark: Mark, hit: Sequence[Try], tries: Sequence[Try], end: float) -> float:
    """The longest time without a right answer around the disturbed tries of one operation."""
    answers = sorted(one.ended for one in tries if one.right)
    longest = 0.0
    for one in hit:
        # The answer of a slow try is itself the end of the gap that it waited in.
        place = bisect_right(answers, max(one.began, mark.at))
        before = max(mark.at, answers[place - 1]) if place else mark.at
        after = answers[place] if place < len(answers) else max(end, one.ended)
        longest = max(longest, after - before)
    return longest


def _by_operation(samples: Iterable[Sample]) -> dict[str, list[Try]]:
    found: dict[str, list[Try]] = defaultdict(list)
    for sample in samples:
        found[sample.operation] += sample.tries
    return found
