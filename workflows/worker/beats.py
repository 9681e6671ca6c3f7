"""What long steps say while they run: that they are alive, how far they are, and where the next attempt may go on.

Note [Heartbeats]
A body calls `ctx.heartbeat(progress, cursor)`. That costs it nothing but a few lines of Python: the worker remembers
the last word of each attempt, and writes all that is new once a round, in one statement, with its own heartbeat. What
is new when an attempt fails, or is handed back, is written before that is reported, so that the next attempt reads it.
What PostgreSQL could not take is written in the next
round. A killed worker loses what its steps said since its last round: about a second.
A step whose definition has `heartbeat` must be heard of that often. If it is not, its attempt has failed, as if it had
run out of time; the watchdog sees it. A thread cannot be stopped, but whatever it returns no longer counts.
The attempt is the fencing token: a former owner's word never replaces that of a later one.
"""

import threading
import time
from collections.abc import Iterable
from typing import Any

from erip.foundation import json_values
from erip.foundation.db import retry
from erip.foundation.db.failures import ERRORS, is_passing
from erip.foundation.redacting import Struck
from workflows import store
from workflows.core.claim import Claim
from workflows.store import Word

#: bytes of a progress, or of a cursor, as JSON
MAX_BYTES = 64 * 1024


class Beat:
    """What one attempt says. The body's thread speaks, others listen."""

    def __init__(self, claim: Claim, every: float, cursor: Any) -> None:
        """every: seconds within which it must be heard of again. cursor: what the attempt before left."""
        self.claim = claim
        self.every = every
        self.cursor = cursor
        #: the secrets that the body was given; what it says is kept, and shown
        self.struck: Struck | None = None
        self.last = time.monotonic()
        self._lock = threading.Lock()
        self._new: tuple[str | None, str | None] | None = None
        self._said: tuple[str | None, str | None] = (None, None)

    def say(self, progress: Any, cursor: Any) -> None:
        """Raises ValueError for what is no JSON value, or too large; the step is heard of all the same."""
        self.last = time.monotonic()
        before = self._said
        # What is not said again stays as it is.
        said = (
            before[0] if progress is None else self._text("progress", progress),
            before[1] if cursor is None else self._text("cursor", cursor),
        )
        with self._lock:
            self._said = self._new = said

    def _text(self, name: str, value: Any) -> str:
        try:
            text = json_values.dump(value)
        except json_values.NotAValue as error:
            raise ValueError(f"the {name} of a heartbeat cannot be recorded: {error}") from None
        if len(text) > MAX_BYTES:
            raise ValueError(f"the {name} of a heartbeat has {len(text):,} bytes; at most {MAX_BYTES:,} are recorded")
        told = text if isinstance(text, str) else text.decode()
        if self.struck is not None and self.struck.occurs(told):
            again = json_values.dump(self.struck.json(json_values.read(told)))
            told = again if isinstance(again, str) else again.decode()
        return told

    def silent(self, now: float) -> bool:
        return now - self.last > self.every

    def take(self) -> Word | None:
        """What is new since the last call."""
        with self._lock:
            new, self._new = self._new, None
        if new is None:
            return None
        claim = self.claim
        return Word(claim.run_id, claim.step, claim.item, claim.attempt, *new)

    def put_back(self, word: Word) -> None:
        """It could not be written: it is new still, unless more was said meanwhile."""
        with self._lock:
            if self._new is None:
                self._new = (word.progress, word.cursor)


def begin(claim: Claim, every: float | None) -> Beat | None:
    """The attempt begins. None if its step says nothing. Reads what the attempt before left, if there was one."""
    if every is None:
        return None
    cursor = None
    if claim.attempt > 1:
        # Through a failover: an attempt that has not begun has not failed.
        cursor = retry.run(lambda _: store.cursor_of(claim.run_id, claim.step, claim.item))
    return Beat(claim, every, cursor)


#: An attempt that fails waits for a round that has taken its words and not written them yet.
_writing = threading.Lock()


def write(beats: Iterable[Beat | None]) -> None:
    """Write what is new, in one statement; nothing if nothing is. What PostgreSQL cannot take for now stays new."""
    with _writing:
        taken = [(beat, word) for beat in beats if beat is not None and (word := beat.take()) is not None]
        if not taken:
            return
        try:
            store.record_words([word for _, word in taken])
        except ERRORS as error:
            if is_passing(error):
                for beat, word in taken:
                    beat.put_back(word)
            raise
