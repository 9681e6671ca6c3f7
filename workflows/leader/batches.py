"""The leader's duty to batches: operations on many runs, which it works off in portions between its other duties."""

import time

from workflows import operations, store

#: seconds for batches in one round: other duties wait meanwhile
SECONDS = 0.75


def work_off() -> bool:
    """Returns whether the time was up before the work was done: then the next round should not wait."""
    until = time.monotonic() + SECONDS
    operations.work_off(seconds=SECONDS)
    return time.monotonic() >= until


def forget() -> None:
    """Batches that ended long ago."""
    while store.forget_batches(older_than_days=store.KEEP_DAYS):
        pass
