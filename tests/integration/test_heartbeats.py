"""Long steps that say that they are alive, how far they are, and where the next attempt goes on."""

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydantic import BaseModel

from tests.definitions import publish
from tests.integration.conftest import LANES
from tests.workers import until
from workflows import engine, errors, registry, store
from workflows.core.claim import Claim
from workflows.core.graph import Retry
from workflows.explain import explain_run
from workflows.models import RunEvent, StepBeat, StepRun, WorkflowRun
from workflows.registry import StepContext, step
from workflows.store import Word
from workflows.worker import beats

pytestmark = pytest.mark.django_db(transaction=True)

RETRY = Retry(max_attempts=3, backoff=0.01, max_delay=0.01)


class Pages(BaseModel):
    pages: int = 3


class Read(BaseModel):
    began_at: int
    attempt: int


#: opened by a test to let a body go on
gate = threading.Event()
#: set by a body that has begun
begun = threading.Event()


@pytest.fixture(autouse=True)
def steps() -> Iterator[None]:
    before = set(registry.all())
    gate.clear()
    begun.clear()

    @step("beats.pages", retry=RETRY)
    def pages(data: Pages, ctx: StepContext) -> Read:
        first = ctx.cursor or 0
        for page in range(first, data.pages):
            ctx.heartbeat({"page": page}, cursor=page)
            if ctx.attempt == 1 and page == 2:
                raise errors.StepError("the line was cut")
        return Read(began_at=first, attempt=ctx.attempt)

    @step("beats.silent", retry=RETRY)
    def silent(data: Pages, ctx: StepContext) -> Read:
        if ctx.attempt == 1:
            ctx.heartbeat(cursor=7)
            gate.wait(5)  # the one that works for the test waits for its threads as well
        return Read(began_at=ctx.cursor or 0, attempt=ctx.attempt)

    @step("beats.silent_loop", retry=RETRY)
    async def silent_loop(data: Pages, ctx: StepContext) -> Read:
        if ctx.attempt == 1:
            ctx.heartbeat(cursor=8)
            await asyncio.to_thread(gate.wait, 20)
        return Read(began_at=ctx.cursor or 0, attempt=ctx.attempt)

    @step("beats.once", idempotent=False)
    def once(data: Pages, ctx: StepContext) -> Read:
        gate.wait(5)
        return Read(began_at=0, attempt=ctx.attempt)

    @step("beats.waits")
    def waits(data: Pages, ctx: StepContext) -> Read:
        ctx.heartbeat({"page": 5, "of": 9}, cursor=5)
        begun.set()
        gate.wait(20)
        return Read(began_at=0, attempt=ctx.attempt)

    yield
    gate.set()
    for name in set(registry.all()) - before:
        registry.withdraw(name)


def long(uses: str, heartbeat: str | None = "200ms", more: str = "") -> str:
    beat = f", heartbeat: {heartbeat}" if heartbeat else ""
    step = f"{{uses: {uses}, with: {{pages: 5}}{beat}{more}}}"
    return publish(f"name: long\nsteps: {{read: {step}}}\noutput: ${{{{ steps.read.output }}}}")


def started() -> str:
    return engine.start_runs("long", [engine.StartRequest({})], principal="t")[0].id


def ended(executor: Any, run_id: str) -> WorkflowRun:
    def over() -> bool:
        engine.release_due(LANES, limit=9)
        executor.execute([run_id])
        return not StepRun.objects.filter(run_id=run_id, state__in=["READY", "RUNNING", "WAITING"]).exists()

    until(over, what="the step has ended")
    return WorkflowRun.objects.get(pk=run_id)


def test_the_next_attempt_goes_on_where_the_one_before_failed(executor: Any) -> None:
    long("beats.pages", "5s")
    run = ended(executor, started())
    assert (run.state, run.output) == ("SUCCEEDED", {"began_at": 2, "attempt": 2})


@pytest.mark.parametrize(("uses", "cursor"), [("beats.silent", 7), ("beats.silent_loop", 8)])
def test_a_silent_body_is_a_failed_attempt_and_its_cursor_is_read(executor: Any, uses: str, cursor: int) -> None:
    long(uses)
    run = ended(executor, started())
    assert (run.state, run.output) == ("SUCCEEDED", {"began_at": cursor, "attempt": 2})
    failed = RunEvent.objects.get(run=run, type="step.attempt_failed")
    assert failed.detail["error"]["code"] == "heartbeat_missed"
    assert failed.detail["error"]["message"] == "attempt 1 was silent for more than 0.2 s"


