"""Steps that an approval guards: one whose input cannot be computed keeps nobody from approving the others."""

from typing import Any

import pytest

from workflows.core.states import StepState
from workflows.testing import answer, run_workflow

DEFINITION: dict[str, Any] = {
    "name": "two-orders",
    "steps": {
        "approve": {"approval": {"title": "Both", "quorum": [{"role": "ciso"}]}},
        "sure": {
            "uses": "sample.echo", "needs": ["approve"], "guarded_by": "approve", "with": {"value": "${{ input.a }}"},
        },
        "maybe": {
            "uses": "sample.echo", "needs": ["approve"], "guarded_by": "approve", "if": "has(input.b)",
            "with": {"value": "${{ input.b.c }}"},
        },
    },
}  # fmt: skip
APPROVED = answer("approve", approved=True, after="1h")


def test_a_guarded_step_that_will_not_run_costs_the_approval_nothing() -> None:
    result = run_workflow(DEFINITION, {"a": 1}, during=[APPROVED]).expect("SUCCEEDED")
    runs = result.steps["approve"].input["runs"]
    assert runs["sure"] == {"uses": "sample.echo", "with": {"value": 1}}
    assert runs["maybe"]["with"] is None
    assert "with.value" in runs["maybe"]["failed"], "approvers see what is missing"
    assert (result.steps["sure"].output["value"], result.steps["maybe"].state) == (1, StepState.SKIPPED)


@pytest.mark.parametrize("b", [{"d": 1}, None, 5])
def test_one_that_would_run_without_its_input_was_not_approved_and_does_not(b: Any) -> None:
    result = run_workflow(DEFINITION, {"a": 1, "b": b}, during=[APPROVED])
    assert result.steps["approve"].state is StepState.SUCCEEDED
    assert (result.steps["maybe"].state, result.steps["maybe"].attempts) == (StepState.FAILED, 0)
    assert result.steps["maybe"].error is not None
    assert result.steps["maybe"].error["code"] == "expression_error"


def test_both_that_can_be_computed_are_approved_as_before() -> None:
    result = run_workflow(DEFINITION, {"a": 1, "b": {"c": 2}}, during=[APPROVED]).expect("SUCCEEDED")
    assert result.steps["maybe"].output["value"] == 2
    assert set(result.steps["approve"].output["guards"]) == {"sure", "maybe"}
