"""What a run waits for, as PostgreSQL knows it: over the API, as a command, and on the run's page."""

import io
import json
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from erip.access.scopes import Scope
from tests.definitions import publish
from tests.integration.conftest import LANES
from tests.support.api import Api, key
from workflows import engine, store
from workflows.core import machine
from workflows.explain import explain_run
from workflows.models import Chunk, StepRun, Worker, WorkflowRun
from workflows.store import Report

pytestmark = pytest.mark.django_db(transaction=True)

MIXED = """
name: mixed
timeout: 2h
steps:
  task: {uses: sample.echo, with: {value: 1}}
  each: {uses: sample.echo, foreach: "${{ input.items }}", max_parallel: 30, with: {value: "${{ item }}"}}
  ask: {wait: {signal: ok, timeout: 1h}}
  late: {uses: sample.echo, needs: [ask, task], with: {value: 1}}
"""


def start(items: int = 3, lane: str | None = None) -> str:
    publish(MIXED)
    request = engine.StartRequest({"items": list(range(items))}, lane=lane)
    return engine.start_runs("mixed", [request], principal="t")[0].id


def sentences(run_id: str) -> dict[str, str]:
    return {one["step"]: one["sentence"] for one in explain_run(run_id)["waits"] if one["item"] is None}


def test_each_thing_that_waits_has_one_sentence() -> None:
    first, run_id = start(), start()
    told = sentences(run_id)
    assert list(told) == ["task", "each", "ask", "late"]
    # `each` of the first run has three ready items, and its task is ready as well.
    assert "behind 4 of its lane and 0 of more urgent ones" in told["task"]
    assert "no living worker serves lane standard" in told["task"]
    assert "waits for 3 of its 3 items: 3 under way" in told["each"]
    assert 'waits for the signal "ok"' in told["ask"]
    assert "(in " in told["ask"]
    assert told["late"] == "late waits for ask and task to end."
    assert "is given up at" in explain_run(run_id)["summary"]
    assert "4 steps wait" not in explain_run(run_id)["summary"]
    worker = store.register_worker("wally", "here", 1, LANES, steps=["sample.other"])
    assert 'no living worker has the step "sample.echo"' in sentences(run_id)["task"]
    store.register_worker("old", "here", 1, LANES)
    assert "registered" not in sentences(run_id)["task"], "a worker that says nothing may know it"
    start(lane="critical")
    assert "behind 4 of its lane and 4 of more urgent ones" in sentences(run_id)["task"]
    store.claim([run_id], worker_id=worker, lanes=LANES)
    told = sentences(run_id)
    assert told["task"].startswith("task attempt 1 runs on worker wally since")
    assert "heard of 0." in told["task"]
    Worker.objects.filter(pk=worker).update(stopped_at=timezone.now())
    assert "that worker is gone" in sentences(run_id)["task"]
    fault = {"code": "x", "message": "no answer"}
    engine.report([Report(run_id, machine.StepFailed("task", 1, fault, True, 0.5))])
    assert "attempt 1 failed: no answer" in sentences(run_id)["task"]
    engine.cancel_run(run_id, principal="t")
    assert explain_run(run_id)["summary"].startswith("The run has ended: CANCELLED.")
    assert explain_run(run_id)["waits"] == []
    assert WorkflowRun.objects.get(pk=first).state == "PENDING"


def test_runs_in_chunks_stand_in_the_queue_too() -> None:
    ahead = Chunk.objects.create(version_id=1, lane="standard", runs=[uuid4() for _ in range(30)], size=30)
    Chunk.objects.create(version_id=1, lane="high", runs=[uuid4() for _ in range(20)], size=20)
    run_id = start()
    worker = store.register_worker("wally", "here", 1, LANES)
    # Behind it, of a lane that is less urgent, and in a worker's hands.
    Chunk.objects.create(version_id=1, lane="standard", runs=[uuid4()], size=1)
    Chunk.objects.create(version_id=1, lane="bulk", runs=[uuid4()], size=1)
    assert "behind 30 of its lane and 20 of more urgent ones" in sentences(run_id)["task"]
    Chunk.objects.filter(pk=ahead.pk).update(worker_id=worker)
    assert "behind 0 of its lane and 20 of more urgent ones" in sentences(run_id)["task"]
    Chunk.objects.create(version_id=1, lane="high", runs=[uuid4()], size=5_000)
    assert "and 1,000 or more of more urgent ones" in sentences(run_id)["task"]


def test_its_cost_does_not_grow_with_the_items() -> None:
    small, large = start(3), start(2_000)
    store.register_worker("w", "here", 1, LANES)
    counts = []
    for run_id in (small, large):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            told = explain_run(run_id)
        counts.append(len(captured))
        assert len(told["waits"]) <= 4 + 11
    assert counts[0] == counts[1] <= 4
    StepRun.objects.filter(run_id=large, item__gte=0).update(state="UNKNOWN")
    assert len([one for one in explain_run(large)["waits"] if one["item"] is not None]) == 10


def test_the_api_the_command_and_the_page_say_the_same(admin_client: Any) -> None:
    run_id = start()
    api = Api(key(Scope.VIEWER))
    answer = api.get(f"/runs/{run_id}/explain")
    assert answer.status_code == 200
    told = answer.json()
    assert [one["waits_for"] for one in told["waits"] if one["item"] is None] == ["worker", "items", "signal", "steps"]
    late = "late waits for ask and task to end."
    out = io.StringIO()
    call_command("explain", run_id, stdout=out)
    assert f"- {late}" in out.getvalue().splitlines()
    out = io.StringIO()
    call_command("explain", run_id, "--json", stdout=out)
    assert [one["step"] for one in json.loads(out.getvalue())["waits"]] == [one["step"] for one in told["waits"]]
    page = admin_client.get(f"/admin/workflows/workflowrun/{run_id}/change/").content.decode()
    assert late in page
    unknown = "00000000-0000-0000-0000-000000000000"
    assert api.get(f"/runs/{unknown}/explain").status_code == 404
    for wrong in (unknown, "x", "\x00", "9" * 5000):
        with pytest.raises(CommandError, match="There is no run of that id"):
            call_command("explain", wrong)
