"""`workflows.testing`: what a test sees of a run is what the platform would do, and its faults are clear."""

import time
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from tests.definitions import CHAIN, DIAMOND, FAN_OUT, one_step
from tests.sample import steps as sample
from workflows.errors import DefinitionInvalid, InvalidInput, PermanentStepError, StepError, UnknownStep
from workflows.testing import StubUnfit, cancel, in_turn, lost, resolve, run_step, run_workflow, signal, takes

RETRIED = """
name: retried
steps:
  only:
    uses: sample.echo
    retry: {max_attempts: 4, backoff: 10s, factor: 2, max_delay: 25s}
output: ${{ steps.only.output.value }}
"""
WAITS = """
name: waits
steps:
  pause: {wait: {for: 72h}}
  ask: {wait: {signal: go, timeout: 4d, schema: {type: object, required: [by]}}, needs: [pause]}
output: ${{ steps.ask.output }}
"""
EACH = """
name: each
input: {type: object}
steps:
  each:
    uses: sample.echo
    foreach: ${{ input.items }}
    max_parallel: 2
    tolerated_failures: 1
    retry: {max_attempts: 2, backoff: 5}
    with: {value: "${{ item }}"}
output: ${{ steps.each.output.results }}
"""
CAREFUL = "name: careful\nsteps: {only: {uses: sample.block_once}}\n"


def test_a_definition_runs_to_its_end_with_real_bodies() -> None:
    run = run_workflow(CHAIN, {"times": 2}).expect("SUCCEEDED")
    assert [entry.step for entry in run.history if entry.type == "step.succeeded"] == ["a", "b", "c", "d"]
    assert run.output["attempt"] == 1
    assert run.steps["d"].input == {"value": run.steps["c"].output["value"]}
    assert run_workflow(DIAMOND).expect("SUCCEEDED").output == ["l", "r"]


def test_the_same_test_gives_the_same_history() -> None:
    first, second = (run_workflow(FAN_OUT, {"items": [1, 2, 3], "times": 1}) for _ in range(2))
    assert first == second


def test_a_stub_is_a_value_a_model_a_function_or_an_exception() -> None:
    for stub in ({"value": 1}, sample.Seen(value=1), lambda: {"value": 1}, lambda data: {"value": data.value}):
        assert run_workflow(one_step("sample.echo", "{value: 1}"), {}, {"only": stub}).output["value"] == 1
    assert run_workflow(one_step("sample.echo"), {}, {"sample.echo": {"value": 2}}).output["value"] == 2

    async def later(data: sample.Value, ctx: object) -> dict[str, object]:
        return {"value": data.value}

    assert run_workflow(one_step("sample.rest", "{seconds: 9}"), {}, {"only": {"value": 3}}).output["value"] == 3
    assert run_workflow(one_step("sample.echo", "{value: 4}"), {}, {"only": later}).output["value"] == 4
    run = run_workflow(one_step("sample.echo"), {}, {"only": PermanentStepError("no", code="never")})
    assert run.expect("FAILED").steps["only"].error == {"code": "never", "type": "PermanentStepError", "message": "no"}
    assert run.steps["only"].attempts == 1


def test_the_clock_skips_rests_and_waits() -> None:
    began = time.monotonic()
    run = run_workflow(RETRIED, {}, {"only": in_turn(*[StepError("busy")] * 3, {"value": 7})}).expect("SUCCEEDED")
    assert [entry.after for entry in run.happened("step.started")] == [0, 10, 30, 55]
    assert (run.steps["only"].attempts, run.steps["only"].failures, run.output) == (4, 3, 7)
    run = run_workflow(WAITS, {}, during=[signal("go", {"by": "ann"}, after="80h", by="ann")]).expect("SUCCEEDED")
    assert run.seconds == 80 * 3600
    assert run.output == {"payload": {"by": "ann"}, "by": "ann", "timed_out": False}
    assert time.monotonic() - began < 60


def test_an_early_signal_is_kept_and_a_late_one_is_refused() -> None:
    early = run_workflow(WAITS, {}, during=[signal("go", {"by": 1}, after="1h"), signal("go", {"by": 2}, after="2h")])
    assert early.expect("SUCCEEDED").output["payload"] == {"by": 1}
    assert early.seconds == 72 * 3600
    assert [what for what, _ in early.refused] == ["signal go"]
    none = run_workflow(WAITS)
    assert none.expect("FAILED").error["cause"]["code"] == "signal_timed_out"
    assert none.seconds == (72 + 96) * 3600


def test_a_run_is_cancelled_and_misses_its_deadline() -> None:
    run = run_workflow(WAITS, {}, during=[cancel(after="1d", by="bob", reason="no need")])
    assert run.expect("CANCELLED").error["by"] == "bob"
    assert run.steps["pause"].state == run.steps["ask"].state == "CANCELLED"
    assert run_workflow(WAITS, {}, deadline="2d").expect("TIMED_OUT").seconds == 2 * 86_400
    moment = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
    assert run_workflow(WAITS, {}, deadline=moment).expect("TIMED_OUT").ended_at == moment
    assert run_workflow(WAITS + "timeout: 1h\n").expect("TIMED_OUT").seconds == 3600


