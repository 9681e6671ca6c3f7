"""W4's steps as a user of ERIP writes them."""

from pydantic import BaseModel, ConfigDict

from benchmarks.peers import workflow
from workflows.registry import step


class Number(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


@step("w4.double")
def double(data: Number) -> Number:
    return Number(number=workflow.double(data.number))


@step("w4.add")
def add(data: Number) -> Number:
    return Number(number=workflow.add(data.number))


@step("w4.scale")
def scale(data: Number) -> Number:
    return Number(number=workflow.scale(data.number))


@step("w4.subtract")
def subtract(data: Number) -> Number:
    return Number(number=workflow.subtract(data.number))
