"""Pausing a workflow or a lane: what is under way is parked, what starts is born parked, and all of it goes on."""

import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from erip.access.scopes import Scope
from tests.definitions import publish
from tests.integration.conftest import LANES
from tests.support.api import Api, key
from tests.support.events import accept, consuming, event
from tests.workers import until
from workflows import engine, errors, store
from workflows.engine.holds import work_off_holds
from workflows.events.models import Block
from workflows.events.triggers import Triggers
from workflows.explain import explain_run
from workflows.models import Hold, RunPause, StepRun, WorkflowRun
from workflows.starts import holds, versions

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = "steps:\n  only: {uses: sample.echo, with: {value: 1}}\n"
DOCS = (Path(__file__).parents[2] / "docs" / "how-to" / "pause-runs.md").read_text("utf-8")


def workflow(name: str = "scan", more: str = "", steps: str = STEPS) -> None:
    publish(f"name: {name}\ninput: {{type: object}}\n{more}{steps}")


def start(name: str = "scan", count: int = 1, lane: str | None = None, **more: Any) -> list[str]:
    requests = [engine.StartRequest({}, None, lane)] * count
    return [run.id for run in engine.start_runs(name, requests, principal="test", many=count > 1, **more)]


def pause(kind: str = "workflow", name: str = "scan", **more: Any) -> None:
    engine.pause_all(kind, name, principal="ann", **more)


def resume(kind: str = "workflow", name: str = "scan") -> None:
    engine.resume_all(kind, name, principal="bob")


def work_off() -> None:
    """What the leader does twice a second."""
    while work_off_holds.do():
        pass


def state(run_id: str) -> str:
    return WorkflowRun.objects.get(pk=run_id).state


def test_runs_under_way_are_parked_and_go_on_when_the_workflow_does() -> None:
    workflow()
    workflow("other")
    mine, others = start(count=3), start("other")
    pause(reason="audit")
    work_off()
    assert [state(run_id) for run_id in [*mine, *others]] == ["PAUSED"] * 3 + ["PENDING"]
    assert store.lane_loads(LANES, count_to=9)["standard"].waiting == 1, "what is parked is no backlog"
    told = explain_run(mine[0])["summary"]
    assert "It was paused with the workflow scan at " in told
    assert "by ann (audit)" in told
    resume()
    work_off()
    assert [state(run_id) for run_id in mine] == ["PENDING"] * 3
    assert StepRun.objects.filter(state="READY").count() == 4
    assert not RunPause.objects.exists()


@pytest.mark.parametrize("remembered", [True, False])
@pytest.mark.parametrize("kind", ["workflow", "lane"])
def test_new_runs_are_accepted_and_born_parked(kind: str, remembered: bool) -> None:
    workflow("scan", "lane: bulk\n")
    if remembered:
        start()  # this process knows the version now, and nothing of the pause
    else:
        versions.forget()
    with connection.cursor() as cursor:  # another process pauses it
        cursor.execute(
            "INSERT INTO workflows_hold (kind, name, clock, by, reason) VALUES (%s, %s, 'stop', 'ann', '')",
            [kind, "scan" if kind == "workflow" else "bulk"],
        )
    (single,) = engine.start_runs("scan", [engine.StartRequest({})], principal="test", idempotency_key="k")
    assert single.status == "PAUSED"
    assert state(single.id) == "PAUSED"
    again = engine.start_runs("scan", [engine.StartRequest({})], principal="test", idempotency_key="k")
    assert (again[0].id, again[0].existing) == (single.id, True)
    many = start(count=3)
    assert {state(run_id) for run_id in many} == {"PAUSED"}
    assert not StepRun.objects.filter(run_id__in=[single.id, *many], state="READY").exists()
    assert state(start(lane="high")[0]) == ("PAUSED" if kind == "workflow" else "PENDING")
    resume(kind, "scan" if kind == "workflow" else "bulk")
    work_off()
    assert not WorkflowRun.objects.filter(state="PAUSED").exists()


def test_runs_that_events_start_and_retries_are_parked() -> None:
    workflow("scan", steps=f"{STEPS}on: {{event: acme.found}}\n")
    ended = start()[0]
    engine.cancel_run(ended, principal="test")
    pause()
    with consuming(Triggers()):
        accept([event(type="acme.found")])
        until(lambda: not Block.objects.exists())
    retried = engine.retry_run(ended, principal="test").id
    assert {run.state for run in WorkflowRun.objects.exclude(pk=ended)} == {"PAUSED"}
    resume()
    work_off()
    assert state(retried) == "PENDING"


def test_what_is_started_by_a_process_that_knows_no_holds_is_found() -> None:
    workflow()
    pause()
    work_off()
    holds.forget()
    missed = start()[0]
    # As a release before this one inserts it.
    store.resume([missed], by="x", request="x", kinds=[])
    assert state(missed) == "PENDING"
    work_off()
    assert state(missed) == "PAUSED"


def test_a_run_goes_on_when_both_its_workflow_and_its_lane_do() -> None:
    workflow("scan", "lane: bulk\n")
    run_id = start()[0]
    pause()
    pause("lane", "bulk")
    work_off()
    resume()
    work_off()
    assert state(run_id) == "PAUSED"
    assert "with the lane bulk" in explain_run(run_id)["summary"]
    resume("lane", "bulk")
    work_off()
    assert state(run_id) == "PENDING"


