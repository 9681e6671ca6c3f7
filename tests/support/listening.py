"""The test's own LISTEN, independent of the platform's listener."""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from erip.foundation.db.deadlines import Clock, watched_clock
from erip.foundation.db.direct import connect

#: seconds of silence after which the server is asked whether it still lives, and seconds it has for the answer
ASK_AFTER, ANSWER_WITHIN = 5.0, 2.0

#: by connection: its clock, and when it was last known to live
_known: "WeakKeyDictionary[Any, tuple[Clock, float]]" = WeakKeyDictionary()


@contextmanager
def listening(channel: str) -> Iterator[Any]:
    """A connection on which `heard` tells what is announced from now on. Raises psycopg2.Error."""
    raw = connect()
    try:
        _known[raw] = (clock := watched_clock(raw), time.monotonic())
        with clock.running(ANSWER_WITHIN), raw.cursor() as cursor:
            cursor.execute(f"LISTEN {channel}")
        yield raw
    finally:
        raw.close()


def heard(raw: Any, *, seconds: float) -> list[str]:
    """The payloads that came in; waits at most `seconds` for the first.

    Raises psycopg2.Error, also when the server no longer answers, which a LISTEN alone would not notice.
    """
    readable, _, _ = select.select([raw], [], [], seconds)
    clock, lived = _known[raw]
    if not readable and time.monotonic() - lived > ASK_AFTER:
        with clock.running(ANSWER_WITHIN), raw.cursor() as cursor:
            cursor.execute("SELECT 1")
        readable = [raw]
    if readable:
        _known[raw] = (clock, time.monotonic())
    raw.poll()
    payloads = [notify.payload for notify in raw.notifies]
    raw.notifies.clear()
    return payloads
