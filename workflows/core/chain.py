"""Workflows that are one chain of plain steps: what the machine decides for them, compiled once for each version.

Note [Chains]
`machine.decide` is the law: it takes any graph and whatever happens to it. Of a graph that is a chain, and whose steps
all succeed at their first attempt, the law says very little: each step's input is its template in the context of those
before it, and the run's output is the output's template at the end. `follow` says just that, without looking at the
graph again after each step (a property holds the two together, over random chains). As soon as anything else happens
(a failure, a cancellation, an expression that fails), the machine decides.

A step is plain if workers run it once, it may be repeated, nothing decides whether it runs, and the run waits for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflows.core.cost import BUDGET_KEY, Budget
from workflows.core.states import RunState, StepState
from workflows.core.templates import Template

if TYPE_CHECKING:
    from workflows.core.graph import Graph, StepNode, Work

#: steps of one chain, at most: a long one holds up those that share its chunk
LONGEST = 20

_PENDING: dict[str, Any] = {"output": None, "status": str(StepState.PENDING)}
_SUCCEEDED = str(StepState.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain."""

    id: str
    work: "Work"


@dataclass(frozen=True, slots=True)
class Chain:
    links: tuple[Link, ...]
    #: the template of the run's output; None: it has none
    output: Template | None


def chain_of(graph: "Graph") -> Chain | None:
    """None for a graph that is anything else. `Graph.chain` keeps it."""
    links: list[Link] = []
    before: tuple[str, ...] = ()
    for node in graph.steps.values():
        if node.needs != before or not _plain(node) or len(links) == LONGEST:
            return None
        assert node.work is not None
        links.append(Link(node.id, node.work))
        before = (node.id,)
    return Chain(tuple(links), graph.output) if links else None


def _plain(node: "StepNode") -> bool:
    work = node.work
    return (
        node.how.plain
        and work is not None
        and node.condition is None
        and node.essential
        and work.idempotent
        and not work.transactional
    )


class Walk:
    """One run on its way along a chain: what its expressions see."""

    __slots__ = ("_budget", "_chain", "_context", "_steps")

    def __init__(self, chain: Chain, run: Mapping[str, Any], input: Any, budget: Budget) -> None:
        """run: `id`, `workflow`, `business_key` and `created_at` as expressions read them."""
        self._chain = chain
        self._budget = budget
        self._steps: dict[str, dict[str, Any]] = {link.id: _PENDING for link in chain.links}
        self._context: dict[str, Any] = {
            BUDGET_KEY: budget,
            "input": input,
            "steps": self._steps,
            # The first input is rendered when the run is accepted.
            "run": {**run, "status": str(RunState.PENDING)},
        }

    def input_of(self, link: Link) -> Any:
        """The input of the next step. Raises ExpressionError."""
        self._budget.renew()
        return {} if link.work.with_ is None else link.work.with_.render(self._context)

    def succeeded(self, link: Link, output: Any) -> None:
        self._steps[link.id] = {"output": output, "status": _SUCCEEDED}
        self._context["run"]["status"] = str(RunState.RUNNING)

    def output(self) -> Any:
        """The run's output, once all steps have succeeded. Raises ExpressionError."""
        self._budget.renew()
        return None if self._chain.output is None else self._chain.output.render(self._context)
