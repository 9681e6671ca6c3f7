"""What came of a load, request by request and phase by phase, and how it becomes figures.

Percentiles are of right answers alone: an error is quick where a service refuses, and counts as an error instead.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..figures import Figure, Grid, Target
from ..report.table import number
from ..statistics import Summary, cumulative, summarise
from .profile import Profile, Thresholds

ALL = "all requests"
#: distributions that are charted beside that of all requests
_CHARTED = 5


def reached(name: str) -> str:
    """The series of a poll: from when its session was due until it had what it waited for."""
    return f"{name} (reached)"


@dataclass
class Series:
    """The answers to one request of the profile, or what one of its polls reached."""

    #: seconds of right answers, by phase
    right: dict[int, "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    #: (phase, what was wrong) → how often
    wrong: Counter[tuple[int, str]] = field(default_factory=Counter)

    @property
    def seconds(self) -> list[float]:
        return [one for found in self.right.values() for one in found]

    @property
    def asked(self) -> int:
        return sum(map(len, self.right.values())) + self.wrong.total()

    @property
    def errors(self) -> float:
        """In percent."""
        return 100 * self.wrong.total() / self.asked if self.asked else 0.0


class Measured:
    def __init__(self) -> None:
        #: by the name of the request
        self.series: dict[str, Series] = defaultdict(Series)
        #: by how much sessions began after they were due, in seconds: the client's own delay
        self.late: array[float] = array("d")
        #: sessions whose rest was not sent, since what came before was wrong
        self.broken_off = 0
        #: why the load ended before its time
        self.stopped: str | None = None

    def right(self, name: str, phase: int, seconds: float) -> None:
        self.series[name].right[phase].append(seconds)

    def wrong(self, name: str, phase: int, error: str) -> None:
        self.series[name].wrong[(phase, error)] += 1

    def names(self, profile: Profile) -> list[tuple[str, Thresholds]]:
        """Each series with its thresholds, in the order of the profile."""
        found = []
        for one in profile.begun:
            for asked in (one.first, *one.then):
                found.append((asked.name, asked.thresholds))
                if asked.poll is not None:
                    found.append((reached(asked.name), asked.poll.thresholds))
        return found

    def _all(self) -> Series:
        """Of all requests: what a poll reached is none."""
        whole = Series()
        for name, one in self.series.items():
            if name.endswith(reached("")):
                continue
            for phase, seconds in one.right.items():
                whole.right[phase].extend(seconds)
            whole.wrong.update(one.wrong)
        return whole

    def figures(self, profile: Profile) -> list[Figure]:
        # Not better or worse: as many as the profile asks for.
        found = [Figure("traffic.asked", f"{ALL}: sent", self.asked, "requests")]
        found += _figures("traffic", ALL, self._all(), profile.thresholds)
        if self.stopped:
            # Whatever was right before: the load that the thresholds are about was not sent.
            target = Target(">=", 1, claim=True)
            found.append(Figure("traffic.whole", "sent to its end", 0, "times", False, target, note=self.stopped))
        for name, thresholds in self.names(profile):
            found += _figures(f"traffic.{name}", name, self.series[name], thresholds)
        if self.late:
            late = summarise(self.late).p99
            note = (
                "this client's own delay, which is in every figure; much of it means that the load is too much for it"
            )
            found.append(Figure("traffic.late", "sessions begun late: p99", late, "ms", True, note=note))
        return found

    def latencies(self, profile: Profile) -> dict[str, Summary]:
        whole = self._all().seconds
        found = {ALL: summarise(whole)} if whole else {}
        for name, _ in self.names(profile):
            if seconds := self.series[name].seconds:
                found[name] = summarise(seconds)
        return found

    def distributions(self, profile: Profile) -> dict[str, list[tuple[float, float]]]:
        names = [name for name, _ in self.names(profile) if self.series[name].seconds]
        most = sorted(names, key=lambda name: -self.series[name].asked)[:_CHARTED]
        whole = self._all().seconds
        shown = {ALL: whole} | {name: self.series[name].seconds for name in names if name in most}
        return {name: cumulative(seconds) for name, seconds in shown.items() if seconds}

    @property
    def errors(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for one in self.series.values():
            for (_, error), count in one.wrong.items():
                found[error] += count
        return dict(found.most_common())

    @property
    def asked(self) -> int:
        """Requests that were due, answered or not."""
        return self._all().asked

    @property
    def answered(self) -> int:
        """Requests that were answered rightly."""
        return sum(map(len, self._all().right.values()))

    def grids(self, profile: Profile) -> list[Grid]:
        whole = self._all()
        phases = []
        for place, phase in enumerate(profile.phases):
            right = whole.right.get(place, array("d"))
            wrong = sum(count for (where, _), count in whole.wrong.items() if where == place)
            factor = f"{phase.begin:g}" if phase.begin == phase.end else f"{phase.begin:g} to {phase.end:g}"
            planned = number(profile.rate * phase.load)
            phases.append(
                [phase.name, f"{phase.seconds:g}", factor, planned, str(len(right) + wrong), *_row(wrong, right)]
            )
        load = sum(phase.load for phase in profile.phases)
        planned_of = {one.first.name: number(one.rate * load) for one in profile.begun}
        rows = [
            [name, planned_of.get(name, "-"), str(one.asked), *_row(one.wrong.total(), one.seconds)]
            for name, one in ((name, self.series[name]) for name, _ in self.names(profile))
        ]
        times = ["p50 ms", "p95 ms", "p99 ms"]
        return [
            Grid("Phases", ["phase", "s", "factor", "sessions planned", "asked", "errors %", *times], phases),
            Grid("Requests", ["request", "planned", "asked", "errors %", *times], rows),
        ]


def _row(wrong: int, right: Sequence[float]) -> list[str]:
    asked = len(right) + wrong
    share = number(100 * wrong / asked) if asked else "-"
    if not len(right):
        return [share, "-", "-", "-"]
    one = summarise(right)
    return [share, number(one.p50), number(one.p95), number(one.p99)]


def _figures(name: str, title: str, series: Series, thresholds: Thresholds) -> Iterable[Figure]:
    asked = series.asked
    times = {each: getattr(thresholds, each) for each in ("mean", "p50", "p95", "p99")}
    limited = any(limit is not None for limit in (*times.values(), thresholds.errors))
    if asked:
        target = _at_most(thresholds.errors)
        yield Figure(f"{name}.errors", f"{title}: errors", series.errors, "%", True, target, note=_worst(series))
    if limited and not any(series.right.values()):
        # What was never answered has met no threshold.
        yield Figure(f"{name}.answered", f"{title}: answered rightly", 0, "times", False, Target(">=", 1, claim=True))
    seconds = series.seconds
    if not seconds:
        return
    summary = summarise(seconds)
    for each, limit in times.items():
        if limit is not None or title == ALL:
            yield Figure(f"{name}.{each}", f"{title}: {each}", getattr(summary, each), "ms", True, _at_most(limit))


def _at_most(limit: float | None) -> Target | None:
    return None if limit is None else Target("<=", limit, claim=True)


def _worst(series: Series) -> str:
    """What went wrong most often."""
    found: Counter[str] = Counter()
    for (_, error), count in series.wrong.items():
        found[error] += count
    return ", ".join(f"{error}: {count}" for error, count in found.most_common(3))
