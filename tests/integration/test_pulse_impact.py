"""What an alert puts at risk, read from real rows: who waits, the nearest legal deadline, and the loss."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from erip.access.scopes import Scope
from monitoring import store
from monitoring.alerting import Judging, as_stored, shipped
from monitoring.channels.text import impact_lines
from monitoring.core.causes import Cause, Evidence
from monitoring.core.rules import read_rule
from monitoring.core.series import series
from monitoring.models import Alert
from monitoring.store.impact import waiting_runs
from tests.definitions import publish
from tests.support.api import Api, key
from workflows import engine
from workflows.models import StepRun

pytestmark = pytest.mark.django_db(transaction=True)

BREACH = """\
name: breach
lane: critical
input: {type: object}
steps:
  duties: {uses: compass.assess_compliance}
  loss: {uses: prism.quantify_risk}
  rest: {uses: compass.assess_readiness}
"""
NOW = datetime.now(UTC)


def duty(code: str, hours: float, **changes: Any) -> dict[str, Any]:
    at = (NOW + timedelta(hours=hours)).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"code": code, "deadline": at, "applicability": "applies", "status": "due", **changes}


def loss(mean: float, p95: float) -> dict[str, Any]:
    return {"known": True, "currency": "EUR", "single_loss": {"mean": mean, "p5": 0, "p50": mean, "p95": p95}}


def run(duties: Any, money: Any) -> str:
    """A run two of whose steps have ended so; the third one waits."""
    made = UUID(str(engine.start_runs("breach", [engine.StartRequest({})], principal="t")[0].id))
    for step, output in (("duties", duties), ("loss", money)):
        if output is not None:
            StepRun.objects.filter(run=made, step=step).update(
                state="SUCCEEDED", output=output, ready_at=None, finished_at=NOW
            )
    return str(made)


def test_the_nearest_open_duty_and_the_sum_of_losses_are_named_and_the_unknown_is_counted() -> None:
    publish(BREACH)
    closed = [duty("met", 1, status="met"), duty("maybe", 1, applicability="to_check"), duty("none", 1, deadline=None)]
    run({"obligations": [duty("gdpr-33", 40), duty("past", -3, status="overdue"), *closed]}, loss(1e6, 4e6))
    near = run({"obligations": [duty("dora-19", 4)]}, {"known": False, "currency": "EUR", "single_loss": None})
    run(None, loss(5e5, 1e6))
    # Somebody said how these ended, and wrote what they liked.
    run({"obligations": "many"}, [1, 2])
    run({"obligations": [duty("odd", 1, deadline="tomorrow")]}, {"currency": "EUR", "single_loss": {"mean": "x"}})

    for name in shipped():
        store.put_rule(name, None, by="t")
    rule = {"name": "no-worker", "summary": "x", "severity": "page", "metric": "erip_component_up", "below": 1,
            "where": {"component": "worker"}, "component": "worker"}  # fmt: skip
    store.put_rule("no-worker", read_rule(rule), by="t")
    about_disk = {**rule, "name": "disk", "metric": "erip_disk_free_bytes", "where": {}, "component": "disk"}
    store.put_rule("disk", read_rule(about_disk), by="t")
    frame = {series("erip_component_up", component="worker"): as_stored(0.0), series("erip_disk_free_bytes"): 0.0}
    at = NOW.timestamp()
    seen = Cause("redis", ("redis-1",), at - 9, at - 4, True, ("worker",), 0.8, (Evidence("It was emptied.", at - 4),))
    asked: list[bool] = []

    def causes() -> list[Cause]:
        asked.append(True)
        return [seen]

    with transaction.atomic():
        Judging().tick(frame, at, now=at, causes=causes)
    assert len(asked) == 1, "of all alerts of a tick at once"

    impact: Any = Alert.objects.get(rule="no-worker").impact
    runs = impact["runs"]
    assert (runs["waiting"], runs["looked_at"], runs["at_least"]) == (5, 5, False)
    assert (runs["legal_deadline"]["obligation"], runs["legal_deadline"]["run"]) == ("dora-19", near)
    assert (runs["legal_deadlines_past"], runs["duties_unknown"]) == (1, 1)
    assert runs["loss"] == [{"currency": "EUR", "expected": 1.5e6, "high": 5e6}]
    assert runs["loss_unknown"] == 3
    of_disk: Any = Alert.objects.get(rule="disk").impact
    assert of_disk["runs"] is None, "whether anything waits for it is not known"
    lines = impact_lines(impact)
    assert "Loss at risk: EUR 1,500,000 expected, 5,000,000 at 95 %; unknown for 3 of 5" in lines
    assert any("(dora-19)" in line for line in lines)
    shown = {one["rule"]: one for one in Api(key(Scope.VIEWER)).get("/alerts").json()["items"]}
    assert shown["no-worker"]["impact"]["runs"] == runs
    assert shown["no-worker"]["impact_at"] is not None
    [cause] = shown["no-worker"]["causes"]
    assert (cause["component"], cause["members"], cause["ongoing"]) == ("redis", ["redis-1"], True)
    assert (cause["sentence"], cause["evidence"]) == ("It was emptied.", ["It was emptied."])


def test_it_is_asked_when_an_alert_begins_and_at_no_tick_after_that() -> None:
    publish(BREACH)
    for name in shipped():
        store.put_rule(name, None, by="t")
    rule = {"name": "r", "summary": "x", "severity": "page", "metric": "erip_lane_waiting_steps", "above": 0}
    store.put_rule("r", read_rule(rule), by="t")
    judging = Judging()
    asked: list[bool] = []

    def note(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        asked.append("workflows_steprun" in str(sql))
        return execute(sql, params, many, context)

    counts = []
    for tick in range(4):
        asked.clear()
        at = NOW.timestamp() + 10 * tick
        with transaction.atomic(), connection.execute_wrapper(note):
            judging.tick({series("erip_lane_waiting_steps", lane="bulk"): 1.0 if tick else 0.0}, at, now=at)
        counts.append(sum(asked))
    assert counts == [0, 1, 0, 0]


def test_what_takes_too_long_is_unknown_and_does_not_fail_the_tick() -> None:
    publish(BREACH)
    run(None, None)
    assert waiting_runs(["critical"]) is not None
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE workflows_steprun IN ACCESS EXCLUSIVE MODE")
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                before = cursor.fetchone()
            assert waiting_runs(["critical"], at_most=50) is None
            with connection.cursor() as cursor:
                cursor.execute("SHOW statement_timeout")
                assert cursor.fetchone() == before
    finally:
        other.rollback()
        other.close()
