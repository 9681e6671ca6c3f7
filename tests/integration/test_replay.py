"""`manage.py replay`: finds no difference in what the engine of today has decided, and every one that is planted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from pydantic import BaseModel

from tests.definitions import CHAIN, DIAMOND, FAN_OUT, one_step, publish
from tests.integration.conftest import LANES
from tests.workers import until
from workflows import engine, registry, store
from workflows.core.graph import Retry
from workflows.core.machine import RunTimedOut
from workflows.engine import duties
from workflows.graphs import graph_of
from workflows.library import cache
from workflows.library.reference import sample_incident
from workflows.models import WorkflowRun
from workflows.replay import decide_again, runs_since
from workflows.store import Report
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

BRANCHES = """
name: branches
steps:
  first: {uses: sample.echo, with: {value: 1}}
  yes: {uses: sample.echo, needs: [first], if: "steps.first.output.value == 1"}
  no: {uses: sample.echo, needs: [first], if: "steps.first.output.value == 2"}
  late: {uses: sample.echo, needs: [yes], essential: false, with: {value: "${{ run.status }}"}}
output: {yes: "${{ steps.yes.status }}", no: "${{ steps.no.status }}"}
"""
FAILING = """
name: failing
steps:
  good: {uses: sample.echo}
  bad: {uses: sample.boom, needs: [good]}
  after: {uses: sample.echo, needs: [bad]}
  told: {uses: sample.echo, needs: [good], essential: false, with: {value: "${{ steps.good.output.key }}"}}
"""
WAITS = """
name: waits
steps:
  pause: {wait: {for: 10ms}}
  ask: {wait: {signal: go, timeout: 1h}, needs: [pause]}
  after: {uses: sample.echo, needs: [ask], with: {value: "${{ steps.ask.output }}"}}
output: ${{ steps.after.output.value }}
"""
SEVERAL = """
name: several
steps:
  every: {wait: {all: [{for: 10ms}, {signal: one}, {signal: two}]}}
  first: {wait: {any: [{for: 1h}, {signal: three}]}, needs: [every]}
  late: {wait: {all: [{signal: four}], timeout: 10ms, on_timeout: continue}, needs: [first]}
  beside: {wait: {signal: seven}, needs: [every]}
  groups:
    wait:
      all:
        - any: [{all: [{signal: five}, {signal: six}]}, {signal: eight}]
        - {when: "${{ steps.beside.output.payload.of == 'seven' }}"}
output: ["${{ steps.every.output }}", "${{ steps.first.output }}", "${{ steps.late.output }}"]
"""
TOLERANT = """
name: tolerant
steps:
  each:
    uses: sample.flaky
    foreach: [0, 1, 9]
    max_parallel: 2
    tolerated_failures: 1
    with: {times: "${{ item }}"}
