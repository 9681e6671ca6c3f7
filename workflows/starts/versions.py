"""Which version a start takes, and what time it is: mostly from memory, so that a start is one round trip.

Note [Known versions]
A version never changes, but which one is the latest does, and so does time. A process remembers what it read about a
workflow and how far the database's clock is from its own, and a single start inserts its run on the condition that both
are still right (`store.start_run`), and that neither the workflow nor the lane is paused (Note [Holds] in
`engine/holds`). If they are not, nothing was inserted, and all is read anew. So a client that has
published a version never gets a run of the one before, and no run is dated by a clock that has drifted.
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from cachetools import LRUCache
from django.db import connection

from workflows.errors import UnknownVersion, UnknownWorkflow
from workflows.store.holds import IN_FORCE, Held, read_holds

#: seconds for which the database's clock is extrapolated: two clocks drift apart by some 10 ms in an hour
CLOCK_GOOD_FOR = 60.0


@dataclass(frozen=True, slots=True)
class Version:
    """What a run is started from."""

    id: int
    number: int
    #: the database's time, never ahead of it
    now: datetime
    #: whether the request named its number; otherwise it is the latest
    pinned: bool
    #: whether it comes from memory
    remembered: bool = False
    #: what is paused; of a version from memory it is not known
    holds: tuple[Held, ...] = ()


_lock = threading.Lock()
_ids: LRUCache[tuple[str, int | None], tuple[int, int]] = LRUCache(maxsize=1_000)
#: (the database's time, our time when we read it)
_clock: tuple[datetime, float] | None = None


def remembered(workflow: str, number: int | None) -> Version | None:
    """The version as this process remembers it; it has yet to be confirmed."""
    with _lock:
        known, clock = _ids.get((workflow, number)), _clock
    if known is None or clock is None:
        return None
    age = time.monotonic() - clock[1]
    if age > CLOCK_GOOD_FOR:
        return None
    return Version(*known, clock[0] + timedelta(seconds=age), number is not None, remembered=True)


def read(workflow: str, number: int | None) -> Version:
    """Raises UnknownWorkflow, UnknownVersion."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT v.id, v.number, clock_timestamp(), {IN_FORCE} FROM workflows_workflowdefinition d
            LEFT JOIN workflows_workflowversion v ON v.definition_id = d.id AND v.number = coalesce(%s, d.latest)
            WHERE d.name = %s
            """,  # noqa: S608  (a constant)
            [number, workflow],
        )
        row = cursor.fetchone()
    if row is None:
        raise UnknownWorkflow(f'There is no workflow "{workflow}". GET /api/v1/workflows lists those there are.')
    if row[0] is None:
        raise UnknownVersion(f'Workflow "{workflow}" has no version {number}.')
    id_, found, now, holds = row
    with _lock:
        _ids[workflow, number] = (id_, found)
    learn_clock(now)
    return Version(id_, found, now, number is not None, holds=read_holds(holds))


def learn_clock(now: datetime) -> None:
    """The database has just reported its time."""
    global _clock
    with _lock:
        _clock = (now, time.monotonic())


def forget() -> None:
    """Forget everything, so that it is read anew: for tests."""
    global _clock
    with _lock:
        _ids.clear()
        _clock = None
