"""Work in the background: the one way in which this platform runs a thread.

Note [Services]
A `Service` calls one function, its turn, again and again in a daemon thread until it is stopped. The thread survives
every exception of a turn: it logs it, cleans up, waits a little longer after each failure, and goes on. A thread that
ends all the same (something raised SystemExit, or the interpreter is out of memory) is reported by `dead()`, and the
probes of the process fail.

A service that is only needed now and then is given `needed`: it ends when it was not needed for a while, and `start`
begins it again. A caller that needs it first puts work where `needed` sees it and then calls `start`, never while
holding a lock that `needed` takes.

No thread survives a fork in the child. There, every service is as it was before its first `start`.
"""

import os
import threading
import time
from collections.abc import Callable
from weakref import WeakSet

import structlog

log = structlog.get_logger(__name__)

#: seconds to wait after a failed turn: the first wait and the longest; it doubles in between
BACK_OFF = (0.2, 5.0)
#: seconds within which a stopped thread ends, unless its turn takes longer
STOPS_WITHIN = 5.0


def _nothing() -> None:
    """What a service without resources cleans up."""


def _never(_: BaseException) -> bool:
    return False


class Service:
    """A turn that is taken again and again. `start` and `stop` may be called from any thread, more than once.

    name: of the thread, and in logs.
    turn: takes no arguments; its return value is ignored.
    every: seconds between two turns; 0: the turn itself waits for what it works on.
    delay: whether the first turn, too, comes only after `every`.
    back_off: seconds after a failed turn, (first, most).
    expected: whether an error is an outage that the service sits out: it is logged in one line, without a traceback.
    begin: called in the thread before the first turn. clean: called after each failed turn, and before the thread ends.
    needed: None: the service runs until it is stopped. Otherwise it also ends after `lingers` seconds of False.
    """

    def __init__(
        self,
        name: str,
        turn: Callable[[], object],
        *,
        every: float = 0.0,
        delay: bool = False,
        back_off: tuple[float, float] = BACK_OFF,
        expected: Callable[[BaseException], bool] = _never,
        begin: Callable[[], None] = _nothing,
        clean: Callable[[], None] = _nothing,
        needed: Callable[[], bool] | None = None,
        lingers: float = 0.0,
    ) -> None:
        self.name = name
        self._turn = turn
        self._every = every
        self._delay = delay
        self._back_off = back_off
        self._expected = expected
        self._begin = begin
        self._clean = clean
        self._needed = needed
        self._lingers = lingers
        self._forget_thread()
        with _all_lock:
            _all.add(self)

    def _forget_thread(self) -> None:
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # --- for others

    def start(self) -> "Service":
        """Start the service unless it is running."""
        if self._thread is not None and self._needed is None and not self._stopping.is_set():
            return self
        with self._lock:
            if self._thread is None:
                self._stopping.clear()
                self._woken.clear()
                thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                # Recorded only now that the thread runs: a process that has reached its limit of threads can try again
                # later.
                thread.start()
                self._thread = thread
        return self

    def stop(self, seconds: float | None = STOPS_WITHIN) -> bool:
        """End it after the current turn; wait for that, at most `seconds`. Returns whether it has ended.

        seconds: 0: do not wait; None: as long as it takes.
        """
        self._stopping.set()
        self._woken.set()
        return self.join(seconds)

    def join(self, seconds: float | None = STOPS_WITHIN) -> bool:
        """Wait for its end, at most `seconds`. Returns whether it has ended."""
        thread = self._thread
        if thread is None:
            return True
        if thread is not threading.current_thread():
            thread.join(timeout=seconds)
        return not thread.is_alive()

    def wake(self) -> None:
        """Take the next turn now."""
        self._woken.set()

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def has_died(self) -> bool:
        """Whether its thread is gone although nobody stopped it."""
        thread = self._thread
        return thread is not None and thread.ident is not None and not thread.is_alive() and not self._stopping.is_set()

    @property
    def native_id(self) -> int | None:
        """The thread's id in the operating system."""
        return self._thread.native_id if self._thread is not None else None

    # --- for the turn

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def rest(self, seconds: float) -> bool:
        """Wait until `wake` or `stop`, at most `seconds`. Returns whether it was woken."""
        woken = self._woken.wait(seconds)
        if woken and not self._stopping.is_set():
            self._woken.clear()
        return woken

    def forget_wakes(self) -> None:
        """Call this before looking for work: that look answers every earlier `wake`."""
        if not self._stopping.is_set():
            self._woken.clear()

    def pause(self, seconds: float) -> None:
        """Wait until `stop`, at most `seconds`, no matter who wakes it."""
        self._stopping.wait(seconds)

    # --- the thread

    def _run(self) -> None:
        cleaned = False
        try:
            self._begin()
            cleaned = self._take_turns()
        finally:
            if not cleaned:
                self._clean()

    def _take_turns(self) -> bool:
        """Until it is stopped or not needed any more. Returns whether it was cleaned up."""
        first, most = self._back_off
        rest, idle_since = first, None
        if self._delay:
            self.rest(self._every)
        while not self._stopping.is_set():
            try:
                self._turn()
                rest = first
            except Exception as error:
                if self._expected(error):
                    log.warning("service_delayed", service=self.name, error=error)
                else:
                    log.exception("service_failed", service=self.name)
                self._clean()
                self.pause(rest)
                rest = min(rest * 2, most)
            else:
                if self._every:
                    self.rest(self._every)
            if self._needed is None:
                continue
            if self._needed():
                idle_since = None
            else:
                idle_since = idle_since or time.monotonic()
                if time.monotonic() - idle_since >= self._lingers and self._leave():
                    return True
        with self._lock:
            # Under the lock: the next `start` finds everything cleaned up.
            self._clean()
            if self._thread is threading.current_thread():
                self._thread = None
        return True

    def _leave(self) -> bool:
        """Under the lock: the next `start` begins another thread, which must find everything cleaned up."""
        assert self._needed is not None
        with self._lock:
            if self._needed():
                return False
            self._clean()
            self._thread = None
            return True


def once(name: str, function: Callable[[], object]) -> threading.Thread:
    """Call a function once in a daemon thread of its own. An exception is logged with its traceback."""

    def run() -> None:
        try:
            function()
        except Exception:
            log.exception("background_call_failed", call=name)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def dead() -> list[str]:
    """The names of the services of this process whose threads are gone though nobody stopped them."""
    with _all_lock:
        services = list(_all)
    return sorted({service.name for service in services if service.has_died})


_all: "WeakSet[Service]" = WeakSet()
_all_lock = threading.Lock()


def _after_fork() -> None:
    global _all_lock
    _all_lock = threading.Lock()
    for service in list(_all):
        service._forget_thread()


os.register_at_fork(after_in_child=_after_fork)
