"""Several metrics over time, with the series that they are made of: one statement for all lines of a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from monitoring.core.frames import Reading
from monitoring.store.frames import Known
from monitoring.store.points import read_points


@dataclass(frozen=True, slots=True)
class Asked:
    """One metric. by: names of labels, a line for each of their values; none: one line in all. where: only series with
    these labels."""

    metric: str
    by: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One line. number: of what was asked. values: of the labels. rate: it is a counter's rate per second. points:
    (end of the step in seconds since the epoch, mean, low, high); what is unknown is left out."""

    number: int
    values: tuple[str, ...]
    rate: bool
    points: Sequence[tuple[float, float, float, float]]


def read_lines(
    asked: Sequence[Asked], known: Sequence[Known], reading: Reading, *, since: datetime, until: datetime
) -> list[Stretch]:
    """The lines of all that is asked, in its order; the series of a line are added up. One statement.

    known: the series that are kept. A metric that is not among them has no lines; one that is has its lines, also
    without a point.
    """
    lines: list[tuple[int, tuple[str, ...], bool, list[int]]] = []
    for number, one in enumerate(asked):
        places: dict[tuple[str, ...], list[int]] = {}
        rates: set[tuple[str, ...]] = set()
        for each in known:
            labels = dict(each.series.labels)
            if each.series.metric != one.metric or not one.where.items() <= labels.items():
                continue
            line = tuple(labels.get(name, "") for name in one.by)
            places.setdefault(line, []).append(each.id)
            if each.rate:
                rates.add(line)
        found = sorted(places.items(), key=lambda pair: min(pair[1]))
        lines += [(number, line, line in rates, own) for line, own in found]
    groups = {place: own for place, (*_, own) in enumerate(lines)}
    points = read_points(groups, reading, since=since, until=until, add_up=True)
    return [Stretch(number, line, rate, points[place]) for place, (number, line, rate, _) in enumerate(lines)]
