"""W4's steps as a user of ERIP writes them."""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from benchmarks.peers import workflow
from workflows.registry import step


class Number(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


def _register(name: str, body: Callable[[int], int]) -> None:
    """`w4.<name>`, and `w4.<name>_once`: the same as a step whose every checkpoint is committed synchronously."""

    def run(data: Number) -> Number:
        return Number(number=body(data.number))

    step(f"w4.{name}")(run)
    step(f"w4.{name}_once", idempotent=False)(run)


_register("double", workflow.double)
_register("add", workflow.add)
_register("scale", workflow.scale)
_register("subtract", workflow.subtract)
