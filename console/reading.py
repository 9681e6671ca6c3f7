"""Metrics over time, read once for all viewers: the lines of several charts cost one statement together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from console.shared import Shared
from monitoring import store
from monitoring.core.frames import TICK, Reading
from monitoring.store.lines import Asked, read_lines

#: lines of one chart: more cannot be told apart
MOST_LINES = 8
#: seconds for which the list of series counts
SERIES_EVERY = 30.0

series = Shared(store.read_series, every=SERIES_EVERY)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chart's question. by: names of labels, a line for each of their values; none: one line in all. where: only
    series with these labels."""

    metric: str
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """at: the end of its step, in seconds since the epoch."""

    at: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """name: the values of the labels, or "" for the one line of a chart without."""

    name: str
    points: tuple[Point, ...]

    @property
    def last(self) -> float | None:
        return self.points[-1].mean if self.points else None

    @property
    def mean(self) -> float | None:
        return sum(point.mean for point in self.points) / len(self.points) if self.points else None

    @property
    def low(self) -> float | None:
        return min((point.low for point in self.points), default=None)

    @property
    def high(self) -> float | None:
        return max((point.high for point in self.points), default=None)

    def thinned(self, step: int) -> "Line":
        """The same in longer steps: the mean of what falls into each."""
        found: dict[int, list[Point]] = {}
        for point in self.points:
            found.setdefault(math.ceil(point.at / step) * step, []).append(point)
        return Line(
            self.name,
            tuple(
                Point(
                    float(at),
                    sum(one.mean for one in some) / len(some),
                    min(one.low for one in some),
                    max(one.high for one in some),
                )
                for at, some in found.items()
            ),
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """The lines of one question. known: whether the metric is kept at all. rate: it is a counter's rate per second.
    hidden: lines that are not among the MOST_LINES largest."""

    wanted: Wanted
    lines: tuple[Line, ...]
    known: bool
    rate: bool
    hidden: int = 0


def until_now(now: datetime) -> datetime:
    """The end of the newest tick whose frame is there by now."""
    return datetime.fromtimestamp((now.timestamp() - 3) // TICK * TICK, UTC)


def read(wanted: Sequence[Wanted], reading: Reading, *, since: datetime, until: datetime) -> list[Picture]:
    """The pictures of these questions, in their order, in one statement. Series of one line are added up. Raises
    django.db.Error."""
    asked = [Asked(one.metric, one.by, dict(one.where)) for one in wanted]
    lines: list[list[Line]] = [[] for _ in wanted]
    rates = [False] * len(wanted)
    known = series.look().value
    if known is None:
        known = store.read_series()
    for found in read_lines(asked, known, reading, since=since, until=until):
        name = " · ".join(value or "none" for value in found.values)
        lines[found.number].append(Line(name, tuple(Point(*point) for point in found.points)))
        rates[found.number] = rates[found.number] or found.rate
    return [_picture(one, here, rate) for one, here, rate in zip(wanted, lines, rates, strict=True)]


def _picture(wanted: Wanted, lines: Sequence[Line], rate: bool) -> Picture:
    seen = [line for line in lines if line.points]
    largest = sorted(seen, key=lambda line: line.high or 0.0, reverse=True)[:MOST_LINES]
    shown = tuple(line for line in seen if line in largest)
    return Picture(wanted, shown, bool(lines), rate, len(seen) - len(shown))


def span_of(reading: Reading, span: int, now: datetime) -> tuple[datetime, datetime]:
    """(since, until) of the last `span` seconds, on the grid of the reading's steps: so that a point that has been
    drawn does not change when the next one comes, but for the newest."""
    until = until_now(now)
    since = datetime.fromtimestamp((until.timestamp() - span) // reading.step * reading.step, UTC)
    return since, until
