"""The platform refuses what it cannot serve in time, the least urgent first; on the real tables."""

import threading
import time

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from erip.access.scopes import Scope
from tests.definitions import one_step, publish
from tests.support.api import INPUT, Api, key
from tests.support.api import publish as publish_look_up
from tests.workers import until
from workflows import engine, store
from workflows.core.states import Lane
from workflows.errors import LaneFull
from workflows.models import StepRun, WorkflowRun
from workflows.starts import admission
from workflows.store import claims

pytestmark = pytest.mark.django_db(transaction=True)
START = "/workflows/look-up/runs"


@pytest.fixture
def small(lane_settings) -> None:
    """Lanes that hold 4 (high), 12 (standard) and 24 (bulk) waiting steps."""
    lane_settings(
        ERIP_ADMISSION_MIN_RATE=0.4, ERIP_LANE_BOUNDS={"critical": 2.0, "high": 10.0, "standard": 30.0, "bulk": 60.0}
    )


def start(lane: str, runs: int = 1) -> list[engine.StartedRun]:
    return engine.start_runs("one", [engine.StartRequest({}, lane=lane)] * runs, principal="t")


def refuses(lane: str) -> bool:
    try:
        start(lane)
    except LaneFull:
        return True
    return False


def test_bulk_is_refused_first_then_standard_then_high_and_critical_never(small, lane_settings) -> None:
    publish(one_step("sample.echo"))
    start("bulk", 24)
    assert [lane for lane in Lane if refuses(lane)] == ["bulk"]
    start("standard", 9)
    assert [lane for lane in Lane if refuses(lane)] == ["standard", "bulk"]
    start("critical", 50)
    lane_settings()
    assert refuses("high"), "what is more urgent has to be served first"
    start("critical", 50)


def test_a_bulk_start_counts_all_its_runs_and_starts_none_if_they_do_not_fit(small) -> None:
    publish(one_step("sample.echo"))
    start("bulk")
    with pytest.raises(LaneFull, match="up to 23 runs now") as refused:
        start("bulk", 24)
    assert (refused.value.room, refused.value.status) == (23, 429)
    assert WorkflowRun.objects.count() == 1
    assert len(start("bulk", 23)) == 23


def test_where_nothing_waits_a_request_may_be_as_large_as_a_request_can_be(small) -> None:
    publish(one_step("sample.echo"))
    assert len(start("bulk", 30)) == 30
    assert refuses("bulk")


def test_work_that_waited_past_its_bound_closes_the_lane_until_it_is_served(small, lane_settings) -> None:
    publish(one_step("sample.echo"))
    start("standard")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_steprun SET ready_at = ready_at - interval '31 s'")
    lane_settings()
    assert [lane for lane in Lane if refuses(lane)] == ["standard", "bulk"]
    StepRun.objects.filter(lane="standard").delete()
    lane_settings()
    assert not refuses("standard")


def test_what_was_served_since_the_last_look_refuses_nobody(small, monkeypatch) -> None:
    monkeypatch.setattr(admission, "CACHE_SECONDS", 3600.0)
    publish(one_step("sample.echo"))
    start("standard", 12)
    assert refuses("standard")
    StepRun.objects.all().delete()
    until(lambda: not refuses("standard"), what="it looks again before it refuses")


def test_nor_while_another_thread_looks(small, monkeypatch) -> None:
    monkeypatch.setattr(admission, "CACHE_SECONDS", 3600.0)
    publish(one_step("sample.echo"))
    start("standard", 12)
    assert refuses("standard")
    StepRun.objects.all().delete()
    refused: list[bool] = []

    def ask() -> None:
        try:
            refused.append(refuses("standard"))
        finally:
            connections.close_all()

    first, second = (threading.Thread(target=ask) for _ in range(2))
    time.sleep(admission.FRESH_SECONDS)  # the look is out of date from then on
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE workflows_chunk IN ACCESS EXCLUSIVE MODE")
        first.start()
        until(lambda: waits_for_a_lock(cursor), what="the first one looks")
        second.start()
        second.join(0.5)
    first.join()
    second.join()
    assert refused == [False, False]


def waits_for_a_lock(cursor) -> bool:
    cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
    return cursor.fetchone()[0]


def test_a_new_look_counts_what_is_admitted_and_not_yet_inserted(small, lane_settings) -> None:
    publish(one_step("sample.echo"))
    with admission.inserting(["standard"] * 12) as left:
        lane_settings()
        assert refuses("standard")
        left["standard"] -= 6
        lane_settings()
        assert not refuses("standard")
    lane_settings()
    start("standard", 11)
    assert refuses("standard")


def test_however_many_are_refused_the_lanes_are_looked_at_no_more_often(small, monkeypatch) -> None:
    publish(one_step("sample.echo"))
    start("standard", 12)
    monkeypatch.setattr(admission, "FRESH_SECONDS", 3600.0)
    with CaptureQueriesContext(connection) as queries:
        assert all(refuses("standard") for _ in range(20))
    assert sum("workflows_chunk" in one["sql"] for one in queries.captured_queries) <= 1


