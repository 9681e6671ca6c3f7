"""Open dashboards: some ask the API for the health and a chart, some are pages of the console, which ask for their live
parts as a browser does."""

import asyncio
import time
from collections.abc import Callable, Sequence
from random import Random

from ..client import Client
from .frames import transactions

#: seconds between two looks of one dashboard; for how long a number of them is watched; and how long before that is
#: counted. A web process asks once who a viewer is, and by then most viewers have met each of the processes.
EVERY, WATCHED, OPENED = 5.0, 60.0, 25.0
PATHS = ("/health", "/metrics/query?metric=erip_lane_waiting_steps&by=lane&range=6h")
LIVE = ("", "health", "metrics", "capacity", "alerts", "errors")


class Dashboard:
    """One of them. look: asks for all that it shows, and returns for each answer whether it was right."""

    def __init__(self, client: Client, session: str | None = None, page: str = "") -> None:
        """session: of a browser with a page of the console; None: a dashboard by API."""
        self._client = client
        self._session = session
        self._page = page
        self._etag = ""

    async def look(self) -> list[bool]:
        if self._session is None:
            return [(await self._client.request("GET", path, seconds=20)).status == 200 for path in PATHS]
        headers = f"Cookie: sessionid={self._session}\r\nAccept-Encoding: gzip\r\n"
        if self._etag:
            headers += f"If-None-Match: {self._etag}\r\n"
        answer = await self._client.request(
            "GET", f"/console/{self._page}?part=live", headers=headers, seconds=20
        )  # fmt: skip
        self._etag = answer.headers.get(b"etag", b"").decode()
        return [answer.status in (200, 304)]


def by_api(client: Client, count: int) -> list[Dashboard]:
    return [Dashboard(client) for _ in range(count)]


def of_console(client: Client, sessions: Sequence[str], count: int) -> list[Dashboard]:
    return [Dashboard(client, sessions[number], LIVE[number % len(LIVE)]) for number in range(count)]


async def watched(
    database: str, dashboards: Sequence[Dashboard], tell: Callable[[str], None] = lambda _: None
) -> tuple[float, int, int]:
    """Transactions per second of the database while these look, answers that were right, and others."""
    right = wrong = 0
    random = Random(len(dashboards))  # noqa: S311  # nosec B311 (when each of them looks)

    async def open_(dashboard: Dashboard, until: float) -> None:
        nonlocal right, wrong
        await asyncio.sleep(random.uniform(0, EVERY))
        while time.perf_counter() < until:
            try:
                found = await dashboard.look()
            except OSError as error:
                tell(f"{type(error).__name__} {error}")
                found = [False]
            right += sum(found)
            wrong += len(found) - sum(found)
            await asyncio.sleep(EVERY)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for dashboard in dashboards:
            tasks.create_task(open_(dashboard, begin + WATCHED))
        # What began with them (probes of the web processes, which look while somebody asks) is not counted.
        await asyncio.sleep(OPENED)
        before, at = await asyncio.to_thread(transactions, database), time.perf_counter()
        await asyncio.sleep(max(0.0, begin + WATCHED - time.perf_counter()))
        count, seconds = await asyncio.to_thread(transactions, database) - before, time.perf_counter() - at
    return count / seconds, right, wrong
