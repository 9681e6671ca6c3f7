"""Steps of graphs that tests build by hand: a task, or a fan-out of one."""

from dataclasses import dataclass

from workflows.core import graph
from workflows.core.expressions import Expression
from workflows.core.graph import Retry, Work
from workflows.core.kinds.foreach import FanOut, ForEach
from workflows.core.kinds.task import Task
from workflows.core.templates import Template


@dataclass(frozen=True, init=False)
class StepNode(graph.StepNode):
    """A step that a worker runs, made from the values that the tested laws need."""

    def __init__(
        self,
        id: str,
        uses: str,
        needs: tuple[str, ...],
        with_: Template | None,
        condition: Expression | None,
        essential: bool,
        timeout: float,
        retry: Retry,
        idempotent: bool,
        transactional: bool,
        fan_out: FanOut | None = None,
    ) -> None:
        work = Work(uses, with_, timeout, retry, idempotent, transactional)
        super().__init__(id, needs, condition, essential, ForEach(fan_out, work) if fan_out else Task(work))
