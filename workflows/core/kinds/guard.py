"""`guarded_by`: a step that runs only with the input that people approved (Note [Approvals] in `approval`)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from workflows.core.expressions import ExpressionError
from workflows.core.graph import Work
from workflows.core.machine import NO_ITEM
from workflows.core.source import content_hash

if TYPE_CHECKING:
    from workflows.core.machine import Deciding


def of_input(uses: str, input: Any) -> dict[str, Any]:
    """What is approved of a guarded step: what it runs, and with which input."""
    return {"uses": uses, "with": input}


def rendered(deciding: "Deciding", work: Work) -> Any:
    """The input of what a worker runs. Raises ExpressionError."""
    with_ = work.with_
    return {} if with_ is None else with_.render(deciding.constants if with_.constant else deciding.context())


def guarded(deciding: "Deciding", approval: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """The steps that this approval guards, what each would run now, and whether that can be approved.

    An input that cannot be computed now keeps nobody from approving those of the other steps: its step may never run,
    since its `if` asks for just what is missing. Approvers see why, and if it does run, it is refused.
    """
    for id, node in deciding.graph.steps.items():
        if node.how.guarded_by == approval and node.work is not None:
            try:
                yield id, of_input(node.work.uses, rendered(deciding, node.work)), True
            except ExpressionError as error:
                yield id, {"uses": node.work.uses, "with": None, "failed": str(error)}, False


def refusal(deciding: "Deciding", step: str, approval: str, work: Work, input: Any) -> Mapping[str, Any] | None:
    """Why the step must not run; None: just this was approved."""
    view = deciding.steps.get((approval, NO_ITEM))
    output = view.output if view is not None and isinstance(view.output, Mapping) else {}
    if output.get("approved") is not True:
        return {"code": "not_approved", "message": f"the approval {approval} was not given"}
    if (output.get("guards") or {}).get(step) != content_hash(of_input(work.uses, input)):
        return {"code": "not_as_approved", "message": f"the input is not the one that {approval} approved"}
    return None
