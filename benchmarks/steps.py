"""Steps that do next to nothing, so that what is measured is the engine."""

import asyncio

from pydantic import BaseModel, Field

from workflows.registry import step


class Number(BaseModel):
    value: int


class Wait(Number):
    #: stands for a call to another system
    seconds: float = Field(default=0.1, ge=0, le=60)


@step("benchmarks.add")
def add(data: Number) -> Number:
    """Gives its number + 1: four of them in a row show that each ran once, in order."""
    return Number(value=data.value + 1)


class Numbers(BaseModel):
    values: list[Number]


@step("benchmarks.total")
def total(data: Numbers) -> Number:
    """Gives the sum of its numbers: the join of a fan-out shows that each item came through once."""
    return Number(value=sum(number.value for number in data.values))


@step("benchmarks.wait")
async def wait(data: Wait) -> Number:
    """Waits as for another system's answer, then gives its number + 1."""
    await asyncio.sleep(data.seconds)
    return Number(value=data.value + 1)
