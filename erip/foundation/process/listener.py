"""One LISTEN connection for a whole process, shared by all threads that wait for announcements.

The connection is not pooled, because it would go back to the pool still listening, and it bypasses any pooler
(`db.direct`). It is opened for the first `Ear`, and closed when nobody has listened for a while. Announcements made
while it is down are lost: the owner of each `Ear` is called (`gap`), and looks for itself.
"""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from erip.foundation.db.deadlines import Clock, watched_clock
from erip.foundation.db.direct import connect
from erip.foundation.db.failures import is_passing
from erip.foundation.service import Service

log = structlog.get_logger(__name__)

#: seconds of silence after which the server is asked whether it is still alive, and seconds it has to answer
ASK_AFTER, ANSWER_WITHIN = 5.0, 2.0
#: seconds for which an unneeded ear stays open, and for which the connection stays open without any ear
EAR_LINGERS, LINGER = 5.0, 1.0
#: seconds before a lost connection is opened again: the first wait and the longest
BACK_OFF = (0.2, 1.0)


class Ear:
    """Somebody's interest in one channel. Close it when it ends."""

    def __init__(
        self,
        listener: "Listener",
        channel: str,
        heard: Callable[[Sequence[str]], None],
        gap: Callable[[], None],
        needed: Callable[[], bool] | None,
    ) -> None:
        self._listener = listener
        self.channel = channel
        self.heard = heard
        self.gap = gap
        self.needed = needed
        self.needed_at = time.monotonic()
        self.is_open = True
        self._listens = threading.Event()
        #: the time on the monotonic clock since which it has heard everything; None while it does not listen
        self.since: float | None = None

    def wait_until_it_listens(self, seconds: float) -> bool:
        """Whether announcements are heard by now; waits for that."""
        return self._listens.wait(seconds)

    def close(self) -> None:
        self._listener._drop(self)

    def _listening(self, since: float | None) -> None:
        self.since = since
        if since is None:
            self._listens.clear()
        else:
            self._listens.set()


def _ignore() -> None:
    """For owners that need not know of gaps."""


class Listener:
    """Any thread may call it. Announcements are passed on in the listener's own thread, so callbacks must be quick."""

    def __init__(self) -> None:
        self._service = Service(
            "listener",
            self._turn,
            back_off=BACK_OFF,
            expected=is_passing,
            clean=self._close,
            needed=lambda: bool(self._ears),
            lingers=LINGER,
        )
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._ears: list[Ear] = []
        #: used by the thread alone
        self._raw: Any = None
        self._clock: Clock | None = None
        self._listens_to: set[str] = set()
        self._lived = 0.0
        #: a byte written to it ends the wait for announcements
        self._bell, self._knocker = socket.socketpair()
        self._bell.setblocking(False)
        self._knocker.setblocking(False)

    def listen(
        self,
        channel: str,
        heard: Callable[[Sequence[str]], None],
        *,
        gap: Callable[[], None] = _ignore,
        needed: Callable[[], bool] | None = None,
    ) -> Ear:
        """Call `heard` with each payload that arrives on a channel, in order.

        gap: called whenever something may have been missed before now: at the beginning, and after each loss of the
            connection. Neither callback may take long, or raise; what they raise is logged.
        needed: the ear closes by itself when this has been false for some seconds. Its owner first makes it true, then
            checks whether the ear `is_open`, and asks for another one if not.
        """
        ear = Ear(self, channel, heard, gap, needed)
        with self._lock:
            self._ears.append(ear)
        self._service.start()
        self._knock()
        return ear

    def _drop(self, ear: Ear) -> None:
        with self._lock, contextlib.suppress(ValueError):
            ear.is_open = False
            self._ears.remove(ear)
        ear._listening(None)
        self._knock()

    def _knock(self) -> None:
        with contextlib.suppress(OSError):  # full: it rings already
            self._knocker.send(b"!")

    @property
    def thread_id(self) -> int | None:
        """The native id of the listener's thread; None while nobody listens."""
        return self._service.native_id

    def stop(self) -> None:
        """Close the connection; it is opened again when it is needed. For tests, whose databases are dropped."""
        with self._lock:
            for ear in self._ears:
                ear.is_open = False
            self._ears.clear()
        self._knock()
        self._service.stop()

    # --- the thread

    def _turn(self) -> None:
        if self._raw is None:
            self._raw = connect()
            self._clock = watched_clock(self._raw)
            self._lived = time.monotonic()
        self._follow()
        # Notifications that arrived together with an answer are there already.
        readable, _, _ = select.select([self._raw, self._bell], [], [], 0.0 if self._raw.notifies else 1.0)
        if self._bell in readable:
            with contextlib.suppress(OSError):
                self._bell.recv(4096)
        if self._raw not in readable and time.monotonic() - self._lived > ASK_AFTER:
            self._say("SELECT 1")
            self._lived = time.monotonic()
        elif self._raw in readable:
            self._lived = time.monotonic()
        self._raw.poll()
        self._pass_on()

    def _follow(self) -> None:
        """LISTEN and UNLISTEN as the ears require."""
        now = time.monotonic()
        with self._lock:
            for ear in list(self._ears):
                if ear.needed is None or ear.needed():
                    ear.needed_at = now
                elif now - ear.needed_at > EAR_LINGERS:
                    ear.is_open = False
                    if ear.needed():
                        # Its owner came meanwhile, and saw the ear open.
                        ear.is_open, ear.needed_at = True, now
                    else:
                        self._ears.remove(ear)
                        ear._listening(None)
            ears = list(self._ears)
        wanted = {ear.channel for ear in ears}
        if new := wanted - self._listens_to:
            self._say("; ".join(f"LISTEN {channel}" for channel in sorted(new)))
            self._listens_to |= new
        if gone := self._listens_to - wanted:
            self._say("; ".join(f"UNLISTEN {channel}" for channel in sorted(gone)))
            self._listens_to -= gone
        now = time.monotonic()
        for ear in ears:
            if ear.since is None:
                ear._listening(now)
                self._call(ear, ear.gap)

    def _say(self, statement: str) -> None:
        assert self._clock is not None
        with self._clock.running(ANSWER_WITHIN), self._raw.cursor() as cursor:
            cursor.execute(statement)

    def _pass_on(self) -> None:
        payloads: dict[str, list[str]] = {}
        for notify in self._raw.notifies:
            payloads.setdefault(notify.channel, []).append(notify.payload)
        self._raw.notifies.clear()
        if not payloads:
            return
        with self._lock:
            ears = list(self._ears)
        for ear in ears:
            if said := payloads.get(ear.channel):
                self._call(ear, ear.heard, said)

    def _call(self, ear: Ear, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:
            log.exception("announcement_lost", channel=ear.channel)

    def _close(self) -> None:
        """After an error, and at the end: no ear hears anything any more."""
        raw, self._raw = self._raw, None
        self._listens_to = set()
        with self._lock:
            ears = list(self._ears)
        for ear in ears:
            ear._listening(None)
        if raw is not None:
            with contextlib.suppress(Exception):
                raw.close()


#: this process's
listener = Listener()

#: connections of the parent, which a child must not close
_inherited: list[Any] = []


def _after_fork() -> None:
    _inherited.append(listener._raw)
    listener._begin_anew()


os.register_at_fork(after_in_child=_after_fork)
