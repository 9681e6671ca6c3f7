"""Requests on an open-loop schedule.

Note [Coordinated omission]: request i is due at start + i / rate, whether or not those before it were answered, and its
latency counts from when it was due. When a service (or a client) stalls for a second, every request that fell into that
second counts the delay, as its users would. See Gil Tene, "How NOT to Measure Latency" (2015).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass

from .client import Answer

#: requests that are late, after which those begun so far get their turn
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. Times are time.perf_counter()."""

    index: int
    due: float
    ended: float
    #: None: no answer
    answer: Answer | None
    #: what went wrong, as a short name; None: nothing
    error: str | None

    @property
    def seconds(self) -> float:
        return self.ended - self.due


async def open_loop(
    count: int, rate: float | None, send: Callable[[int], Awaitable[Answer]], *, done: Callable[[int], None]
) -> list[Sample]:
    """`count` requests at `rate` per second, or all due at once where it is None. `done(n)`: n have an answer."""
    samples: list[Sample] = []
    start = time.perf_counter() + 0.01

    async def one(index: int, due: float) -> None:
        answer, error = None, None
        try:
            answer = await send(index)
            error = None if answer.status == 200 else str(answer.status)
        except TimeoutError:
            error = "timeout"
        except OSError as problem:
            error = type(problem).__name__
        ended = answer.ended if answer is not None else time.perf_counter()
        samples.append(Sample(index, due, ended, answer, error))
        done(len(samples))

    await begin_each((start + (index / rate if rate else 0.0) for index in range(count)), one)
    return sorted(samples, key=lambda sample: sample.index)


async def begin_each(dues: Iterable[float], begin: Callable[[int, float], Coroutine[None, None, None]]) -> None:
    """`begin(number, due)` as a task of its own for each moment (time.perf_counter(), ascending), when it is due,
    however long those before it take. Returns when all have ended; the first exception ends the others."""
    async with asyncio.TaskGroup() as tasks:
        for index, due in enumerate(dues):
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            tasks.create_task(begin(index, due))
            if early <= 0 and index % AT_ONCE == AT_ONCE - 1:
                # Behind its schedule, it would otherwise not let a single request be sent before it has caught up.
                await asyncio.sleep(0)


def achieved_rate(samples: Sequence[Sample]) -> float:
    """Answers without an error per second, from the first due request to the last answer."""
    right = [sample for sample in samples if sample.error is None]
    if not right:
        return 0.0
    lasted = max(sample.ended for sample in right) - min(sample.due for sample in samples)
    return len(right) / lasted if lasted > 0 else 0.0


def error_counts(samples: Sequence[Sample]) -> dict[str, int]:
    return dict(Counter(sample.error for sample in samples if sample.error))
