"""Turns away runs that could not be served in time: applies Note [Admission] in `core/lanes` to what PostgreSQL knows.

One survey of all lanes serves every request of this process for CACHE_SECONDS; runs that the process itself admits
meanwhile are added to it. It does not see the latest starts of other processes: with N web processes a limit may be
exceeded by what they admit within CACHE_SECONDS. Nor does it see what was served meanwhile, which may be all: workers
take thousands of runs in that time. So before somebody is refused, a survey is made that is no older than
FRESH_SECONDS, or COSTS times as long as it takes: a full lane, where it takes longest, costs no more than that.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import structlog

from workflows import store
from workflows.conf import conf
from workflows.core.lanes import LaneLoad, Refusal, refusal, urgency
from workflows.core.states import Lane
from workflows.errors import LaneFull

log = structlog.get_logger(__name__)

#: seconds for which one survey is used, and for which one is used to refuse
CACHE_SECONDS, FRESH_SECONDS = 0.5, 0.1
#: times as long as a survey took, from its beginning until the next one before a refusal
COSTS = 10
#: seconds for which a request that would be refused waits for the survey of another
PATIENCE = 2.0


class Admission:
    """What this process knows of the lanes' load. One per process; callable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads: Mapping[str, LaneLoad] | None = None
        #: on the monotonic clock: when it was made; and the seconds that it took
        self._at = self._took = 0.0
        #: held by who makes one
        self._surveying = threading.Lock()
        #: by lane, for each start that takes a while: runs that were admitted, and are still to be inserted
        self._inserting: list[Counter[str]] = []

    def admit(self, lanes: Iterable[str]) -> None:
        """Let one run into each of `lanes` (a lane as often as it gets runs), or none. Raises LaneFull.

        Reads PostgreSQL at most every CACHE_SECONDS, more often only before a refusal, and never for critical runs
        alone. Who inserts them in more than one go does that within `inserting`.
        """
        wanted = Counter(str(lane) for lane in lanes)
        if not wanted.keys() - {Lane.CRITICAL}:
            return
        self._survey_if_older(CACHE_SECONDS, patience=0.0)
        if self._refused(wanted) is None:
            return
        self._survey_if_older(max(FRESH_SECONDS, COSTS * self._took), patience=PATIENCE)
        if (refused := self._refused(wanted)) is not None:
            runs = wanted[refused.lane]
            log.warning("lane_full", lane=refused.lane, because=refused.because, runs=runs, room=refused.room)
            raise LaneFull(refused.lane, refused.room, refused.retry_after)

    @contextmanager
    def inserting(self, lanes: Iterable[str]) -> Iterator[Counter[str]]:
        """Meanwhile these admitted runs count as waiting, whatever a new survey says. The caller takes those that it
        has inserted out of what is given."""
        left = Counter(str(lane) for lane in lanes)
        with self._lock:
            self._inserting.append(left)
        try:
            yield left
        finally:
            with self._lock:
                self._inserting = [one for one in self._inserting if one is not left]

    def _refused(self, wanted: Mapping[str, int]) -> Refusal | None:
        """Why not all of `wanted` fit in; None if they do, and they are counted as waiting from now on."""
        with self._lock:
            loads = dict(self._loads or {})
            for lane in urgency(list(wanted)):
                refused = refusal(lane, wanted[lane], loads, conf().lanes)
                if refused is not None:
                    return refused
                loads[lane] = _more(loads.get(lane), wanted[lane])
            self._loads = loads
            return None

    def forget(self) -> None:
        """Survey anew at the next request."""
        with self._lock:
            self._loads = None

    def _older(self, seconds: float) -> bool:
        with self._lock:
            return self._loads is None or time.monotonic() >= self._at + seconds

    def _survey_if_older(self, seconds: float, *, patience: float) -> None:
        """patience: seconds to wait for another thread that is at it. The first of all is waited for by everybody."""
        if not self._older(seconds):
            return
        if not self._surveying.acquire(timeout=PATIENCE if self._loads is None else patience):
            return
        try:
            if not self._older(seconds):
                return
            at = time.monotonic()
            loads = store.lane_loads(list(Lane), count_to=conf().lanes.max_backlog + 1)
            with self._lock:
                for left in self._inserting:
                    for lane, runs in left.items():
                        loads[lane] = _more(loads.get(lane), runs)
                self._loads, self._at, self._took = loads, at, time.monotonic() - at
        finally:
            self._surveying.release()


def _more(load: LaneLoad | None, runs: int) -> LaneLoad:
    load = load or LaneLoad()
    return replace(load, waiting=load.waiting + runs)


_admission = Admission()
admit = _admission.admit
inserting = _admission.inserting
forget = _admission.forget
