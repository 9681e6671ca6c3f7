"""The retries of an ordinary HTTP client: a few tries within a time budget, each with a time limit of its own.

The tries are spread over the budget: the second starts 0.6 s after the first one started, the third 2.5 s after that
(± 20 %), and never sooner than 0.1 s after the failure. So the client survives an outage of three seconds whether
requests fail at once or hang. It waits for `Retry-After` where that fits into what is left; otherwise it gives up.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random

from ..client import Answer
from .samples import Try

#: tries of one operation
TRIES = 3
#: seconds that an operation may take with all its tries
BUDGET = 5.0
#: seconds that one try may take
TRY_SECONDS = 1.75
#: seconds from the start of a try to the start of the next
PACE = (0.6, 2.5)
#: seconds from a failure to the next try, at least
BREATH = 0.1
#: the time that a try must have to be worth making, in seconds
LEAST = 0.2
#: statuses that mean "not now"
RETRIED = frozenset({429, 500, 502, 503, 504})


async def persist(
    send: Callable[[float], Awaitable[Answer]], judge: Callable[[Answer], str | None], random: Random
) -> tuple[Try, ...]:
    """Send until an answer is judged or the client gives up. `send(seconds)`: one request within that time.

    `judge` says what is wrong with an answer that is not retried (None: nothing). The client does not ask again after a
    wrong answer: it is the service's answer.
    """
    start = time.perf_counter()
    tries: list[Try] = []
    while True:
        began = time.perf_counter()
        after: float | None = None
        again = True
        try:
            answer = await send(min(TRY_SECONDS, start + BUDGET - began))
        except TimeoutError:
            error: str | None = "no answer in time"
        except OSError as problem:
            error = type(problem).__name__
        else:
            if answer.status in RETRIED:
                error, after = str(answer.status), retry_after(answer)
            else:
                error, again = judge(answer), False
        ended = time.perf_counter()
        tries.append(Try(began, ended, error))
        if not again or len(tries) == TRIES:
            return tuple(tries)
        pause = pause_before(len(tries), ended - began, after, random.uniform(0.8, 1.2))
        if ended + pause > start + BUDGET - LEAST:
            return tuple(tries)
        await asyncio.sleep(pause)


def pause_before(made: int, took: float, after: float | None, jitter: float) -> float:
    """Seconds to wait after `made` tries, the last of which took `took` seconds. `after`: what Retry-After said."""
    pause = max(BREATH, PACE[made - 1] * jitter - took)
    return max(pause, after or 0.0)


def retry_after(answer: Answer) -> float | None:
    """The seconds of Retry-After; None without one, or for a date."""
    told = answer.headers.get(b"retry-after", b"")
    return float(told) if told.isdigit() else None