def test_a_silent_body_that_may_not_be_repeated_is_unknown(executor: Any) -> None:
    long("beats.once")
    run = ended(executor, started())
    assert StepRun.objects.get(run=run).state == "UNKNOWN"


def test_what_it_says_is_written_once_a_round_and_shown(executor: Any) -> None:
    long("beats.waits", "20s")
    run_id = started()
    executor.take_in_background([run_id])
    assert begun.wait(20)
    executor.write_beats()
    beat = StepBeat.objects.get(run_id=run_id)
    assert (beat.progress, beat.cursor, beat.attempt) == ({"page": 5, "of": 9}, 5, 1)
    assert "it last said at" in explain_run(run_id)["waits"][0]["sentence"]
    assert '"page": 5' in explain_run(run_id)["waits"][0]["sentence"]
    with CaptureQueriesContext(connection) as captured:
        executor.write_beats()
    assert len(captured) == 0, "nothing is new"
    gate.set()
    assert ended(executor, run_id).state == "SUCCEEDED"
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_workflowrun SET finished_at = now() - interval '1 day'")
    assert store.archive_runs(older_than=0, limit=10) == 1
    assert StepBeat.objects.count() == 0


def test_many_words_are_one_statement_and_a_former_owner_is_not_heard() -> None:
    long("beats.pages")
    run_id = started()
    with CaptureQueriesContext(connection) as captured:
        store.record_words([Word(run_id, "read", item, 2, "1", str(item)) for item in range(500)])
    assert len(captured) == 1
    store.record_words([Word(run_id, "read", 0, 1, '"old"', '"old"'), Word(run_id, "read", 1, 2, None, "9")])
    store.record_words([Word("00000000-0000-0000-0000-000000000000", "read", 0, 1, None, "1")])
    assert store.cursor_of(run_id, "read", 0) == 0
    beat = StepBeat.objects.get(run_id=run_id, item=1)
    assert (beat.progress, beat.cursor) == (1, 9)
    assert StepBeat.objects.count() == 500


def test_a_step_without_a_heartbeat_costs_nothing_and_says_nothing(executor: Any) -> None:
    long("beats.pages", None)
    run = ended(executor, started())
    assert (run.state, run.output) == ("SUCCEEDED", {"began_at": 0, "attempt": 2}), "it began anew"
    assert StepBeat.objects.count() == 0


@pytest.mark.parametrize("value", [float("nan"), object(), "x" * 70_000, {1: 2}, "\0"])
def test_what_is_no_value_or_too_large_is_refused_where_it_is_said(value: Any) -> None:
    claim = Claim("r", "s", -1, 1, {}, 1, "w", None, "standard", None, None)  # type: ignore[arg-type]
    beat = beats.Beat(claim, 1.0, None)
    for arguments in ((value, None), (None, value)):
        with pytest.raises(ValueError, match="of a heartbeat"):
            beat.say(*arguments)
    beat.say(None, {"page": 1})
    word = beat.take()
    assert word is not None
    assert (word.progress, word.cursor) == (None, '{"page":1}')
    assert beat.take() is None


@pytest.mark.parametrize(
    ("heartbeat", "message"),
    [("soon", "is not a duration"), ("30s", "must be shorter than the timeout"), ("0s", "a duration must be at least")],
)
def test_a_heartbeat_that_cannot_be_is_refused_with_its_place(heartbeat: str, message: str) -> None:
    with pytest.raises(errors.DefinitionInvalid) as caught:
        long("beats.pages", heartbeat)
    assert [fault.path for fault in caught.value.faults] == ["steps.read.heartbeat"]
    assert message in caught.value.faults[0].message


def test_the_example_of_the_docs_runs(executor: Any) -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "steps.md").read_text()
    found = re.search(r"tests/integration/test_heartbeats.py runs it -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found
    exec(found[1], {})
    publish(
        "name: long\nsteps: {read: {uses: acme.import_pages, with: {pages: 3}, heartbeat: 10s}}\n"
        "output: ${{ steps.read.output }}"
    )
    assert ended(executor, started()).output == {"imported": 3}
