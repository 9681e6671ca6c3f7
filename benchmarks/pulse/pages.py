"""How long the server takes for each page of the console: at first, and while what it shows is remembered."""

import asyncio
import time
from collections.abc import Callable, Mapping

from ..client import Client

#: seconds between two rounds: longer than the pages remember what they have read of frames, health, alerts and errors
APART = 10.5
PAGES = (
    "", "health", "metrics", "metrics?range=30d&chart=erip_lane_waiting_steps~lane", "capacity", "alerts",
    "alerts/rules", "alerts/silence", "errors",
)  # fmt: skip


async def timed(
    client: Client, session: str, rounds: int, done: Callable[[int], None]
) -> tuple[Mapping[str, list[float]], list[float], int]:
    """Seconds of each page when nothing of it is remembered, of all of them when it is, and answers that were wrong."""
    first: dict[str, list[float]] = {page: [] for page in PAGES}
    again: list[float] = []
    wrong = 0
    headers = f"Cookie: sessionid={session}\r\nAccept-Encoding: gzip\r\n"
    for number in range(rounds):
        begun = time.perf_counter()
        for page in PAGES:
            for remembered in (False, True):
                asked = time.perf_counter()
                answer = await client.request("GET", f"/console/{page}", headers=headers, seconds=60)
                (again if remembered else first[page]).append(answer.ended - asked)
                wrong += answer.status != 200
        done(number + 1)
        await asyncio.sleep(max(0.0, APART - (time.perf_counter() - begun)))
    return first, again, wrong