def test_the_measured_rate_of_living_workers_makes_room(small, lane_settings) -> None:
    publish(one_step("sample.echo"))
    general = store.register_worker("general", "here", 1, ["standard", "bulk"])
    store.heartbeat(general, rate=2.0)
    assert store.lane_loads(["high", "bulk"], count_to=9)["bulk"].rate == 2.0
    assert store.lane_loads(["high", "bulk"], count_to=9)["high"].rate is None, "it does not serve that lane"
    lane_settings()
    assert len(start("bulk", 120)) == 120
    store.stop_worker(general)
    lane_settings()
    assert refuses("bulk")


def test_the_api_says_429_with_the_seconds_to_rest_and_goes_on_taking_critical_work(small) -> None:
    publish_look_up()
    api = Api(key(Scope.OPERATOR))
    for _ in range(4):
        assert api.post(START, {"input": INPUT}, Idempotency_Key=f"k{_}").status_code == 202

    refused = api.post(START, {"input": INPUT}, Idempotency_Key="late")

    assert (refused.status_code, refused.json()["code"]) == (429, "lane-full")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 1 <= int(refused.headers["Retry-After"]) <= 10
    assert api.post(START, {"input": INPUT, "lane": "critical"}).status_code == 202
    bulk = api.post("/runs/bulk", {"workflow": "look-up", "lane": "bulk", "inputs": [INPUT]})
    assert bulk.status_code == 429


def test_a_full_lane_still_answers_for_what_it_accepted_and_a_refusal_leaves_no_key_behind(
    small, lane_settings
) -> None:
    publish_look_up()
    api = Api(key(Scope.OPERATOR))
    first = api.post(START, {"input": INPUT}, Idempotency_Key="mine")
    for _ in range(3):
        api.post(START, {"input": INPUT})

    again = api.post(START, {"input": INPUT}, Idempotency_Key="mine")
    other = api.post(START, {"input": INPUT}, Idempotency_Key="other")

    assert (again.status_code, again.json()["id"], again.json()["existing"]) == (202, first.json()["id"], True)
    assert other.status_code == 429
    StepRun.objects.all().delete()
    lane_settings()
    other = api.post(START, {"input": INPUT}, Idempotency_Key="other")
    assert (other.status_code, other.json()["existing"]) == (202, False)


def test_one_survey_serves_many_requests_and_critical_ones_ask_for_none() -> None:
    publish(one_step("sample.echo"))
    start("critical")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        start("critical", 5)
    assert not [query for query in queries if "count(*)" in query["sql"]]
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            start("standard")
    assert len([query for query in queries if "count(*)" in query["sql"]]) == 1


@pytest.mark.usefixtures("no_chunks")
def test_the_survey_reads_the_index_of_ready_steps_alone() -> None:
    publish(one_step("sample.echo"))
    start("standard", 3_000)
    StepRun.objects.filter(run_id__in=WorkflowRun.objects.values("id")[:2_500]).update(
        state="SUCCEEDED", finished_at="2026-01-01T00:00:00Z"
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE workflows_steprun")
        cursor.execute(
            "EXPLAIN " + claims._LANE_LOADS.format(join="", known=""), {"lanes": list(Lane), "count_to": 100_001}
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert plan.count("Index Only Scan using step_ready") == 2, plan
    assert "Scan on workflows_steprun" not in plan.replace("step_ready on workflows_steprun", ""), plan
    assert store.lane_loads(list(Lane), count_to=100_001)["standard"].waiting == 500
    assert store.lane_loads(list(Lane), count_to=7)["standard"].waiting == 7


def test_critical_starts_go_through_while_a_bulk_start_is_under_way_in_the_same_process() -> None:
    publish(one_step("sample.echo"))
    done = threading.Event()
    ids: list[str] = []

    def bulk() -> None:
        ids.extend(run.id for run in start("bulk", 10_000))
        done.set()
        connections.close_all()

    thread = threading.Thread(target=bulk)
    thread.start()
    took: list[float] = []
    while not done.is_set():
        before = time.monotonic()
        start("critical")
        took.append(time.monotonic() - before)
        time.sleep(0.02)
    thread.join()
    assert len(ids) == 10_000
    print(
        f"{len(took)} critical starts: median {sorted(took)[len(took) // 2] * 1000:.1f} ms, max {max(took) * 1000:.1f}"
    )
    assert len(took) >= 5, "the bulk start held them back"
    assert sorted(took)[len(took) // 2] < 0.1


def test_ready_work_is_found_lane_by_lane_oldest_first_each_run_once() -> None:
    publish(one_step("sample.echo"))
    high = [run.id for run in start("high", 8)]
    bulk = [run.id for run in start("bulk", 8)]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_steprun SET ready_at = ready_at - interval '5 s'")
    found = store.stale_ready_runs([("bulk", 2), ("high", 6), ("bulk", 6)], older_than=1, limit=10)
    assert [run in bulk for run in found] == [True] * 2 + [False] * 6 + [True] * 2
    assert len(set(found)) == 10
    assert set(high) - set(found), "of the high ones only six were asked for"
    assert not store.stale_ready_runs([("bulk", 9)], older_than=60, limit=9)
