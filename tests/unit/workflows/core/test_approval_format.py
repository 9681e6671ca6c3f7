"""What is wrong with an approval in a definition is said with its place, all at once."""

from typing import Any

import pytest

from workflows.core import definition
from workflows.core.definition import DefinitionInvalid

GOOD: dict[str, Any] = {"title": "Go on", "quorum": [{"role": "ciso"}]}


def faults(approval: Any, **steps: Any) -> dict[str, str]:
    document = {"name": "x", "steps": {"approve": {"approval": approval}, **steps}}
    try:
        definition.validate(document, {})
    except DefinitionInvalid as error:
        return {fault.path: fault.message for fault in error.faults}
    return {}


def test_the_smallest_one_is_accepted() -> None:
    assert faults(GOOD) == {}
    graph = definition.validate({"name": "x", "steps": {"approve": {"approval": GOOD}}}, {})
    assert graph.level == 7, "a worker of an earlier release cannot read it"


@pytest.mark.parametrize(
    ("more", "paths"),
    [
        ({"quorum": []}, {"quorum"}),
        ({"quorum": [{"role": "a"}, {"role": "a"}]}, {"quorum[1].role"}),
        ({"quorum": [{"role": "a", "count": 20}, {"role": "b"}]}, {"quorum"}),
        ({"quorum": [{"role": "a", "count": 0}, {"role": ""}]}, {"quorum[0].count", "quorum[1].role"}),
        ({"veto": []}, {"veto"}),
        ({"on_expiry": "continue"}, {"on_expiry"}),
        ({"on_expiry": "approve", "sla": "1h"}, {"on_expiry"}),
        ({"sla": "soon", "remind": ["later"]}, {"sla", "remind[0]"}),
        ({"form": {"type": 1}}, {"form.type"}),
        (
            {"sla": "1h", "remind": ["2h"], "escalate": [{"after": "1h", "to": "ceo"}]},
            {"remind[0]", "escalate[0].after"},
        ),
        ({"title": "${{ nothing.there }}", "evidence": {"a": "${{ 1 + }}"}}, {"title", "evidence.a"}),
        ({"more": 1}, {"more"}),
    ],
)
def test_every_fault_is_named_with_its_place(more: dict[str, Any], paths: set[str]) -> None:
    found = faults({**GOOD, **more})
    assert {path.removeprefix("steps.approve.approval.") for path in found} == paths


def test_a_guard_is_an_approval_before_it() -> None:
    from tests.support.api import look_up  # noqa: F401  (registers the step)
    from workflows import registry

    def of(**step: Any) -> dict[str, str]:
        given = {"uses": "test.look_up", "with": {"cves": []}, **step}
        document = {
            "name": "x",
            "steps": {
                "other": {"uses": "test.look_up", "with": {"cves": []}},
                "approve": {"approval": GOOD},
                "send": given,
            },
        }
        try:
            definition.validate(document, registry.all())
        except DefinitionInvalid as error:
            return {fault.path: fault.message for fault in error.faults}
        return {}

    assert of(needs=["approve"], guarded_by="approve") == {}
    assert set(of(guarded_by="approve")) == {"steps.send.guarded_by"}
    assert set(of(guarded_by="aprove")) == {"steps.send.guarded_by"}
    assert set(of(needs=["other"], guarded_by="other")) == {"steps.send.guarded_by"}
    late = of(
        needs=["approve", "other"], guarded_by="approve", **{"with": {"cves": ["${{ steps.other.output.count }}"]}}
    )
    assert "steps.send.with.cves[0]" in late, "what is approved must be known when the approval begins"
    each = of(needs=["approve"], guarded_by="approve", foreach=[1])
    assert each["steps.send.guarded_by"] == "does not go with foreach"