def test_a_run_that_was_paused_by_itself_stays_so_and_none_is_resumed_by_itself_meanwhile() -> None:
    workflow()
    own, mine = start(count=2)
    engine.pause_run(own, principal="eve")
    pause()
    work_off()
    for run_id in (own, mine):
        with pytest.raises(errors.RunHeld, match="workflow scan"):
            engine.resume_run(run_id, principal="eve")
    engine.cancel_run(mine, principal="eve")
    resume()
    work_off()
    assert (state(own), state(mine)) == ("PAUSED", "CANCELLED")
    engine.resume_run(own, principal="eve")
    assert state(own) == "PENDING"


@pytest.mark.parametrize("clock", ["stop", "go"])
def test_the_clock_of_each_parked_run_stands_or_goes_on(clock: str) -> None:
    workflow("scan", "timeout: 2h\n", "steps: {rest: {wait: {for: 1h}}}\n")
    run_id = start()[0]
    before = StepRun.objects.get(run=run_id).due_at
    pause(clock=clock)
    work_off()
    RunPause.objects.update(since=timezone.now() - timedelta(hours=5))
    resume()
    work_off()
    due_at = StepRun.objects.get(run=run_id).due_at
    assert before is not None
    assert due_at is not None
    moved = (due_at - before).total_seconds() / 3600
    assert round(moved) == (5 if clock == "stop" else 0)
    assert WorkflowRun.objects.get(pk=run_id).deadline_at is not None


def test_a_workflow_is_paused_once_and_resumed_once_and_may_be_paused_again() -> None:
    workflow()
    mine = start()[0]
    pause()
    with pytest.raises(errors.AlreadyHeld):
        pause()
    work_off()
    resume()
    with pytest.raises(errors.NotHeld):
        resume()
    pause()  # before the leader came to let its runs go on
    work_off()
    assert state(mine) == "PAUSED"
    resume()
    work_off()
    assert state(mine) == "PENDING"
    Hold.objects.update(resumed_at=timezone.now() - timedelta(minutes=2))
    work_off()
    assert not Hold.objects.filter(done_at=None).exists()
    for kind, name, error in [("workflow", "none", errors.UnknownWorkflow), ("lane", "none", errors.UnknownLane)]:
        with pytest.raises(error):
            pause(kind, name)
    with pytest.raises(errors.InvalidInput):
        pause(clock="sideways")


def test_starts_raced_against_pauses_are_all_parked_or_all_going_on_in_the_end() -> None:
    workflow()
    started: list[str] = []
    stop = threading.Event()

    def starting() -> None:
        try:
            while not stop.is_set() and len(started) < 400:
                started.extend(start())
        finally:
            connection.close()

    threads = [threading.Thread(target=starting) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            pause()
            work_off()
            resume()
            work_off()
        pause()
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    work_off()
    assert {run.state for run in WorkflowRun.objects.all()} == {"PAUSED"}
    assert WorkflowRun.objects.count() == len(started) > 0
    resume()
    work_off()
    assert {run.state for run in WorkflowRun.objects.all()} == {"PENDING"}
    assert StepRun.objects.filter(state="READY").count() == len(started)


def test_the_examples_of_the_documentation_run() -> None:
    workflow("vulnerability-response")
    api = Api(key(Scope.OPERATOR))
    section = DOCS.partition("## A whole workflow, or a lane")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block
    answers = []
    for command in block[1].replace("\\\n", "").splitlines():
        path = command.rpartition("/api/v1")[2].strip('" ')
        body = re.search(r"-d '(.*?)'", command)
        if "-X POST" in command:
            answers.append(
                api.client.post(
                    f"/api/v1{path}", body[1] if body else "", content_type="application/json", headers=api.headers
                )
            )
        else:
            answers.append(api.get(path))
    assert [answer.status_code for answer in answers] == [200] * 5
    items = answers[2].json()["items"]
    assert [(one["kind"], one["name"], one["resumed_at"]) for one in items] == [
        ("lane", "bulk", None),
        ("workflow", "vulnerability-response", None),
    ]
    assert items[1]["reason"] == "the scanner reports nonsense"
    refused = api.post("/lanes/fast/pause", {})
    assert (refused.status_code, refused.json()["faults"][0]["path"]) == (422, "lane")


def test_in_the_admin(admin_client: Any) -> None:
    workflow()
    mine = start()[0]
    page = admin_client.get("/admin/workflows/hold/pause/")
    assert "workflow scan" in page.content.decode()
    done = admin_client.post(
        "/admin/workflows/hold/pause/", {"what": "workflow scan", "clock": "go", "reason": "audit"}
    )
    assert done.status_code == 302, done.content.decode()[-3_000:]
    work_off()
    assert state(mine) == "PAUSED"
    hold = Hold.objects.get()
    assert (hold.clock, hold.reason, hold.by) == ("go", "audit", "user:admin")
    assert "audit" in admin_client.get("/admin/workflows/hold/").content.decode()
    admin_client.post("/admin/workflows/hold/", {"action": "resume", "_selected_action": [hold.pk]})
    work_off()
    assert state(mine) == "PENDING"
