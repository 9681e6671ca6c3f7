"""SIGTERM before Celery handles it.

Note [Told early]
Celery hears of SIGTERM only once a worker has begun. Until then the system would end it with an error, and the first
process of a container would not hear of it at all, and would be killed when its grace is over. So
`python -m erip.worker` answers from its first line on, and one handler is put in another's place, never taken away:

- while it loads, from the first line of `erip/worker.py` until the app's part begins (`begin` in `workflows.tasks`), it
  ends at once with 0: there is nothing to tidy up.
- while it waits for its database and fills its caches (`ends_when_told`), it ends with 0 as a process does.
- while it registers (`note_when_told`), it goes on, and is told again when Celery listens, which has its own handler
  from then on.

What comes before that first line, Python's own start of some hundredths of a second, nobody hears. Nor does
`celery -A erip worker`, until `begin`.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_told = False


@contextmanager
def ends_when_told() -> Iterator[None]:
    """Until the end of this block SIGTERM ends the process, with 0, and so does one that was noted before. For the main
    thread."""

    def end(*_: object) -> None:
        global _told
        # Where it interrupts a finalizer or a callback of C code, Python prints the exception and drops it.
        _told = True
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        if _told:
            raise SystemExit(0)
        yield
        if _told:
            raise SystemExit(0)
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
