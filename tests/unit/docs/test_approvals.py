"""The example of the page about approvals runs in the test kit, to each of its ends."""

from typing import Any

import pytest

from tests.unit.docs.blocks import ROOT
from workflows.core.states import RunState, StepState
from workflows.testing import answer, run_workflow

PAGE = ROOT / "docs/how-to/approvals.md"
DEFINITION = PAGE.read_text().partition("```yaml\n")[2].partition("```")[0]
INPUT = {"customers": 12, "text": "We are sorry."}


@pytest.mark.parametrize(
    ("during", "state", "code"),
    [
        ([answer("approve", approved=True, after="30m")], RunState.SUCCEEDED, None),
        ([answer("approve", approved=False, after="30m")], RunState.FAILED, "approval_refused"),
        ([], RunState.FAILED, "approval_expired"),
        ([answer("approve", approved=True, after="5h")], RunState.FAILED, "approval_expired"),
    ],
)
def test_the_example_ends_as_people_decide(during: list[Any], state: RunState, code: str | None) -> None:
    result = run_workflow(DEFINITION, INPUT, {"notify.send": {"delivered": 12}}, during=during)
    assert result.state is state
    assert (result.error or {}).get("cause", {}).get("code") == code
    approve = result.steps["approve"]
    assert approve.input["title"] == "Notify 12 customers"
    assert approve.input["runs"] == {
        "send": {"uses": "notify.send", "with": {"subject": "About your data", "message": "We are sorry."}}
    }
    if state is RunState.SUCCEEDED:
        assert result.output[0]["by"] == "user:test"
    else:
        assert result.steps["send"].state is not StepState.SUCCEEDED, "what it guards has not run"