def test_attempts_that_take_too_long_or_lose_their_worker() -> None:
    slow = run_workflow(one_step("sample.echo", extra=", timeout: 5s"), {}, {"only": takes("6s", {})})
    assert slow.expect("FAILED").steps["only"].error["code"] == "step_timed_out"
    assert slow.steps["only"].attempts == 3
    gone = run_workflow(one_step("sample.echo"), {}, {"only": in_turn(lost(), lost(), {"value": 1})})
    assert gone.expect("SUCCEEDED").steps["only"].attempts == 3
    assert run_workflow(one_step("sample.echo"), {}, {"only": lost()}).expect("FAILED").steps["only"].attempts == 5


def test_an_unknown_outcome_waits_and_is_resolved() -> None:
    run = run_workflow(CAREFUL, {}, {"only": lost()})
    assert run.expect("WAITING").steps["only"].state == "UNKNOWN"
    assert "waits for a person" in str(run)
    run = run_workflow(CAREFUL, {}, {"only": in_turn(lost(), {})}, during=[resolve("only", "retry", after="1h")])
    assert run.expect("SUCCEEDED").steps["only"].attempts == 2
    run = run_workflow(CAREFUL, {}, {"only": {}}, during=[resolve("only", "failed", after="1h")])
    assert run.refused == (("resolve only", "the step was not UNKNOWN"),)


def test_items_take_turns_and_their_failures_are_tolerated() -> None:
    def work(data: sample.Value, ctx: sample.StepContext) -> dict[str, object]:
        if data.value == "bad":
            raise StepError("bad item")
        return {"value": data.value, "attempt": ctx.attempt}

    stub = takes("10s", work)
    run = run_workflow(EACH, {"items": ["a", "bad", "c", "d"]}, {"each": stub}).expect("SUCCEEDED")
    assert [one and one["value"] for one in run.output] == ["a", None, "c", "d"]
    assert [item.attempts for item in run.steps["each"].items] == [1, 2, 1, 1]
    starts = [(entry.after, entry.item) for entry in run.happened("step.started", "each") if entry.item is not None]
    # Two at a time. Item 1 rests from 10 to 15 s without a place, and waits for one until 20 s.
    assert starts == [(0, 0), (0, 1), (10, 2), (10, 3), (20, 1)]
    assert run_workflow(EACH, {"items": ["bad", "bad"]}, {"each": stub}).expect("FAILED").steps["each"].error


def test_a_large_fan_out_ends_in_seconds() -> None:
    began = time.monotonic()
    run = run_workflow(EACH, {"items": list(range(2_000))}, {"each": lambda data: {"value": data.value}})
    assert [one["value"] for one in run.expect("SUCCEEDED").output] == list(range(2_000))
    assert time.monotonic() - began < 60


def test_a_failed_expectation_tells_the_story() -> None:
    run = run_workflow(RETRIED, {}, {"only": StepError("the desk is closed")})
    with pytest.raises(AssertionError) as caught:
        run.expect("SUCCEEDED")
    text = str(caught.value)
    assert "is FAILED, not SUCCEEDED" in text
    assert "the desk is closed" in text
    assert text.count("step.started") == 4


def test_mistakes_of_a_test_are_named() -> None:
    with pytest.raises(StubUnfit, match=r'onyl: one has no such step.*did you mean "only"'):
        run_workflow(one_step("sample.echo"), {}, {"onyl": {}})
    with pytest.raises(StubUnfit, match="pause: no worker runs anything for a wait"):
        run_workflow(WAITS, {}, {"pause": {}})
    with pytest.raises(StubUnfit, match="attempt: Input should be a valid integer"):
        run_workflow(one_step("sample.echo"), {}, {"only": {"attempt": "many"}})
    with pytest.raises(StubUnfit, match=r"gives an object \(Seen\), not 5"):
        run_workflow(one_step("sample.echo"), {}, {"only": lambda: 5})
    with pytest.raises(InvalidInput, match="no step waits for it; waits waits for go"):
        run_workflow(WAITS, {}, during=[signal("went")])
    with pytest.raises(InvalidInput, match=r"payload\.by"):
        run_workflow(WAITS, {}, during=[signal("go", {})])
    with pytest.raises(DefinitionInvalid, match=r'no step named "sample\.ecko".*"sample\.echo"'):
        run_workflow(one_step("sample.ecko"))
    with pytest.raises(InvalidInput):
        run_workflow("name: a\ninput: {required: [b]}\nsteps: {x: {wait: {for: 1s}}}")

    def wrong(data: sample.Value) -> None:
        assert data.value == "expected", "an assertion of the test"

    with pytest.raises(AssertionError, match="an assertion of the test"):
        run_workflow(one_step("sample.echo"), {}, {"only": wrong})


def test_a_step_alone() -> None:
    assert run_step(sample.echo, {"value": 1}, attempt=2).attempt == 2
    assert run_step("sample.echo", sample.Value(value=1), item=3, run_id="r", id="s").key == "r:s:3"
    assert run_step(sample.rest, {}) == sample.Seen()
    with pytest.raises(ValidationError):
        run_step(sample.echo, {"vaule": 1})
    with pytest.raises(StepError, match="attempt 1 fails"):
        run_step("sample.flaky", {"times": 1})
    with pytest.raises(ValueError, match="cannot be recorded"):
        run_step("sample.nul")
    with pytest.raises(UnknownStep):
        run_step("sample.none")
    with pytest.raises(TypeError, match="is not a step"):
        run_step(len)
