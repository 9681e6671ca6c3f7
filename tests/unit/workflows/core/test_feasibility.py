"""A definition whose steps may take longer than it gives them is published with a warning that says so."""

import pytest
import yaml

from tests.unit.workflows.core.test_paths import STEPS
from workflows.core.definition import DefinitionInvalid, validate
from workflows.core.feasibility import longest, warnings
from workflows.testing import run_workflow, takes


def told(steps: str, timeout: str = "1h") -> list[str]:
    graph = validate(yaml.safe_load(f"name: a\ntimeout: {timeout}\nsteps:\n{steps}"), STEPS)
    return [str(warning) for warning in warnings(graph)]


ONE = "timeout: 10m, retry: {max_attempts: 3, backoff: 5m, factor: 2, max_delay: 6m}"


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [
        (f"  a: {{uses: any, {ONE}}}", 3 * 600 + 300 + 360),
        ("  a: {uses: any, timeout: 10m, retry: {max_attempts: 1}}", 600),
        ("  a: {wait: {for: 72h}}\n  b: {wait: {signal: go, timeout: 24h}, needs: [a]}", 96 * 3600),
        ("  a: {wait: {for: 2h}}\n  b: {wait: {for: 3h}}\n  c: {wait: {for: 1h}, needs: [a, b]}", 4 * 3600),
        ("  a: {wait: {for: 2h}}\n  b: {wait: {for: 9h}, needs: [a], essential: false}", 2 * 3600),
        ("  a: {wait: {signal: go}}", 0),
        ('  a: {wait: {for: "${{ input.x }}"}}', 0),
        ("  a: {wait: {any: [{for: 2h}, {signal: go}]}}", 2 * 3600),
        ("  a: {wait: {all: [{for: 2h}, {for: 3h}]}}", 3 * 3600),
        ("  a: {wait: {all: [{for: 2h}, {signal: go}], timeout: 5h}}", 5 * 3600),
        (
            "  a: {uses: any, foreach: [1, 2, 3], max_parallel: 2, timeout: 10m, retry: {max_attempts: 1}}",
            1200,
        ),
        ("  a: {uses: any, foreach: '${{ input.x }}', timeout: 10m, retry: {max_attempts: 1}}", 600),
    ],
)
def test_the_longest_way_is_that_of_timeouts_rests_and_waits(steps: str, seconds: float) -> None:
    graph = validate(yaml.safe_load(f"name: a\nsteps:\n{steps}"), STEPS)
    assert longest(graph)[0] == seconds


def test_a_run_that_may_take_too_long_is_named_with_its_way() -> None:
    steps = (
        "  a: {wait: {for: 72h}}\n  x: {uses: any, timeout: 1s}\n  b: {wait: {signal: go, timeout: 24h}, needs: [a, x]}"
    )
    assert told(steps, "72h") == ["timeout: leaves 72h, but the steps may take up to 96h: a -> b"]
    assert told(steps, "96h") == []


def test_the_longest_way_is_what_the_worst_run_takes() -> None:
    text = f"""
name: worst
steps:
  a: {{wait: {{for: 1h}}}}
  b: {{uses: sample.echo, needs: [a], {ONE}}}
"""
    from workflows import registry

    run = run_workflow(text, {}, {"b": takes("11m", {})})
    graph = validate(yaml.safe_load(text), registry.all())
    assert run.expect("FAILED").seconds == longest(graph)[0]


def test_a_named_deadline_is_compared_with_the_longest_way_to_its_step() -> None:
    text = """
name: a
deadlines: {law: {by: file}, first: {by: a, within: 72h}, after: {by: last, within: 97h}}
steps:
  a: {wait: {for: 72h}}
  b: {wait: {signal: go, timeout: 24h}, needs: [a]}
  file: {uses: any, needs: [b], timeout: 1h, retry: {max_attempts: 1}}
  slow: {wait: {for: 200h}}
  last: {uses: any, needs: [a], essential: false, timeout: 1h, retry: {max_attempts: 1}}
"""
    graph = validate(yaml.safe_load(text), STEPS)
    assert graph.level >= 4
    assert [str(warning) for warning in warnings(graph, {"law": 72 * 3600.0})] == [
        "deadlines.law: leaves 72h, but up to the end of file it may take 97h: a -> b -> file",
        "deadlines.after: leaves 97h, but up to the end of last it may take 201h: slow -> last",
    ]
    assert str(warnings(graph, {})[0]).startswith("deadlines.law: no obligation of this name")
    assert [warning.path for warning in warnings(graph)] == ["deadlines.after"]


@pytest.mark.parametrize(
    ("deadlines", "fault"),
    [
        ("{x: {by: b}}", 'deadlines.x.by: no step "b"'),
        ("{x: {within: 1h}}", "deadlines.x.by: is required"),
        ("{x: {by: a, within: soon}}", "deadlines.x.within: is not a duration"),
        ("{x: {by: a, until: 1h}}", "deadlines.x.until: unknown key"),
        ("[x]", "deadlines: is not an object with a deadline for each name"),
    ],
)
def test_a_fault_of_a_named_deadline_has_its_place(deadlines: str, fault: str) -> None:
    with pytest.raises(DefinitionInvalid) as refused:
        validate(yaml.safe_load(f"name: a\ndeadlines: {deadlines}\nsteps: {{a: {{wait: {{for: 1h}}}}}}"), STEPS)
    assert [one for one in map(str, refused.value.faults) if one.startswith(fault)], refused.value.faults
