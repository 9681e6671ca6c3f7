"""The looks of this process: each probe on a thread of its own, so that one that hangs delays no other.

A leader looks all the time. A web process looks only while somebody asks for the health, and for a minute after that.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import structlog

from erip.foundation.service import Service
from monitoring.conf import conf
from monitoring.core.changes import MOST, Change, Eye, What
from monitoring.core.components import Observation, State
from monitoring.probes import PATIENCE, Ask, Finding, Unanswered, probes

log = structlog.get_logger(__name__)

#: seconds for which a web process goes on looking after the last question
LINGERS = 60.0
#: seconds after a change in which all probes look more often, and seconds between two looks then: what came first shows
#: only to those who look often
ALERT_FOR, ALERT_EVERY = 30.0, 1.0


def _nothing() -> None:
    """What a probe without a connection closes."""


class Watch:
    """Looks at one component again and again. Any thread may read what was seen."""

    def __init__(
        self,
        component: str,
        ask: Ask,
        *,
        every: float,
        rest: Callable[[], float],
        needed: Callable[[], bool] | None,
        changed: Callable[[Sequence[Change]], None],
    ) -> None:
        self.component = component
        self._ask = ask
        self._every = every
        self._eye = Eye()
        self._changed = changed
        self._seen: Observation | None = None
        self._since = 0.0
        self._looked = threading.Event()
        # A probe that keeps a connection closes it when its thread ends.
        clean = getattr(ask, "close", _nothing)
        self._rest = rest
        self.service = Service(f"watch-{component}", self._turn, needed=needed, clean=clean)

    def _turn(self) -> None:
        self.look()
        self.service.rest(self._rest())

    def look(self) -> None:
        """Ask once. A probe that fails is a component that is down as far as this process can see."""
        begun = time.time()
        try:
            found = self._ask()
        except Unanswered as error:
            found = Finding(State.DOWN, f"{str(error)[:300]}.", members=error.members, about=error.about)
        except Exception as error:
            # A fault of the probe says nothing about the component.
            log.exception("probe_failed", component=self.component)
            found = Finding(State.UNKNOWN, f"The probe failed: {type(error).__name__}.")
        now = time.time()
        before = self._seen
        if before is None or before.state is not found.state:
            self._since = now
        self._seen = Observation(
            self.component,
            found.state,
            found.sentence,
            now,
            self._every + PATIENCE,
            found.identity,
            dict(found.measures),
            found.members,
            found.about,
            found.identity_of,
        )
        self._looked.set()
        if changes := self._eye.look(self._seen, begun):
            self._changed(changes)

    @property
    def seen(self) -> Observation | None:
        return self._seen

    @property
    def since(self) -> float:
        """When the state that was seen last began, as far as this process saw; seconds since the epoch."""
        return self._since

    def wait(self, seconds: float) -> None:
        """Wait for a first look, or for one that is not too old."""
        seen = self._seen
        if seen is not None and time.time() - seen.at > seen.good_for:
            self._looked.clear()
        self._looked.wait(seconds)


class Watching:
    """All looks of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: Sequence[Watch] = ()
        self._always = False
        self._asked = 0.0
        self._changes: deque[Change] = deque(maxlen=MOST)
        # A deque that is being read must not grow.
        self._noting = threading.Lock()
        self._alert_until = 0.0

    def always(self) -> None:
        """Look from now on, until the process ends."""
        self._always = True
        self._start()

    def ask(self, patience: float) -> Mapping[str, Watch]:
        """Look for a while. Returns the watches by component, after `patience` seconds at most."""
        self._asked = time.monotonic()
        watches = self._start()
        deadline = time.monotonic() + patience
        for watch in watches:
            watch.wait(max(0.0, deadline - time.monotonic()))
        return {watch.component: watch for watch in watches}

    def observations(self) -> list[Observation]:
        """What was seen so far, without waiting."""
        return [watch.seen for watch in self._watches if watch.seen is not None]

    def changes(self) -> list[Change]:
        """What changed lately, as this process saw it."""
        with self._noting:
            return list(self._changes)

    def stop(self) -> None:
        """For tests: end every look, and forget what was seen."""
        with self._lock:
            watches, self._watches, self._always = self._watches, (), False
        with self._noting:
            self._changes.clear()
        for watch in watches:
            watch.service.stop(0)
        for watch in watches:
            watch.service.join()

    def _start(self) -> Sequence[Watch]:
        with self._lock:
            if not self._watches:
                settings = conf()
                self._watches = [
                    Watch(
                        component, ask, every=settings.every, rest=self._rest, needed=self._needed, changed=self._note
                    )
                    for component, ask in probes(settings).items()
                ]
            watches = self._watches
        for watch in watches:
            watch.service.start()
        return watches

    def _note(self, changes: Sequence[Change]) -> None:
        """One of the probes saw a change. Everybody else looks at once, and more often for a while."""
        with self._noting:
            self._changes.extend(changes)
        if all(one.what is What.RECOVERED for one in changes):
            return
        asleep = time.monotonic() >= self._alert_until
        self._alert_until = time.monotonic() + ALERT_FOR
        if asleep:
            for watch in self._watches:
                watch.service.wake()

    def _rest(self) -> float:
        every = conf().every
        return min(every, ALERT_EVERY) if time.monotonic() < self._alert_until else every

    def _needed(self) -> bool:
        return self._always or time.monotonic() - self._asked < LINGERS


watching = Watching()
