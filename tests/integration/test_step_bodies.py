"""What a step's body logs, and what it raises that is no ordinary error."""

import asyncio
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import structlog
from django.conf import settings
from pydantic import BaseModel

from tests.definitions import publish
from workflows import registry
from workflows.core.graph import Retry
from workflows.graphs import graph_of
from workflows.models import StepRun
from workflows.registry import StepContext, step
from workflows.worker import executor as executors

pytestmark = pytest.mark.django_db(transaction=True)

own = logging.getLogger("acme.steps")


class Text(BaseModel):
    text: str = ""


@pytest.fixture(autouse=True)
def steps() -> Iterator[None]:
    before = set(registry.all())
    once = Retry(max_attempts=1)

    @step("bodies.thread", retry=once)
    def in_thread(data: Text, ctx: StepContext) -> Text:
        own.warning("from a thread")
        structlog.get_logger("acme").warning("from_structlog", step="my own")
        return data

    @step("bodies.loop", retry=once)
    async def on_loop(data: Text) -> Text:
        await asyncio.sleep(0.01)
        own.warning("from the loop %s", data.text)
        await asyncio.to_thread(own.warning, "from a helper %s", data.text)
        return data

    @step("bodies.exit", retry=once)
    def leaves(data: Text) -> Text:
        sys.exit("the body wants to leave")

    @step("bodies.exit_loop", retry=once)
    async def leaves_loop(data: Text) -> Text:
        sys.exit("the body wants to leave")

    @step("bodies.cancelled", retry=once)
    async def cancelled(data: Text) -> Text:
        raise asyncio.CancelledError

    @step("bodies.blocks", timeout=0.1, retry=once)
    async def blocks(data: Text) -> Text:
        threading.Event().wait(4)
        return data

    yield
    for name in set(registry.all()) - before:
        registry.withdraw(name)
    graph_of.cache_clear()


def lines(capture: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """What the own loggers wrote, as the platform's formatter gives it."""
    return [record.said for record in capture.records if record.name.startswith("acme")]  # type: ignore[attr-defined]


@pytest.fixture
def formatted(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Lines are formatted where they are logged, as the handler of the platform does."""
    settings_ = settings.LOGGING["formatters"]["json"]
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=settings_["processors"], foreign_pre_chain=settings_["foreign_pre_chain"]
    )

    def keep(record: logging.LogRecord) -> bool:
        record.said = json.loads(formatter.format(logging.makeLogRecord(record.__dict__)))
        return True

    caplog.handler.addFilter(keep)
    yield caplog
    caplog.handler.removeFilter(keep)


def test_the_lines_of_a_body_name_run_step_and_attempt(run_to_end, formatted) -> None:
    publish(
        "name: logs\nsteps:\n"
        "  first: {uses: bodies.thread}\n"
        "  each: {uses: bodies.loop, needs: [first], foreach: [a, b], with: {text: '${{ item }}'}}\n"
    )
    run = run_to_end("logs")
    assert run.state == "SUCCEEDED"
    found = lines(formatted)
    assert {str(line["run_id"]) for line in found} == {str(run.pk)}
    assert {line["attempt"] for line in found} == {1}
    said = {str(line["event"]): (line["step"], line.get("item")) for line in found}
    assert said == {
        "from a thread": ("first", None),
        "from_structlog": ("my own", None),  # what a line says itself stands
        "from the loop a": ("each", 0),
        "from the loop b": ("each", 1),
        "from a helper a": ("each", 0),
        "from a helper b": ("each", 1),
    }
    own.warning("after the body")
    assert "run_id" not in lines(formatted)[-1]


@pytest.mark.parametrize("uses", ["bodies.exit", "bodies.exit_loop", "bodies.cancelled"])
def test_a_body_that_leaves_or_is_cancelled_has_failed_and_the_worker_goes_on(run_to_end, uses: str) -> None:
    publish(f"name: leaves\nsteps:\n  only: {{uses: {uses}}}\n")
    publish("name: next\nsteps:\n  only: {uses: bodies.loop}\n")
    run = run_to_end("leaves")
    assert run.state == "FAILED"
    assert run.error["cause"]["type"] in ("SystemExit", "CancelledError")
    assert run_to_end("next").state == "SUCCEEDED"
    assert StepRun.objects.filter(run=run).get().attempt == 1


def test_a_body_that_blocks_the_loop_of_all_times_out_nevertheless(run_to_end, monkeypatch) -> None:
    monkeypatch.setattr(executors, "LOOP_IS_LATE_AFTER", 0.1)
    monkeypatch.setattr(executors, "LOOK_AT_LOOP_EVERY", 0.05)
    publish("name: blocks\nsteps:\n  only: {uses: bodies.blocks}\n")
    began = time.monotonic()
    run = run_to_end("blocks")
    assert run.state == "FAILED"
    assert run.error["cause"]["code"] == "step_timed_out"
    assert time.monotonic() - began < 4
