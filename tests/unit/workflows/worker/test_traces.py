"""What a failed attempt leaves behind: its traceback and its own lines, within bounds, whatever the body did."""

import asyncio
import logging
import threading
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import structlog
from pydantic import BaseModel

from erip.foundation.logs import working_on
from workflows.core.graph import Retry, Work
from workflows.core.machine import NO_ITEM, StepFailed, StepSucceeded
from workflows.errors import StepError
from workflows.registry import StepSpec
from workflows.store import Claim
from workflows.worker import bodies, traces

NOW = datetime(2026, 1, 1, tzinfo=UTC)
log = structlog.get_logger("acme.steps")
plain = logging.getLogger("acme.plain")


class Nothing(BaseModel):
    pass


@pytest.fixture(autouse=True)
def _listening() -> None:
    traces.listen()
    plain.setLevel(logging.INFO)


def spec(body: Any, *, is_async: bool = False) -> StepSpec:
    return StepSpec("acme.x", body, Nothing, Nothing, 5.0, None, True, False, is_async, False, "")


def claim(run_id: str = "r", item: int = NO_ITEM) -> Claim:
    return Claim(run_id, "x", item, 1, {}, 1, "w", None, "high", None, NOW, None)


def work(timeout: float = 5.0) -> Work:
    return Work("acme.x", None, timeout, Retry(), True, False)


def ran(body: Any, **of: Any) -> StepFailed:
    happening = bodies.run_sync(claim(**of), spec(body), work())
    assert isinstance(happening, StepFailed)
    return happening


def test_a_body_that_raises_leaves_its_traceback_and_what_it_logged() -> None:
    def body(data: Nothing) -> Nothing:
        plain.info("asked %s", "example.org")
        log.warning("answer_odd", status=502)
        plain.debug("not shown in the log either")
        raise RuntimeError("the service is away")

    plain.info("before it")
    trace = ran(body).trace
    plain.info("after it")

    assert trace is not None
    assert trace["traceback"].splitlines()[0] == "Traceback (most recent call last):"
    assert "in body" in trace["traceback"]
    assert trace["traceback"].rstrip().endswith("RuntimeError: the service is away")
    assert "bodies.py" not in trace["traceback"]
    assert [line.split(" ", 1)[1] for line in trace["lines"]] == [
        "info acme.plain: asked example.org",
        "warning acme.steps: answer_odd status=502",
    ]
    assert trace["left_out"] == 0


def test_a_body_that_logs_and_succeeds_leaves_nothing() -> None:
    def body(data: Nothing) -> Nothing:
        plain.info("all is well")
        return Nothing()

    assert isinstance(bodies.run_sync(claim(), spec(body), work()), StepSucceeded)
    assert working_on.get() is None


def test_of_many_lines_the_last_are_kept_and_the_number_of_the_others() -> None:
    def body(data: Nothing) -> Nothing:
        for number in range(1_000):
            plain.info("%d %s", number, "x" * 10_000)
        raise StepError("too much", code="x")

    trace = ran(body).trace
    assert trace is not None
    assert len(trace["lines"]) == traces.MAX_LINES
    assert trace["left_out"] == 1_000 - traces.MAX_LINES
    assert "999 x" in trace["lines"][-1]
    assert max(map(len, trace["lines"])) == traces.MAX_LINE


class Hostile(Exception):
    def __str__(self) -> str:
        raise ValueError("never shown")


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError("never shown")

    __repr__ = __str__


def deep() -> None:
    deep()


def _chained(times: int) -> Exception:
    error = Exception("first")
    for number in range(times):
        after = Exception(f"number {number}")
        after.__cause__, error = error, after
    return error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("\0 \ud800 <script>"),
        RuntimeError("x" * 5_000_000),
        Hostile(),
        StepError("\ud800", code="odd\0\ud800"),
        _chained(50),
        ExceptionGroup("many", [ValueError(str(n)) for n in range(100)]),
    ],
    ids=["bytes", "long", "no text", "code", "chain", "group"],
)
def test_whatever_is_raised_can_be_recorded(error: Exception) -> None:
    def body(data: Nothing) -> Nothing:
        plain.info("\0 \ud800 %s", "and more")
        plain.info("%s", Unspeakable())
        log.info("odd", value=Unspeakable(), text="\ud800\0")
        raise error

    failed = ran(body)
    told = orjson.dumps({"trace": failed.trace, "error": failed.error}).decode()

    assert "\\u0000" not in told
    assert len(told) < 40_000


def test_a_recursion_without_end_is_kept_short() -> None:
    def body(data: Nothing) -> Nothing:
        deep()
        return Nothing()

    trace = ran(body).trace
    assert trace is not None
    assert "RecursionError" in trace["traceback"]
    assert len(trace["traceback"]) < traces.MAX_TRACEBACK + 100


def test_of_a_fan_outs_items_only_the_first_of_a_run_leave_a_trace() -> None:
    def body(data: Nothing) -> Nothing:
        raise RuntimeError("each of them")

    left = [ran(body, run_id="fan", item=item).trace for item in range(traces.ITEMS_OF_A_RUN + 5)]
    other = ran(body, run_id="fan-2", item=0).trace

    assert [trace is not None for trace in left] == [True] * traces.ITEMS_OF_A_RUN + [False] * 5
    assert other is not None


def test_async_bodies_side_by_side_keep_their_own_lines() -> None:
    async def body(data: Nothing) -> Nothing:
        plain.info("%s begins", asyncio.current_task().get_name())  # type: ignore[union-attr]
        await asyncio.sleep(0)
        plain.info("%s goes on", asyncio.current_task().get_name())  # type: ignore[union-attr]
        raise RuntimeError("no")

    async def both() -> list[Any]:
        run = bodies.run_async(claim(), spec(body, is_async=True), work())
        other = bodies.run_async(claim(), spec(body, is_async=True), work())
        return await asyncio.gather(asyncio.create_task(run, name="one"), asyncio.create_task(other, name="two"))

    lines = [[line.rsplit(": ")[1] for line in happening.trace["lines"]] for happening in asyncio.run(both())]
    assert lines == [["one begins", "one goes on"], ["two begins", "two goes on"]]


def test_an_async_body_out_of_time_says_where_it_was() -> None:
    async def body(data: Nothing) -> Nothing:
        plain.info("asks")
        await asyncio.Event().wait()
        return Nothing()

    happening = asyncio.run(bodies.run_async(claim(), spec(body, is_async=True), work(timeout=0.01)))
    assert isinstance(happening, StepFailed)
    assert happening.error["code"] == "step_timed_out"
    assert happening.trace is not None
    assert "in body" in happening.trace["traceback"]
    assert len(happening.trace["lines"]) == 1


def test_a_stuck_body_says_where_it_is() -> None:
    free, begun, lines = threading.Event(), threading.Event(), []

    def body(data: Nothing) -> Nothing:
        plain.info("waits")
        begun.set()
        free.wait(30)
        return Nothing()

    def run() -> None:
        lines.append(traces.Lines(claim()))
        bodies.run_sync(claim(), spec(body), work(), lines[0])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert begun.wait(30)
        trace = traces.of_stuck(claim(), lines[0])
    finally:
        free.set()
        thread.join()

    assert trace is not None
    assert "in body" in trace["traceback"]
    assert "free.wait(30)" in trace["traceback"]
    assert "bodies.py" not in trace["traceback"]
    assert len(trace["lines"]) == 1
