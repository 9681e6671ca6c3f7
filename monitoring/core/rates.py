"""From cumulative counters to rates.

Note [Lives]
A counter is cumulative within one life of what counts: a process, or a server between two starts. Differences are taken
within a life and then added up, so a restart, which begins at 0 again, is no negative rate and no peak. A life that
began since the last look counts from 0. Of a life that is older than that and was not seen before, nothing is known:
its first difference is left out.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

from monitoring.core.series import Series


@dataclass(frozen=True, slots=True)
class Counted:
    """Counters of one life.

    at: when they were read, began: when the life began (None: nobody knows), in seconds on one clock for all lives.
    """

    life: Hashable
    at: float
    began: float | None
    counters: Mapping[Series, float]


class Rates:
    """Remembers the counters of the last look."""

    def __init__(self) -> None:
        self._before: dict[Hashable, Counted] = {}
        self._last: float | None = None
        #: what was counted between the last two looks, and the seconds between them
        self.counted: dict[Series, float] = {}
        self.seconds = 0.0

    def look(self, lives: Iterable[Counted], now: float) -> dict[Series, float]:
        """The rates per second since the last look, added up over all lives. Nothing at the first look.

        now: on the same clock. A life that has not been read anew since then adds nothing.
        """
        total: defaultdict[Series, float] = defaultdict(float)
        counted: defaultdict[Series, float] = defaultdict(float)
        before, last = self._before, self._last
        self._before, self._last = {}, now
        for one in lives:
            self._before[one.life] = one
            then = before.get(one.life)
            if then is not None:
                since, counters = then.at, then.counters
            elif last is not None and one.began is not None and one.began >= last:
                since, counters = one.began, {}
            else:
                continue
            if one.at <= since:
                continue
            for series, value in one.counters.items():
                rose = max(0.0, value - counters.get(series, 0.0))
                counted[series] += rose
                total[series] += rose / (one.at - since)
        self.counted, self.seconds = dict(counted), now - last if last is not None else 0.0
        return dict(total)
