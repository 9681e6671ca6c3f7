"""The clients: operations in a seeded random order on an open-loop schedule, until the time is over.

An operation is due whether or not those before it were answered: Note [Coordinated omission] in `schedule.py`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from random import Random

from .operations import Operation
from .samples import Sample


async def put_on(
    operations: Mapping[Operation, int],
    *,
    rate: float,
    seconds: float,
    random: Random,
    samples: list[Sample],
    done: Callable[[int], None],
    over: Callable[[], bool] = lambda: False,
) -> tuple[float, float]:
    """Ask `rate` operations per second for `seconds`, chosen by their weights; returns when it began and ended.

    over: ends it sooner, as soon as that is true.

    Each sample is added when its operation has ended. An exception of an operation other than OSError is a defect of
    the benchmark and ends it.
    """
    names, weights = list(operations), list(operations.values())

    async def one(operation: Operation, due: float) -> None:
        samples.append(Sample(operation.name, due, await operation.ask()))

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            if over():
                break
            ready = [(name, weight) for name, weight in zip(names, weights, strict=True) if name.ready()]
            (operation,) = random.choices([name for name, _ in ready], [weight for _, weight in ready])
            tasks.create_task(one(operation, due))
            # It takes what it needs (a key, a run to cancel) before the next operation is chosen from what is left.
            await asyncio.sleep(0)
            if number % max(1, int(rate)) == 0:
                done(int(due - begin))
    return begin, time.perf_counter()
