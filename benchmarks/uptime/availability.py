"""The share of the operations that were answered rightly: by operation, and second by second."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ..figures import Moment
from .samples import Sample


@dataclass(frozen=True, slots=True)
class Availability:
    """Of one operation, or of all."""

    asked: int
    right: int
    #: with the first try
    right_at_once: int

    @property
    def percent(self) -> float:
        """100 where nothing was asked."""
        return 100.0 * self.right / self.asked if self.asked else 100.0

    @property
    def percent_at_once(self) -> float:
        return 100.0 * self.right_at_once / self.asked if self.asked else 100.0


def availability(samples: Sequence[Sample]) -> Availability:
    return Availability(
        len(samples), sum(sample.right for sample in samples), sum(sample.right_at_once for sample in samples)
    )


def by_operation(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """By name."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.operation].append(sample)
    return dict(sorted(found.items()))


def errors(samples: Sequence[Sample]) -> dict[str, int]:
    """What went wrong in the end, most frequent first."""
    return dict(Counter(sample.error for sample in samples if sample.error is not None).most_common())


def seconds(samples: Sequence[Sample], begin: float, end: float) -> list[Moment]:
    """One for each second from `begin`, the last of them begun before `end`."""
    buckets: list[list[Sample]] = [[] for _ in range(max(0, int(end - begin)) + 1)]
    for sample in samples:
        place = int(sample.due - begin)
        if 0 <= place < len(buckets):
            buckets[place].append(sample)
    return [
        Moment(
            len(bucket),
            sum(sample.right for sample in bucket),
            sum(sample.right_at_once for sample in bucket),
            max((sample.seconds for sample in bucket), default=0.0),
        )
        for bucket in buckets
    ]
