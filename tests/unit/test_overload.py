"""Requests are turned away while the event loop is behind, and only then."""

import asyncio
import time
from typing import Any

from erip.overload import Overload


async def _ask(app: Overload) -> int:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": "http"}, None, send)
    return int(sent[0]["status"])


async def _served(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def test_a_process_whose_loop_is_late_turns_requests_away_and_serves_again_when_it_has_caught_up():
    async def scenario() -> tuple[int, int, int]:
        app = Overload(_served, late=0.1)
        before = await _ask(app)
        # Given a loop that is kept from its work
        time.sleep(0.6)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        behind = await _ask(app)
        # When it has nothing to do for a while
        deadline = time.monotonic() + 10
        while (after := await _ask(app)) != 200 and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return before, behind, after

    assert asyncio.run(scenario()) == (200, 429, 200)


def test_requests_that_wait_are_no_overload():
    async def waits(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.5)
        await _served(scope, receive, send)

    async def scenario() -> list[int]:
        app = Overload(waits, late=0.1)
        return await asyncio.gather(*(_ask(app) for _ in range(200)))

    assert set(asyncio.run(scenario())) == {200}
