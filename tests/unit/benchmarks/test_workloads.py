"""The reference workflows as the benchmarks know them are the shipped ones."""

import pytest
import yaml

from benchmarks.workloads import BREACH, COMPLIANCE, DEFINITIONS, THREAT, TRUST, Workload


@pytest.mark.parametrize("workload", [BREACH, COMPLIANCE, THREAT, TRUST], ids=lambda one: one.workflow)
def test_a_run_is_expected_to_have_the_steps_of_its_definition(workload: Workload) -> None:
    shipped = yaml.safe_load((DEFINITIONS / f"{workload.workflow}.yaml").read_text())
    assert set(workload.steps) == set(shipped["steps"])
    assert workload.optional <= set(workload.steps)


def test_a_breach_is_right_only_with_the_steps_that_each_needs() -> None:
    assert set(BREACH.steps) - BREACH.optional == {
        "enrich", "compliance", "posture", "quantify", "decide", "notices", "report",
    }  # fmt: skip
