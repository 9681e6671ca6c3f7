"""A standing backlog: as many runs wait at the end of a measurement as at its start, however quick the service is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .session import Session
from .workloads import Workload

#: seconds between two looks
LOOK_EVERY = 0.1
#: the backlog is filled to this many times its size, so that it does not sink below its size while more is on its way
FILLED = 1.5
#: the backlog is filled up again when this share of that is gone
GONE = 0.1


@dataclass
class Backlog:
    """Runs that were started to wait."""

    #: every run that was put into it
    ids: list[str] = field(default_factory=list)
    #: runs not ended, at each look
    sizes: list[int] = field(default_factory=list)


@asynccontextmanager
async def standing_backlog(session: Session, workload: Workload, size: int, lane: str) -> AsyncIterator[Backlog]:
    """Keep `size` runs of `workload` or more unfinished until the block ends; they are left to finish afterwards."""
    backlog = Backlog()
    full = int(size * FILLED)
    backlog.ids += await session.start_many(workload, range(full), lane=lane)
    stop = asyncio.Event()
    feeder = asyncio.create_task(_feed(session, workload, full, lane, backlog, stop))
    try:
        yield backlog
    finally:
        # Not cancelled: the runs that were accepted must be known, or they could not be checked.
        stop.set()
        await feeder


async def _feed(
    session: Session, workload: Workload, full: int, lane: str, backlog: Backlog, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        # They end about in the order in which they came. A straggler is not counted; a search for it among all runs
        # would weigh on what is measured.
        waiting = await session.truth.unfinished(backlog.ids[-2 * full :])
        backlog.sizes.append(waiting)
        if waiting < full * (1 - GONE):
            first = len(backlog.ids)
            backlog.ids += await session.start_many(workload, range(first, first + full - waiting), lane=lane)
        await asyncio.sleep(LOOK_EVERY)
