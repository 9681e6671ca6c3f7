"""The hub: a thread that reads the log for all listeners of a process. It lives while there are any, and a bit
longer."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from erip.access.rules import Rule
from erip.access.scopes import Scope
from erip.access.standing import where
from erip.foundation.db.connections import drop_connection
from erip.foundation.process.background import database_service
from erip.foundation.process.listener import Ear, listener
from workflows.core import cursors, lifecycle, patterns
from workflows.engine.spaces import sources_in
from workflows.events.errors import TooManyStreams
from workflows.events.store import streams
from workflows.events.store.streams import LOGGED_CHANNEL, Line
from workflows.events.streaming.mailbox import Filter, Mailbox

#: what listening to the log needs, when a stream begins and while it lasts
LISTEN: Final = Rule(Scope.VIEWER, ("events.view_logentry",))
#: seconds between two looks when nothing is announced; shorter at first, until consumers learn that somebody listens
LOOK_EVERY: Final = 1.0
LOOK_AT_FIRST: Final = 0.1
FIRST_SECONDS: Final = 3.0
#: seconds that it goes on without listeners
LINGER: Final = 5.0
#: events of a partition that are read at once
PAGE: Final = 500
#: seconds between two reports of who listens to what, and between two checks that they still may
SAY_EVERY: Final = 20.0
ASK_EVERY: Final = 10.0
#: seconds that a listener that is too slow gets to take the rest
GRACE: Final = 30.0
#: seconds that the first listener waits for the hub
PATIENCE: Final = 5.0


def message(line: Line, cursor: str) -> bytes:
    """An event in the format of server-sent events. Its id is the cursor to continue from."""
    data = "\ndata: ".join(line.text.splitlines())
    return f"id: {cursor}\ndata: {data}\n\n".encode()


class Hub:
    """Thread-safe."""

    def __init__(self, *, limit: int, limit_of_one: int, room: int) -> None:
        """limit: listeners at once, of all callers and of one. room: events that may wait for one."""
        self._limit = limit
        self._limit_of_one = limit_of_one
        self._room = room
        self._lock = threading.Lock()
        self._mailboxes: set[Mailbox] = set()
        #: open streams of each caller
        self._open: dict[str, int] = {}
        self._service = database_service(
            "stream-hub", self._turn, needed=self._has_listeners, lingers=LINGER, clean=self._clean, back_off=(0.3, 1.0)
        )
        self._ear: Ear | None = None
        #: on the monotonic clock: when it began to read
        self._begun = 0.0
        self._ready = threading.Event()
        self._closing = ""
        #: by partition: the hub's position
        self._positions: dict[int, int] = {}
        self._say_at = 0.0
        self._ask_at = 0.0

    # --- for listeners

    def enter(self, principal: str) -> None:
        """Count a stream that begins. Raises TooManyStreams. `leave` when it has ended."""
        with self._lock:
            if sum(self._open.values()) >= self._limit:
                raise TooManyStreams("This process serves as many streams as it may. Connect again later.")
            if self._open.get(principal, 0) >= self._limit_of_one:
                raise TooManyStreams(f"You have {self._limit_of_one} streams open. Close one that is not needed.")
            self._open[principal] = self._open.get(principal, 0) + 1

    def leave(self, principal: str) -> None:
        with self._lock:
            count = self._open.get(principal, 0) - 1
            if count > 0:
                self._open[principal] = count
            else:
                self._open.pop(principal, None)

    def begin(self) -> None:
        """Start reading. Blocks until the hub knows its position. Raises TooManyStreams if it cannot find it."""
        self._service.start()
        if not self._ready.wait(PATIENCE):
            raise TooManyStreams("The log cannot be read at the moment. Connect again.", retry_after=2)

    def reached(self, cursor: Mapping[int, int]) -> bool:
        """Whether the hub is at this cursor or past it: a listener that is further on would be sent events twice."""
        with self._lock:
            return all(self._positions.get(number, 0) >= position for number, position in cursor.items())

    def join(self, wanted: Filter, principal: str) -> Mailbox:
        """From now on, put what the hub reads into this mailbox. In the listener's event loop; after `begin`."""
        with self._lock:
            mailbox = Mailbox(wanted, principal, room=self._room, joined=self._positions)
            if self._closing:
                mailbox.close(self._closing)
            self._mailboxes.add(mailbox)
            self._say_at = 0.0
        return mailbox

    def part(self, mailbox: Mailbox) -> None:
        with self._lock:
            self._mailboxes.discard(mailbox)

    def cursor_of_idle(self, mailbox: Mailbox) -> str | None:
        """The hub's position, if the listener has been sent everything before it."""
        with self._lock:
            return cursors.encode(self._positions) if mailbox.idle and mailbox in self._mailboxes else None

    # --- for the process

    def close(self, reason: str) -> None:
        """End all streams. A stream that begins later ends at once too, and its client connects again: to another
        process, if the load balancer has noticed by then. (An error instead would end a browser's EventSource for
        good.)"""
        with self._lock:
            self._closing = reason
            for mailbox in self._mailboxes:
                mailbox.close(reason)

    def stop(self) -> None:
        """For tests: end the thread."""
        self._service.stop(10)

    # --- its thread

    def _has_listeners(self) -> bool:
        with self._lock:
            return bool(self._open or self._mailboxes)

    def _turn(self) -> None:
        if self._ear is None:
            self._begun = time.monotonic()
            self._ear = listener.listen(LOGGED_CHANNEL, lambda _: self._service.wake(), gap=self._service.wake)
        if not self._ready.is_set():
            if not self._ear.wait_until_it_listens(PATIENCE):
                return
            # This comes after LISTEN, so that what is logged from here on is either read or announced.
            self._positions = streams.ends()
            self._ready.set()
        self._catch_up()
        self._duties()
        young = time.monotonic() - self._begun < FIRST_SECONDS
        self._service.rest(LOOK_AT_FIRST if young else LOOK_EVERY)

    def _clean(self) -> None:
        """Clean up after an error, and when nobody listens any more. After an error it continues at its position."""
        drop_connection()
        ear = None
        with self._lock:
            if not self._open and not self._mailboxes:
                self._ready.clear()
                ear, self._ear = self._ear, None
        if ear is not None:
            ear.close()

    def _catch_up(self) -> None:
        more = True
        while more and not self._service.is_stopping:
            lines = streams.read(self._positions, None, most=PAGE)
            more = len(lines) >= PAGE
            if lines:
                self._distribute(lines)

    def _distribute(self, lines: Sequence[Line]) -> None:
        with self._lock:
            batches: dict[Mailbox, list[bytes]] = {}
            for line in lines:
                self._positions[line.partition] = line.position + 1
                takers = [mailbox for mailbox in self._mailboxes if mailbox.filter.takes(line)]
                if takers:
                    written = message(line, cursors.encode(self._positions))
                    for mailbox in takers:
                        batches.setdefault(mailbox, []).append(written)
            for mailbox, batch in batches.items():
                mailbox.send(batch)

    def _duties(self) -> None:
        now = time.monotonic()
        with self._lock:
            mailboxes = list(self._mailboxes)
        if not mailboxes:
            return
        if now >= self._say_at:
            self._say_at = now + SAY_EVERY
            streams.see_types(lifecycle_types(mailbox.filter for mailbox in mailboxes))
        if now >= self._ask_at:
            self._ask_at = now + ASK_EVERY
            welcome = where({mailbox.principal for mailbox in mailboxes}, LISTEN)
            # What they were granted may have changed, and so may the workflows that are in their spaces.
            sources = {spaces: sources_in(spaces) for spaces in {*welcome.values()}}
            for mailbox in mailboxes:
                if mailbox.principal not in welcome:
                    mailbox.close("access_ended")
                elif (heard := sources[welcome[mailbox.principal]]) != mailbox.filter.sources:
                    mailbox.filter = replace(mailbox.filter, sources=heard)
        for mailbox in mailboxes:
            if mailbox.full_since is not None and now - mailbox.full_since > GRACE:
                mailbox.cancel()


def lifecycle_types(filters: Iterable[Filter]) -> set[str]:
    """The lifecycle events that these filters let through."""
    wanted: set[str] = set()
    for each in filters:
        wanted |= {kind for kind in lifecycle.TYPES if not each.types or patterns.any_matches(each.types, kind)}
    return wanted
