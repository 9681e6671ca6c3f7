"""Open dashboards: each asks for the health and a chart every few seconds, as the console does for one page."""

import asyncio
import time
from random import Random

from ..client import Client
from .frames import transactions

#: seconds between two looks of one dashboard; for how long a number of them is watched
EVERY, WATCHED = 5.0, 30.0
PATHS = ("/health", "/metrics/query?metric=erip_lane_waiting_steps&by=lane&range=6h")


async def watched(client: Client, database: str, viewers: int) -> tuple[float, int, int]:
    """Transactions per second of the database while so many look, answers that were right, and others."""
    right = wrong = 0
    random = Random(viewers)  # noqa: S311  # nosec B311 (when each of them looks)

    async def look(path: str) -> None:
        nonlocal right, wrong
        try:
            answer = await client.request("GET", path, seconds=20)
        except OSError:
            wrong += 1
            return
        right += answer.status == 200
        wrong += answer.status != 200

    async def dashboard(until: float) -> None:
        await asyncio.sleep(random.uniform(0, EVERY))
        while time.perf_counter() < until:
            for path in PATHS:
                await look(path)
            await asyncio.sleep(EVERY)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(viewers):
            tasks.create_task(dashboard(begin + WATCHED))
        # What began with them (probes of the web processes, which look while somebody asks) is not counted.
        await asyncio.sleep(EVERY)
        before, at = await asyncio.to_thread(transactions, database), time.perf_counter()
        await asyncio.sleep(max(0.0, begin + WATCHED - time.perf_counter()))
        count, seconds = await asyncio.to_thread(transactions, database) - before, time.perf_counter() - at
    return count / seconds, right, wrong
