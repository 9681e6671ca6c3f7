"""The leader's duty to batches: operations on many runs, which it works off in portions between its other duties."""

from workflows import operations, store

#: seconds for batches in one round: other duties wait meanwhile
SECONDS = 0.75


def work_off() -> None:
    operations.work_off(seconds=SECONDS)


def forget() -> None:
    """Batches that ended long ago."""
    while store.forget_batches(older_than_days=store.KEEP_DAYS):
        pass
