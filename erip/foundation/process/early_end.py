"""SIGTERM before Celery handles it.

Note [Told early]
Celery hears of SIGTERM only once a worker has begun. Until then the system would end it with an error, and the first
process of a container would not hear of it at all, and would be killed when its grace is over. So a worker that has not
registered ends at once: nothing of it has begun. One that is registering goes on, and is told again when Celery
listens.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_told = False


@contextmanager
def ends_when_told() -> Iterator[None]:
    """Until the end of this block SIGTERM ends the process, with 0. For the main thread."""

    def end(*_: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def note_when_told() -> None:
    """From now on SIGTERM is noted, until somebody sets another handler, who has to be told (`tell_again`)."""

    def note(*_: object) -> None:
        global _told
        _told = True

    signal.signal(signal.SIGTERM, note)


def tell_again() -> None:
    """There is a handler now: it gets the SIGTERM that was noted, if one was."""
    global _told
    if _told:
        _told = False
        signal.raise_signal(signal.SIGTERM)