output: ${{ steps.each.output.failed }}
"""


def replayed() -> tuple[int, list[str]]:
    """(runs, what is different: `workflow path`)."""
    runs = list(runs_since(datetime.now(UTC) - timedelta(days=1)))
    found = [
        f"{run.view.workflow} {one.path}"
        for run in runs
        for one in decide_again(run, graph_of(run.version_id), max_lost=5)
    ]
    return len(runs), found


def lasting(executor: Executor, name: str) -> str:
    """Start a run that does not end by itself, and go on until it waits."""
    started = engine.start_runs(name, [engine.StartRequest({})], principal="t")[0]

    def settled() -> bool:
        duties.release_due(LANES, limit=9)
        executor.execute([started.id])
        row = WorkflowRun.objects.get(pk=started.id)
        return not row.steps.filter(state__in=["READY", "RUNNING"]).exists() and bool(
            row.steps.filter(state="WAITING", due_at__gt=datetime.now(UTC) + timedelta(minutes=1)).exists()
            or row.steps.filter(state="UNKNOWN").exists()
        )

    until(settled, what=f"{name} waits")
    return started.id


@pytest.fixture
def history(run_to_end: Callable[..., WorkflowRun], executor: Executor, settings: Any, tmp_path: Path) -> None:
    """A run of every kind."""
    settings.ERIP_REPORT_DIR = tmp_path
    cache.forget()
    call_command("bootstrap", "--json")
    cache.forget()
    run_to_end("breach-response", sample_incident())
    run_to_end("critical-threat", {"cves": ["CVE-1900-0001"], "severity": "high"})
    run_to_end("trust-score", {"notify": ["a@example.org"]})
    run_to_end("compliance-assessment", {"jurisdictions": ["DE"], "sector": "energy"})
    run_to_end("vulnerability-response", {"cves": ["CVE-1900-0001"], "notify": ["a@example.org"]})
    run_to_end(publish(CHAIN), {"times": 1})
    run_to_end(publish(DIAMOND))
    run_to_end(publish(FAN_OUT), {"items": [1, 2, 3], "times": 1})
    run_to_end(publish(TOLERANT))
    run_to_end(publish(BRANCHES))
    run_to_end(publish(FAILING))
    run_to_end(publish(one_step("sample.flaky", "{times: 2}", name="retried")))
    run_to_end(publish(one_step("sample.flaky", "{times: 1, permanent: true}", name="hopeless")))
    run_to_end(publish(one_step("sample.echo", "{value: '${{ input.none }}'}", name="wordless")))
    publish(WAITS)
    engine.signal_run(lasting(executor, "waits"), "go", {"a": 1.5, "b": True}, principal="ann")
    executor.execute([str(WorkflowRun.objects.latest("id").pk)])
    several = engine.start_runs(publish(SEVERAL), [engine.StartRequest({})], principal="t")[0].id
    for name in ("two", "one", "three", "five", "eight", "seven"):
        engine.signal_run(several, name, {"of": name}, principal="ann")

    def ended() -> bool:
        duties.release_due(LANES, limit=9)
        return WorkflowRun.objects.get(pk=several).state == "SUCCEEDED"

    until(ended, what="several")
    engine.cancel_run(lasting(executor, "waits"), principal="bob", reason="no need")
    with_deadline = lasting(executor, "waits")
    duties.report([Report(with_deadline, RunTimedOut())])
    lasting(executor, "waits")
    publish("name: careful\nsteps: {only: {uses: sample.boom, idempotent: false, with: {value: 1}}}\n")
    resolved = lasting(executor, "careful")
    engine.resolve_step(resolved, "only", outcome="succeeded", output={"value": 7}, principal="ann")
    lasting(executor, "careful")
    states = set(WorkflowRun.objects.values_list("state", flat=True))
    assert states == {"SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT", "WAITING"}


class Strict(BaseModel):
    other: int


#: (what is changed in the rows of one workflow, what must be found)
STEPS, RUNS = "workflows_steprun", "workflows_workflowrun"
PLANTED = [
    ("chain", STEPS, "input = '{\"value\": 1}'", "step = 'd'", "chain steps.d.input"),
    ("chain", RUNS, "output = '{}'", "true", "chain output"),
    ("branches", STEPS, "state = 'SUCCEEDED'", "step = 'no'", "branches steps.no.state"),
    ("branches", STEPS, "output = '{\"value\": 2}'", "step = 'first'", "branches steps.yes.state"),
    ("fan-out", STEPS, "input = '{\"times\": 2}'", "step = 'each' AND item = 1", "fan-out steps.each[1].input"),
    ("fan-out", STEPS, "output = jsonb_set(output, '{total}', '4')", "step = 'each' AND item = -1",
     "fan-out steps.each.output"),
    ("fan-out", STEPS, "state = 'CANCELLED'", "step = 'each' AND item = 1", "fan-out steps.each[1].state"),
    ("failing", RUNS, "state = 'SUCCEEDED'", "true", "failing state"),
    ("failing", RUNS, "error = jsonb_set(error, '{step}', '\"good\"')", "true", "failing error"),
    ("failing", STEPS, "state = 'CANCELLED'", "step = 'told'", "failing steps.told.state"),
    ("retried", STEPS, "failures = 1", "true", "retried steps.only.failures"),
    ("waits", STEPS, "output = '{\"x\": 1}'", "step = 'pause' AND state = 'SUCCEEDED'", "waits steps.pause.output"),
    ("several", STEPS, "output = jsonb_set(output, '{by}', '\"eve\"')", "step = 'first'", "several steps.first.output"),
    ("several", STEPS, "output = '{\"payload\": 1}'", "step = 'beside'", "several steps.groups.state"),
    ("wordless", STEPS, "error = '{\"code\": \"other\"}'", "true", "wordless steps.only.error"),
    ("breach-response", STEPS, "input = jsonb_set(input, '{table}', '\"other\"')", "step = 'decide'",
     "breach-response steps.decide.input"),
]  # fmt: skip


@pytest.mark.usefixtures("history")
def test_nothing_is_different_until_something_is_planted() -> None:
    runs, found = replayed()
    assert (runs, found) == (WorkflowRun.objects.count(), [])
    told = StringIO()
    call_command("replay", "--since", "1h", stdout=told)
    assert told.getvalue() == f"{runs} runs decided again, 0 of them differently\n"

    missed = [plant for plant in PLANTED if plant[-1] not in planted(*plant[:-1])]
    assert missed == []
    assert replayed()[1] == []

    # The same history, and steps of another release.
    for name, change, expected in (
        ("sample.flaky", {"retry": Retry(max_attempts=1)}, "retried steps.only.state"),
        ("sample.boom", {"idempotent": False}, "failing steps.bad.state"),
        ("sample.work", {"input_model": Strict}, "chain steps.a.input"),
    ):
        spec = registry.withdraw(name)
        registry.restore(replace(spec, **change))
        graph_of.cache_clear()  # type: ignore[attr-defined]
        try:
            assert expected in replayed()[1]
        finally:
            registry.restore(spec)
            graph_of.cache_clear()  # type: ignore[attr-defined]
    spec = registry.withdraw("sample.echo")
    try:
        assert "branches steps.first.uses" in replayed()[1]
    finally:
        registry.restore(spec)

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM workflows_steprun WHERE step = 'told'")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("replay", "--workflow", "failing", stdout=out)
    assert ended.value.code == 1
    first, last = out.getvalue().splitlines()
    assert first.endswith("steps.told.state: had not begun; today: READY")
    assert last == "1 runs decided again, 1 of them differently"

    store.archive_runs(older_than=-1, limit=100)
    runs_after, found = replayed()
    assert (runs_after, found) == (runs, ["failing steps.told.state"])


def planted(workflow: str, table: str, change: str, where: str) -> list[str]:
    """What is found with this change in the rows, which is then taken back."""
    column = change.split(" ")[0]
    of_workflow = f"workflow = '{workflow}'"
    if table == STEPS:
        of_workflow = f"run_id IN (SELECT id FROM {RUNS} WHERE {of_workflow})"
    key = "t.id::text" if table == RUNS else "t.run_id::text || t.step || t.item"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE was AS SELECT {key} AS key, {column} AS value FROM {table} t")
        cursor.execute(f"UPDATE {table} SET {change} WHERE {of_workflow} AND {where}")
        assert cursor.rowcount > 0, (workflow, change)
        found = replayed()[1]
        cursor.execute(f"UPDATE {table} t SET {column} = was.value FROM was WHERE was.key = {key}")
        cursor.execute("DROP TABLE was")
    return found
