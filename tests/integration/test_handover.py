"""An accepted run goes straight to a worker: the accepting process remembers the workflow, and needs no look-up."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from django.conf import settings as configured
from django.db import connection
from django.test.utils import CaptureQueriesContext

from erip.foundation.hooks import at_worker_start, warm_up
from tests import workers
from tests.definitions import one_step, publish
from tests.support.listening import heard, listening
from tests.workers import until
from workflows import engine, store
from workflows.graphs import graph_of
from workflows.models import WorkflowRun, WorkflowVersion
from workflows.starts import versions
from workflows.store import WORKER_CHANNEL

pytestmark = pytest.mark.django_db(transaction=True)

ECHO = one_step("sample.echo", "{value: 1}")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """For workers that do not find work by themselves."""
    redis.Redis.from_url(configured.ERIP_BROKER_URL).flushall()
    monkeypatch.setenv("ERIP_STALE_READY_SECONDS", "300")
    return tmp_path / "worker.log"


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    versions.forget()


def start(lane: str = "critical", version: int | None = None) -> engine.StartedRun:
    return engine.start_runs("one", [engine.StartRequest({}, lane=lane)], version=version, principal="t")[0]


def ended(run: engine.StartedRun) -> bool:
    return WorkflowRun.objects.get(pk=run.id).state == "SUCCEEDED"


def a_worker_of(*lanes: str) -> int:
    """A worker that has registered and sent a heartbeat, and does nothing more."""
    return store.register_worker(f"of {lanes}", "here", 1, lanes)


def test_a_run_is_handed_over_without_a_broker(log, settings) -> None:
    publish(ECHO)
    settings.ERIP_BROKER_URL = "redis://127.0.0.1:1/0"  # for the worker: nobody listens there
    with workers.worker(log):
        for lane in ("critical", "bulk"):
            run = start(lane)
            until(lambda run=run: ended(run), what=f"the {lane} run ended")


def test_a_run_that_was_handed_to_a_dead_worker_goes_to_another(log) -> None:
    publish(ECHO)
    with workers.worker(log):
        dead = a_worker_of("critical")
        with listening(f"{WORKER_CHANNEL}{dead}") as its_channel:
            run = start()
            assert heard(its_channel, seconds=10) == [f"critical {run.id}"]
        until(lambda: ended(run), what="the run ended")


def test_it_is_handed_to_the_worker_that_is_reserved_for_its_lane() -> None:
    publish(ECHO)
    general, reserved, other = a_worker_of("critical", "bulk"), a_worker_of("critical"), a_worker_of("bulk")
    with (
        listening(f"{WORKER_CHANNEL}{general}") as to_general,
        listening(f"{WORKER_CHANNEL}{reserved}") as to_reserved,
        listening(f"{WORKER_CHANNEL}{other}") as to_other,
    ):
        for _ in range(3):
            run = start()
            assert heard(to_reserved, seconds=10) == [f"critical {run.id}"]
        assert heard(to_general, seconds=0) == heard(to_other, seconds=0) == []


def test_what_is_not_critical_does_not_overtake_what_is_as_urgent() -> None:
    publish(ECHO)
    with listening(f"{WORKER_CHANNEL}{a_worker_of('critical', 'high', 'standard')}") as channel:
        told = [start("standard"), start("high"), start("critical")]
        for lane in ("standard", "high"):
            start(lane)
        told.append(start("critical"))
        came: list[str] = []
        while len(came) < len(told):
            news = heard(channel, seconds=10)
            assert news, f"only {came} was announced"
            came += news
    assert came == [f"{run.lane} {run.id}" for run in told]


def test_nobody_is_told_of_a_run_when_every_worker_is_silent() -> None:
    publish(ECHO)
    worker = a_worker_of("critical")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_worker SET heartbeat_at = heartbeat_at - interval '10 s'")
    with listening(f"{WORKER_CHANNEL}{worker}") as channel:
        run = start()
        # A later announcement arrives, so nothing was announced before it.
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, 'end')", [f"{WORKER_CHANNEL}{worker}"])
        assert heard(channel, seconds=10) == ["end"]
    assert store.still_ready([run.id]) == [("critical", run.id)]


def test_what_is_remembered_costs_one_round_trip_and_a_new_version_is_seen_at_once() -> None:
    publish(ECHO)
    assert start().version == 1
    with CaptureQueriesContext(connection) as queries:
        assert start().version == 1
    assert len([query for query in queries if "workflowrun" in query["sql"]]) == 1
    publish(one_step("sample.echo", "{value: 2}"))
    assert start().version == 2
    assert start(version=1).version == 1
    assert [start(version=1).version, start().version] == [1, 2]


def test_input_that_only_the_latest_version_takes_is_taken() -> None:
    publish(ECHO + "input: {type: object, maxProperties: 0}\n")
    start()
    publish(ECHO + "input: {type: object, required: [a]}\n")
    (run,) = engine.start_runs("one", [engine.StartRequest({"a": 1})], principal="t")
    assert run.version == 2


@pytest.mark.parametrize("strayed", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_strays_dates_no_run(strayed: timedelta) -> None:
    publish(ECHO)
    start()
    versions.learn_clock(datetime.now(UTC) + strayed)
    run = start()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() - created_at FROM workflows_workflowrun WHERE id = %s", [run.id])
        (age,) = cursor.fetchone()
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_a_worker_that_has_warmed_up_reads_no_definition_for_its_first_run() -> None:
    publish(ECHO)
    graph_of.cache.clear()
    warm_up(at_worker_start)
    latest = WorkflowVersion.objects.get(definition__name="one")
    with CaptureQueriesContext(connection) as queries:
        assert graph_of(latest.pk).lane == "standard"
    assert len(queries) == 0
