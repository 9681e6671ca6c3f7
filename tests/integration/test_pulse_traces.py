"""What a real worker sends to a real collector: run → attempt → SQL, and no data."""

from pathlib import Path

import pytest
from django.db import connection

from tests.definitions import publish
from tests.support.otlp import attributes, collector_of_opentelemetry, spans
from tests.workers import until, worker
from workflows import engine

pytestmark = pytest.mark.django_db(transaction=True)

BOOKED = """
name: booked
steps:
  first: {uses: sample.book, with: {seconds: 0}}
  again: {uses: sample.flaky, needs: [first], with: {times: 1}}
  rests: {uses: sample.rest, needs: [again], with: {seconds: 0.01}}
  fails: {uses: sample.boom, needs: [rests], with: {value: "a-secret-value"}}
"""


def test_a_run_is_one_trace_with_its_attempts_and_their_sql(tmp_path: Path) -> None:
    with collector_of_opentelemetry([200]) as (url, came):
        name = publish(BOOKED)
        with worker(tmp_path / "worker.log", ERIP_OTLP_ENDPOINT=url, ERIP_OTLP_TRACES="1"):
            run_id = engine.start_runs(name, [engine.StartRequest({})], principal="t")[0].id
            trace = run_id.replace("-", "")

            def mine() -> list[dict]:
                return [one for one in spans(came) if one["traceId"] == trace]

            until(lambda: any("parentSpanId" not in one for one in mine()), seconds=90, what="the run's span came")
            until(lambda: sum(one["name"].startswith("step ") for one in mine()) >= 5, seconds=30, what="all attempts")
    [root] = [one for one in mine() if "parentSpanId" not in one]
    assert root["name"] == "run booked"
    assert (attributes(root)["erip.outcome"], root["status"]) == ("FAILED", {"code": 2})
    attempts = {(one["name"], attributes(one)["erip.attempt"]): one for one in mine() if one["name"].startswith("step")}
    assert {*attempts} == {
        ("step first", "1"), ("step again", "1"), ("step again", "2"), ("step rests", "1"), ("step fails", "1"),
    }  # fmt: skip
    assert {one["parentSpanId"] for one in attempts.values()} == {root["spanId"]}
    assert attributes(attempts["step again", "1"])["error.type"] == "flaky"
    assert "status" not in attempts["step again", "2"]
    booked = attempts["step first", "1"]["spanId"]
    sql = [one for one in mine() if one.get("parentSpanId") == booked]
    texts = [attributes(one)["db.query.text"] for one in sql]
    assert [one.split()[0] for one in texts] == ["INSERT"]
    assert "%s" in texts[0]
    assert int(root["startTimeUnixNano"]) <= min(int(one["startTimeUnixNano"]) for one in attempts.values())
    assert "a-secret-value" not in str(came)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM workflows_steprun WHERE run_id = %s", [run_id])
        assert cursor.fetchone() == (4,)
