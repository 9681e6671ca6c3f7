"""Lanes in order of urgency, and ageing, with real workers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle, islice, permutations
from pathlib import Path

import pytest
import redis
from django.conf import settings as configured
from django.db import connection, connections

from tests import workers
from tests.definitions import one_step, publish
from tests.workers import until
from workflows import engine, store
from workflows.core.states import Lane
from workflows.engine.starting import RUNS_PER_TURN
from workflows.errors import LaneFull
from workflows.models import StepRun, WorkflowRun
from workflows.starts import precedence

pytestmark = pytest.mark.django_db(transaction=True)

#: seconds; bulk work is aged after half of it
BULK_BOUND = 4.0
FLOOD = 300


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """For workers with few threads, and bounds of a test's size."""
    redis.Redis.from_url(configured.ERIP_BROKER_URL).flushall()
    monkeypatch.setenv("ERIP_WORKER_THREADS", "2")
    monkeypatch.setenv("ERIP_LANE_BOUNDS", f"critical=1,high=2,standard=3,bulk={BULK_BOUND}")
    return tmp_path / "worker.log"


def start(lane: str, runs: int = 1) -> list[str]:
    return [run.id for run in engine.start_runs("one", [engine.StartRequest({}, lane=lane)] * runs, principal="t")]


def waiting(lane: str) -> int:
    return store.lane_loads([lane], count_to=10_000)[lane].waiting


def seconds_to_start(run_id: str) -> float:
    run = WorkflowRun.objects.get(pk=run_id)
    return (run.started_at - run.created_at).total_seconds()


@contextmanager
def standing_flood(lane: str) -> Iterator[list[int]]:
    """Keeps about FLOOD ready steps in the lane. Yields the list of how many there were at each look."""
    over = threading.Event()
    seen: list[int] = []

    def pour() -> None:
        while not over.is_set():
            seen.append(waiting(lane))
            if seen[-1] < 2 * FLOOD:
                # Refused because the lane is late: then enough of its steps are waiting.
                with suppress(LaneFull):
                    start(lane, 2 * FLOOD)
            over.wait(0.1)
        connections.close_all()

    start(lane, 2 * FLOOD)
    thread = threading.Thread(target=pour)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.fixture(params=["messages", "postgresql"])
def carried_by(request, settings, monkeypatch) -> str:
    """How work reaches the worker: by messages alone, or by its own polling of PostgreSQL alone."""
    if request.param == "messages":
        monkeypatch.setenv("ERIP_STALE_READY_SECONDS", "300")
    else:
        settings.ERIP_BROKER_URL = "redis://127.0.0.1:1/0"  # for the worker: nobody listens there
    return request.param


def test_a_standing_flood_of_high_work_does_not_hold_a_bulk_run_past_its_bound(log, carried_by) -> None:
    publish(one_step("sample.block", "{seconds: 0.01}"))
    with workers.worker(log, threads=2), standing_flood("high") as seen:
        until(lambda: WorkflowRun.objects.filter(lane="high", state="SUCCEEDED").count() > 20)
        looks = len(seen)
        (bulk,) = start("bulk")
        until(lambda: WorkflowRun.objects.get(pk=bulk).started_at, seconds=60, what="the bulk run started")
        stood = seen[looks:]
    assert min(stood) > 0, "the flood did not stand"
    print(f"bulk over a flood, by {carried_by}: {seconds_to_start(bulk):.2f} s of {BULK_BOUND}")
    assert seconds_to_start(bulk) <= BULK_BOUND


def test_without_ageing_the_same_flood_holds_it_back(log, carried_by, monkeypatch) -> None:
    monkeypatch.setenv("ERIP_LANE_BOUNDS", "critical=1,high=100,standard=200,bulk=300")
    publish(one_step("sample.block", "{seconds: 0.01}"))
    with workers.worker(log, threads=2), standing_flood("high"):
        until(lambda: WorkflowRun.objects.filter(lane="high", state="SUCCEEDED").count() > 20)
        (bulk,) = start("bulk")
        threading.Event().wait(1.5 * BULK_BOUND)
        assert WorkflowRun.objects.get(pk=bulk).started_at is None


def test_critical_runs_overtake_a_standard_backlog_on_a_general_worker(log) -> None:
    publish(one_step("sample.block", "{seconds: 0.01}"))
    start("standard", 1_500)
    with workers.worker(log, threads=2):
        until(lambda: WorkflowRun.objects.filter(state="SUCCEEDED").count() > 20)
        urgent: list[str] = []
        for _ in range(5):
            urgent += start("critical")
            until(lambda: not WorkflowRun.objects.filter(lane="critical").exclude(state="SUCCEEDED").exists())
        left = StepRun.objects.filter(lane="standard", state="READY").count()
    assert left > 100, "there was no backlog to overtake"
    print("critical start:", [round(seconds_to_start(run), 3) for run in urgent])
    assert max(seconds_to_start(run) for run in urgent) <= 1.0


def test_a_worker_tells_how_fast_it_is(log) -> None:
    publish(one_step("sample.block", "{seconds: 0.01}"))
    start("standard", 600)
    with workers.worker(log, threads=2):
        until(lambda: (store.lane_loads(["standard"], count_to=1)["standard"].rate or 0) > 0)
    assert connection.is_usable()


@pytest.mark.parametrize("key", [None, "a-key"])
@pytest.mark.parametrize("lanes", [*permutations(Lane, 2), tuple(Lane)], ids="-".join)
def test_a_start_of_several_lanes_never_waits_for_itself(
    lanes: tuple[str, ...], key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Note [Giving way] in `starts/precedence`. From Python each run of a start may have a lane of its own."""
    gave_way: list[bool] = []
    original = precedence.Start.give_way
    monkeypatch.setattr(precedence.Start, "give_way", lambda own: gave_way.append(original(own)))
    publish(one_step("sample.echo", "{value: 1}"))
    requests = [engine.StartRequest({}, lane=lane) for lane in islice(cycle(lanes), 4 * RUNS_PER_TURN)]
    engine.start_runs("one", requests, principal="t", idempotency_key=key)
    # While the inputs are checked, and while the runs are decided on.
    assert gave_way == [True] * 8
