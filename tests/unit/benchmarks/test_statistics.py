"""Percentiles, schedules and what counts as a right result."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.checks import Correctness, check
from benchmarks.client import Answer
from benchmarks.records import RunRecord, StepRecord
from benchmarks.schedule import achieved_rate, error_counts, open_loop
from benchmarks.statistics import cumulative, summarise
from benchmarks.workloads import BREACH, CHAIN, W4

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def w4_run(run_id: str = "a", start: int = 7, **changes) -> RunRecord:
    steps = tuple(
        StepRecord(step, "SUCCEEDED", 1, {"value": start + place}, NOW, NOW + timedelta(milliseconds=2))
        for place, step in enumerate(CHAIN, start=1)
    )
    told = {
        "id": run_id,
        "workflow": W4.workflow,
        "state": "SUCCEEDED",
        "input": {"value": start},
        "output": start + 4,
        "created_at": NOW,
        "started_at": NOW,
        "finished_at": NOW,
        "steps": steps,
    }
    return RunRecord(**{**told, **changes})


def test_percentiles_are_values_that_were_measured():
    summary = summarise([number / 1000 for number in range(1, 101)])
    assert (summary.p50, summary.p95, summary.p99, summary.max) == (50, 95, 99, 100)
    assert summary.mean == pytest.approx(50.5)


def test_one_measurement_is_every_percentile():
    summary = summarise([0.25])
    assert (summary.count, summary.p50, summary.p99, summary.max) == (1, 250, 250, 250)


def test_nothing_measured_has_no_percentiles():
    with pytest.raises(ValueError, match="nothing was measured"):
        summarise([])
    assert cumulative([]) == []


def test_a_distribution_ends_with_the_maximum_and_has_few_points():
    points = cumulative([number / 1000 for number in range(10_000)], points=50)
    assert len(points) <= 50
    assert points[-1] == (100.0, 9999.0)
    assert points == sorted(points)


def test_a_stall_is_charged_to_every_request_that_fell_into_it():
    """Note [Coordinated omission]: the loop is blocked for 200 ms while requests fall due every 10 ms."""

    async def send(index: int) -> Answer:
        if index == 0:
            time.sleep(0.2)
        return Answer(200, b"", {}, time.perf_counter())

    samples = asyncio.run(open_loop(10, 100.0, send, done=lambda _: None))
    assert samples[0].seconds >= 0.2
    assert samples[9].seconds >= 0.08
    assert all(sample.seconds > 0.05 for sample in samples)


def test_what_is_not_answered_with_200_is_an_error_and_no_throughput():
    async def send(index: int) -> Answer:
        if index == 1:
            raise ConnectionResetError
        if index == 2:
            raise TimeoutError
        return Answer(200 if index == 0 else 429, b"", {}, time.perf_counter())

    samples = asyncio.run(open_loop(4, None, send, done=lambda _: None))
    assert error_counts(samples) == {"ConnectionResetError": 1, "timeout": 1, "429": 1}
    assert achieved_rate(samples) > 0
    assert achieved_rate(samples[1:]) == 0.0


def test_right_results_are_right():
    found = check(W4, ["a", "b"], [w4_run("a"), w4_run("b", 9)])
    assert found == Correctness(expected=2, succeeded=2, steps=8, repeated=0, wrong=0)
    assert found.success == 100.0


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        (w4_run(state="FAILED"), "is FAILED"),
        (w4_run(output=12), "output is 12, not 11"),
        (w4_run(steps=w4_run().steps[:3]), "step four is recorded 0 times"),
        (w4_run(steps=(*w4_run().steps, w4_run().steps[0])), "step one is recorded 2 times"),
        (w4_run(steps=w4_run(start=8).steps), "step one gave {'value': 9}, not 8"),
    ],
)
def test_each_kind_of_wrong_result_is_found(run, fault):
    found = check(W4, ["a"], [run])
    assert not found.right
    assert fault in found.faults[0]


def test_a_run_that_is_not_recorded_is_wrong():
    found = check(W4, ["a", "lost"], [w4_run("a")])
    assert (found.expected, found.succeeded, found.wrong) == (2, 1, 1)
    assert "lost: is not recorded" in found.faults[0]


def test_an_id_given_out_twice_is_wrong():
    assert not check(W4, ["a", "a"], [w4_run("a")]).right


def test_repeated_bodies_are_counted_and_allowed():
    first, *others = w4_run().steps
    again = StepRecord(first.step, first.state, 2, first.output, first.started_at, first.finished_at)
    found = check(W4, ["a"], [w4_run(steps=(again, *others))])
    assert found.right
    assert found.repeated == 1


def test_runs_of_the_same_input_must_come_to_the_same_loss():
    def breach(run_id: str, var95: float) -> RunRecord:
        output = {
            "decision": {"level": "board"},
            "loss": {"var95": var95},
            "deadlines": [{}],
            "report": {"url": "/r"},
        }
        steps = tuple(StepRecord(step, "SUCCEEDED", 1, {}, NOW, NOW) for step in BREACH.steps)
        return w4_run(run_id, workflow="breach-response", input={}, output=output, steps=steps)

    same = [breach(run_id, 10.0) for run_id in "abc"]
    assert check(BREACH, ["a", "b", "c"], same).right
    found = check(BREACH, ["a", "b", "c", "d"], [*same, breach("d", 10.5)])
    assert found.faults == ["breach-response d: differs from the other runs of the same input"]
