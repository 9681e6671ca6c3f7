"""What a thread of this process did lately: whether it ran, was blocked, or only waited for a processor.

Note [Standing still]
On a machine with more work than processors a thread may stand still for as long as a slow body takes, with nothing
wrong with what it does. The kernel says how long a thread has run, and how long it has waited for a processor; but a
wait that is still going on is added only when the thread runs again. So of a thread that could run now only what it has
run counts, and of one that is blocked all but its waits, which are over.
"""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a thread stands.

    runnable: it runs, or could. ran, waited: seconds since it began, on a processor and waiting for one
    """

    runnable: bool
    ran: float
    waited: float


def stand_of(native_id: int) -> Stand | None:
    """Where this thread of this process stands (Linux's `stat` and `schedstat`). None: there is no such thread any
    more, or the system does not say."""
    try:
        with open(f"/proc/self/task/{native_id}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
        with open(f"/proc/self/task/{native_id}/schedstat") as file:
            ran, waited = file.read().split()[:2]
        return Stand(state == "R", int(ran) / 1e9, int(waited) / 1e9)
    except (OSError, IndexError, ValueError):
        return None


def at_it(seconds: float, before: Stand | None, now: Stand | None) -> float:
    """Of these last seconds: how many the thread ran, or was blocked by what it does (Note [Standing still]).

    before: where it stood then, or earlier. Where the system does not say, all of them.
    """
    if before is None or now is None:
        return seconds
    if now.runnable:
        return min(seconds, now.ran - before.ran)
    return max(0.0, seconds - (now.waited - before.waited))


class Stopwatch:
    """How long the thread that made it has been at what it does since then. Used by that thread alone."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._waited = _waited()

    def at_it(self) -> float:
        """Seconds, without those in which it waited for a processor (Note [Standing still]); where the system does not
        say, all of them. Costs some microseconds."""
        passed, waited = time.monotonic() - self.began, _waited()
        if self._waited is None or waited is None:
            return passed
        return max(0.0, passed - (waited - self._waited))


def _waited() -> float | None:
    """Seconds for which this thread has waited for a processor since it began. It runs now, so all are counted.

    None: the system does not say.
    """
    try:
        with open("/proc/thread-self/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None
