"""Operations on many runs, as a caller of the API sees them: asked for, and followed until each run has an outcome."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from .errors import BenchmarkError
from .session import Session

#: seconds between two looks at a batch
LOOK_EVERY = 0.05


async def done_with(session: Session, batch: Mapping[str, Any], *, look_every: float = LOOK_EVERY) -> Mapping[str, int]:
    """Wait until the batch is done. Returns its runs by outcome."""
    deadline = time.monotonic() + session.options.patience
    while True:
        now = await answer_of(session, "GET", f"/batches/{batch['id']}", None)
        if now["status"] == "done":
            return dict(now["outcomes"])
        if time.monotonic() > deadline:
            raise BenchmarkError(f"A batch was not done in time: {now}")
        await asyncio.sleep(look_every)


async def answer_of(session: Session, method: str, path: str, body: Any) -> dict[str, Any]:
    answer = await session.client.request(method, path, body)
    if answer.status not in (200, 202):
        raise BenchmarkError(f"{method} {path} was answered {answer.status}: {answer.body[:300]!r}")
    return dict(answer.json())
