"""Turns away runs that could not be served in time: applies Note [Admission] in `core/lanes` to what PostgreSQL knows.

One survey of all lanes serves every request of this process for CACHE_SECONDS; runs that the process itself admits
meanwhile are added to it. It does not see the latest starts of other processes: with N web processes a limit may be
exceeded by what they admit within CACHE_SECONDS. Nor does it see what was served meanwhile, which may be all: workers
take thousands of runs in that time. So nobody is refused on a survey that is older than FRESH_SECONDS.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import structlog

from workflows import store
from workflows.conf import conf
from workflows.core.lanes import LaneLoad, Refusal, refusal, urgency
from workflows.core.states import Lane
from workflows.errors import LaneFull

log = structlog.get_logger(__name__)

#: seconds for which one survey is used
CACHE_SECONDS = 0.5
#: and for which runs are refused on it. However many are refused, there are no more surveys than that
FRESH_SECONDS = 0.1


class Admission:
    """What this process knows of the lanes' load. One per process; callable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads: Mapping[str, LaneLoad] | None = None
        #: on the monotonic clock: when it was made
        self._at = 0.0
        self._surveying = False

    def admit(self, lanes: Iterable[str]) -> None:
        """Let one run into each of `lanes` (a lane as often as it gets runs), or none. Raises LaneFull.

        Reads PostgreSQL at most every CACHE_SECONDS, before a refusal every FRESH_SECONDS, and never for critical runs
        alone.
        """
        wanted = Counter(str(lane) for lane in lanes)
        if not wanted.keys() - {Lane.CRITICAL}:
            return
        self._survey_if_older(CACHE_SECONDS)
        if self._refused(wanted) is None:
            return
        self._survey_if_older(FRESH_SECONDS)
        if (refused := self._refused(wanted)) is not None:
            runs = wanted[refused.lane]
            log.warning("lane_full", lane=refused.lane, because=refused.because, runs=runs, room=refused.room)
            raise LaneFull(refused.lane, refused.room, refused.retry_after)

    def _refused(self, wanted: Mapping[str, int]) -> Refusal | None:
        """Why not all of `wanted` fit in; None if they do, and they are counted as waiting from now on."""
        with self._lock:
            loads = dict(self._loads or {})
            for lane in urgency(list(wanted)):
                refused = refusal(lane, wanted[lane], loads, conf().lanes)
                if refused is not None:
                    return refused
                load = loads.get(lane, LaneLoad())
                loads[lane] = replace(load, waiting=load.waiting + wanted[lane])
            self._loads = loads
            return None

    def forget(self) -> None:
        """Survey anew at the next request."""
        with self._lock:
            self._loads = None

    def _survey_if_older(self, seconds: float) -> None:
        with self._lock:
            known = self._loads is not None
            if known and (time.monotonic() < self._at + seconds or self._surveying):
                return  # good enough, or another thread is at it
            self._surveying = True
        try:
            at = time.monotonic()
            loads = store.lane_loads(list(Lane), count_to=conf().lanes.max_backlog + 1)
            with self._lock:
                self._loads, self._at = loads, at
        finally:
            self._surveying = False


_admission = Admission()
admit = _admission.admit
forget = _admission.forget
