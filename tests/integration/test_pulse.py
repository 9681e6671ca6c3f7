"""PULSE on a real database: reports, frames, queries, and the health while servers come and go."""

import io
import json
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from erip.access.scopes import Scope
from erip.ops.stack.servers import private_servers
from monitoring import health, store
from monitoring.api import anomalies, metrics
from monitoring.collecting import Collector
from monitoring.conf import conf
from monitoring.core.catalog import MEANINGS
from monitoring.core.frames import TICK, TIERS, Reading
from monitoring.core.series import Series, series
from monitoring.models import Component, ComponentState, Frame
from monitoring.models import Series as Place
from monitoring.reporting import Reporter
from monitoring.store import work
from monitoring.watching import watching
from tests.definitions import CHAIN, publish
from tests.support.api import Api, key
from tests.support.relay import Relay
from tests.support.web import web
from tests.workers import kill, leader, until, worker
from workflows import engine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_is_watched_yet() -> Iterator[None]:
    conf.cache_clear()
    health.forget()
    metrics.forget()
    anomalies.forget()
    yield
    watching.stop()
    conf.cache_clear()


@pytest.fixture
def api() -> Api:
    return Api(key(Scope.VIEWER))


# --- reports ----------------------------------------------------------------------------------------------


def test_a_process_reports_in_one_row_that_comes_back_after_a_crash_of_postgresql() -> None:
    reporter = Reporter("web")
    reporter.report()
    first = Component.objects.get()
    assert (first.kind, first.pid) == ("web", psutil.Process().pid)
    values = dict(zip(first.series, first.values, strict=True))
    assert values["=erip_processes"] == 1
    assert values["+erip_process_cpu_seconds_total"] > 0

    reporter.report()
    assert Component.objects.get().seen_at > first.seen_at
    # A crash empties an unlogged table.
    Component.objects.all().delete()
    reporter.report()
    assert Component.objects.get().life == reporter.life

    reporter.end()
    assert [one.ended for one in store.read_reports()] == [True]


def test_the_reports_are_not_in_the_log_of_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'monitoring_component'")
        assert cursor.fetchone() == ("u",)


# --- frames -----------------------------------------------------------------------------------------------


def forget_the_last_frame() -> None:
    """As if a tick had passed: the database's clock cannot be moved, but what it is compared with can."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_frame SET at = at - interval '10 s' WHERE tier = 10")


def frame() -> dict[Series, float | None]:
    """The newest frame, by series."""
    values = Frame.objects.filter(tier=TICK).order_by("-at").first().mean
    return {one.series: values[one.id - 1] for one in store.read_series() if one.id <= len(values)}


def test_a_frame_holds_rates_of_counters_and_sums_of_gauges_of_all_processes() -> None:
    publish(CHAIN)
    collector = Collector()

    def report(life: uuid.UUID, kind: str, seen: float, count: float) -> None:
        store.insert_report(
            store.Report(
                life, kind, "here", 1, datetime.now(UTC) - timedelta(hours=1),
                ["=erip_processes", '+erip_db_waits_total{database="default"}'], [1.0, count], None,
            )
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE monitoring_component SET seen_at = clock_timestamp() - make_interval(secs => %s)"
                " WHERE life = %s",
                [seen, life],
            )

    lives = [uuid.uuid4(), uuid.uuid4()]
    for life in lives:
        report(life, "worker", 5.0, 100.0)
    assert collector.tick()
    assert frame()[series("erip_processes", component="worker")] == 2
    forget_the_last_frame()

    engine.start_runs("chain", [engine.StartRequest({"times": 1})] * 3, principal="t")
    report(lives[0], "worker", 0.0, 150.0)
    report(lives[1], "worker", 0.0, 125.0)
    assert collector.tick()

    found = frame()
    # 50 and 25 more in five seconds each, and in the moments that the test took.
    assert 7 < found[series("erip_db_waits_total", component="worker", database="default")] <= 15
    assert found[series("erip_lane_waiting_steps", lane="standard")] == 3
    assert found[series("erip_lane_waiting_steps", lane="critical")] == 0
    assert {one.metric for one in found} - MEANINGS.keys() == {"erip_processes", "erip_db_waits_total"}


def test_of_two_collectors_one_writes_each_tick_and_either_may_be_it() -> None:
    one, other = Collector(), Collector()
    now = datetime.now(UTC).timestamp()
    if now % TICK > TICK - 1:
        until(lambda: datetime.now(UTC).timestamp() % TICK < 1)

    assert [one.tick(), other.tick(), one.tick()] == [True, False, False]
    assert Frame.objects.filter(tier=10).count() == 1
    # The one that wrote the last frame comes first at the next tick.
    assert one.rest(0.0) < other.rest(0.0) or not one.tick()

    forget_the_last_frame()
    assert other.tick()


def test_series_beyond_the_limit_are_added_up_and_places_are_kept() -> None:
    store.learn_series([(series("erip_a"), False), (series("erip_b", lane="high"), True)])
    store.learn_series([(series("erip_b", lane="high"), True), (series("erip_c"), False)])

    assert [(one.id, str(one.series), one.rate) for one in store.read_series()] == [
        (1, "erip_a", False),
        (2, 'erip_b{lane="high"}', True),
        (3, "erip_c", False),
    ]


def fill(start: datetime, values: list[float | None], tier: int = TICK) -> None:
    """Frames of one series, `erip_x`, which is in the second place."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO monitoring_frame (tier, at, mean) VALUES (%s, %s, %s::real[])",
            [(tier, start + timedelta(seconds=tier * (n + 1)), [None, value]) for n, value in enumerate(values)],
        )


def test_coarser_frames_hold_mean_lowest_highest_and_last_and_unknown_is_not_zero() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    fill(start, [1.0, 2.0, None, 4.0, 9.0, 2.0, *[None] * 6, 5.0])

    assert store.roll_up(start + timedelta(seconds=125), most=10) == 2
    assert store.roll_up(start + timedelta(seconds=130), most=10) == 0, "made once"

    minutes = list(Frame.objects.filter(tier=60).order_by("at"))
    assert [one.at for one in minutes] == [start + timedelta(seconds=60 * n) for n in (1, 2)]
    first = minutes[0]
    assert (first.mean[1], first.low[1], first.high[1], first.last[1]) == (pytest.approx(3.6), 1.0, 9.0, 2.0)
    assert (first.mean[0], minutes[1].mean[1]) == (None, None)


def test_hours_are_made_of_minutes_also_after_a_long_pause() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    fill(start, [float(n) for n in range(360)] + [7.0])
    now = start + timedelta(seconds=3_610)

    while store.roll_up(now, most=10):
        pass

    assert Frame.objects.filter(tier=60).count() == 60
    hour = Frame.objects.get(tier=3_600)
    assert (hour.mean[1], hour.low[1], hour.high[1], hour.last[1]) == (pytest.approx(179.5), 0.0, 359.0, 359.0)


def test_frames_are_forgotten_when_their_time_is_over() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for tier in TIERS:
        fill(now - timedelta(seconds=tier.kept + 2 * tier.seconds), [1.0, 1.0, 1.0], tier.seconds)

    assert store.drop_old_frames(now, most=100) == 6
    assert Frame.objects.count() == 3


# --- queries ----------------------------------------------------------------------------------------------


def known_series() -> None:
    Place.objects.create(id=1, metric="erip_lane_waiting_steps", labels={"lane": "high"}, rate=False)
    Place.objects.create(id=2, metric="erip_lane_waiting_steps", labels={"lane": "bulk"}, rate=False)


def test_a_metric_is_read_by_label_and_gaps_stay_gaps(api: Api) -> None:
    known_series()
    until_ = work.clock().replace(second=0, microsecond=0)
    with connection.cursor() as cursor:
        for back, values in ((20, [1.0, 10.0]), (10, [3.0, None]), (0, [5.0, 30.0])):
            cursor.execute(
                "INSERT INTO monitoring_frame (tier, at, mean) VALUES (10, %s, %s::real[])",
                [until_ - timedelta(seconds=back), values],
            )
    asked: dict[str, Any] = {"metric": "erip_lane_waiting_steps", "range": "5m", "end": until_.isoformat()}

    answer = api.get("/metrics/query", **asked, by="lane", step="10s").json()
    assert (answer["tier"], answer["step"], answer["rate"]) == (10, 10, False)
    lines = {one["labels"]["lane"]: [point[1] for point in one["points"]] for one in answer["lines"]}
    assert lines == {"high": [1.0, 3.0, 5.0], "bulk": [10.0, 30.0]}

    together = api.get("/metrics/query", **asked, step="1m").json()["lines"]
    assert [point[1:] for point in together[0]["points"]] == [[pytest.approx((11 + 3 + 35) / 3), 3.0, 35.0]]
    assert together[0]["labels"] == {}


def test_a_range_of_which_the_finest_frames_are_forgotten_is_read_from_those_that_are_kept(api: Api) -> None:
    known_series()
    until_ = work.clock().replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
    with connection.cursor() as cursor:
        for tier, value in ((60, 2.0), (3_600, 7.0)):
            cursor.execute(
                "INSERT INTO monitoring_frame (tier, at, mean, low, high, last)"
                " SELECT %s, %s, v, v, v, v FROM (SELECT ARRAY[%s]::real[] AS v) AS one",
                [tier, until_, value],
            )

    answer = api.get("/metrics/query", metric="erip_lane_waiting_steps", range="1h", end=until_.isoformat()).json()

    assert answer["tier"] == 60
    assert [point[1] for line in answer["lines"] for point in line["points"]] == [2.0]


def test_callers_who_ask_the_same_before_the_next_frame_cost_no_statement_more(api: Api) -> None:
    collector = Collector()
    assert collector.tick()
    # The first one may be asked right at the end of a tick; of three in a row at most one can be.
    counts = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as asked:
            api.get("/metrics/query", metric="erip_lane_waiting_steps", range="1h")
        counts.append(sum("monitoring_frame" in one["sql"] for one in asked.captured_queries))
    assert sorted(counts)[0] == 0
    assert sum(counts) <= 2


def test_a_query_is_refused_with_all_that_is_wrong_with_it(api: Api) -> None:
    known_series()

    answer = api.get("/metrics/query", metric="erip_lane_waiting_stepz", range="5x", step="1s", by="x", more="1")
    assert answer.status_code == 400
    assert {fault["path"] for fault in answer.json()["faults"]} == {"range", "step", "more"}

    answer = api.get("/metrics/query", metric="erip_lane_waiting_stepz", range="30d", step="1m")
    faults = {fault["path"]: fault["message"] for fault in answer.json()["faults"]}
    assert answer.status_code == 400
    assert "similar: erip_lane_waiting_steps" in faults["metric"]
    assert "at most 1000 points" in faults["step"] or "more than 1000 points" in faults["step"]

    answer = api.get("/metrics/query", metric="erip_lane_waiting_steps", by="queue,lane")
    assert [fault["path"] for fault in answer.json()["faults"]] == ["by"]
    for bad in ("\0", "x" * 201, "'; DROP TABLE monitoring_frame; --", "ⅷ"):
        assert api.get("/metrics/query", metric=bad).status_code == 400


def test_metrics_are_listed_and_need_a_key(api: Api) -> None:
    known_series()

    assert api.get("/metrics").json() == {
        "items": [{"metric": "erip_lane_waiting_steps", "rate": False, "labels": ["lane"], "series": 2}]
    }
    for path in ("/metrics", "/metrics/query?metric=x", "/health"):
        assert Api().get(path).status_code == 401


def test_a_day_of_many_series_is_read_from_few_frames(django_assert_max_num_queries: Any) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_frame (tier, at, mean) SELECT 10, %s - make_interval(secs => 10 * n), '{1,2}'"
            " FROM generate_series(0, 8639) n",
            [now],
        )
    with django_assert_max_num_queries(1):
        points = store.read_points(
            {0: [1, 2]}, Reading(TIERS[0], 600), since=now - timedelta(days=1), until=now, add_up=True
        )
    assert len(points[0]) == 144
    assert {mean for _, mean, _, _ in points[0]} == {3.0}


@pytest.mark.parametrize("add_up", [True, False])
def test_a_group_may_have_more_series_than_a_function_has_arguments(add_up: bool) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_frame (tier, at, mean, low, high) SELECT 60, %s, v, v, v"
            " FROM (SELECT array_agg(CASE WHEN n > 10 THEN n END ORDER BY n)::real[] AS v"
            " FROM generate_series(1, 410) n) frame",
            [now],
        )
    groups = {0: list(range(1, 411)), 1: [1, 2, 3], 2: []}
    points = store.read_points(groups, Reading(TIERS[1], 60), since=now - timedelta(hours=1), until=now, add_up=add_up)
    known = range(11, 411)
    want = (sum(known),) * 3 if add_up else (sum(known) / 400, 11.0, 410.0)
    assert points == {0: [(now.timestamp(), *map(pytest.approx, want))], 1: [], 2: []}


# --- health -----------------------------------------------------------------------------------------------


def of(answer: dict[str, Any]) -> dict[str, str]:
    return {one["component"]: one["state"] for one in answer["components"]}


def test_the_health_names_the_cause_while_redis_is_away_and_when_it_is_back(settings: Any) -> None:
    with private_servers(postgres=False) as (_, server):
        assert server is not None
        settings.ERIP_BROKER_URL = server.url
        settings.ERIP_PULSE_EVERY_SECONDS = 0.2
        conf.cache_clear()
        for kind in ("web", "worker", "leader"):
            Reporter(kind).report()
        api = Api(key(Scope.VIEWER))

        answer = api.get("/health").json()
        assert of(answer) == dict.fromkeys(["postgresql", "redis", "disk", "web", "worker", "leader"], "ok")
        assert answer["sentence"] == "Everything that is watched works."

        server.kill()
        until(lambda: of(api.get("/health").json())["redis"] == "down")
        answer = api.get("/health").json()
        assert (answer["state"], answer["cause"]) == ("down", "redis")
        assert "It affects worker" in answer["sentence"]
        redis = next(one for one in answer["components"] if one["component"] == "redis")
        assert redis["needed_by"] == ["worker"]
        assert redis["since"] is not None

        server.start()
        until(lambda: of(api.get("/health").json())["redis"] == "ok")


def test_what_changed_is_recorded_with_its_moment() -> None:
    Reporter("leader").report()
    watching.ask(3.0)
    Collector().tick()
    before = ComponentState.objects.get(component="leader")
    assert before.state == "ok"

    Component.objects.all().delete()
    forget_the_last_frame()
    Collector().tick()

    after = ComponentState.objects.get(component="leader")
    assert after.state == "unknown"
    assert after.sentence.startswith("The reports of leaders were lost")
    assert after.since > before.since


def test_the_health_answers_while_postgresql_is_away_and_while_it_is_silent(tmp_path: Path) -> None:
    """A real web process, and a path to PostgreSQL that is cut and that swallows everything."""
    db = connection.settings_dict
    token = key(Scope.VIEWER)
    with Relay((str(db["HOST"]), int(db["PORT"]))) as path:
        url = f"postgres://{db['USER']}:{db['PASSWORD']}@127.0.0.1:{path.port}/{db['NAME']}"
        with web(tmp_path / "web.log", DATABASE_URL=url, ERIP_PULSE_EVERY_SECONDS="0.5") as started:

            def ask() -> dict[str, Any]:
                answer = httpx.get(
                    f"{started.url}/api/v1/health", headers={"Authorization": f"Bearer {token}"}, timeout=20
                )
                return dict(answer.json()) if answer.status_code == 200 else {"components": []}

            until(lambda: of(ask()).get("web") == "ok", what="it reports")
            path.cut()
            until(lambda: of(ask()).get("postgresql") == "down", what="it is seen")
            path.mend()
            until(lambda: of(ask()).get("postgresql") == "ok", what="it is seen to be back")
            path.swallow()
            until(lambda: of(ask()).get("postgresql") == "down", what="silence is seen, too")
            until(lambda: of(ask()).get("web") == "unknown", what="old reports are not green")
            answer = ask()
            assert answer["cause"] == "postgresql"
            assert "affects web, worker, leader" in answer["sentence"]


def test_workers_and_leaders_report_collect_and_say_farewell(tmp_path: Path) -> None:
    publish(CHAIN)
    log = tmp_path / "log"
    with leader(log) as leading, worker(log) as working:
        until(lambda: set(Component.objects.values_list("kind", flat=True)) == {"leader", "worker"})
        until(lambda: Component.objects.filter(kind="leader", observed__isnull=False), what="the leader looks")
        until(Frame.objects.exists, what="the leader collects")
        for process in (leading, working):
            kill(process, signal.SIGTERM)
        assert not Component.objects.filter(stopped_at=None).exists()


# --- anomalies --------------------------------------------------------------------------------------------


def test_what_is_unusual_for_this_hour_of_the_week_is_listed_first_and_its_hours_are_marked(api: Api) -> None:
    collector = Collector()
    assert collector.tick()
    place = next(one.id for one in store.read_series("erip_run_deadlines_past"))
    answer = api.get("/anomalies").json()
    assert {one["state"] for one in answer["items"]} == {"not_enough_data"}, "and none of them is called usual"
    assert answer["marks"] == []

    with connection.cursor() as cursor:
        # Five weeks of hours with 2 or 3 of them; the hour that ended last had 50, and now there are 40.
        cursor.execute(
            """
            INSERT INTO monitoring_frame (tier, at, mean)
            SELECT 3600, date_trunc('hour', now()) - make_interval(hours => n),
                   array_fill(NULL::real, ARRAY[%(place)s - 1]) || (CASE WHEN n = 0 THEN 50 ELSE 2 + n %% 2 END)::real
            FROM generate_series(-1, 5 * 168) AS n WHERE n >= 0
            """,
            {"place": place},
        )
        cursor.execute("UPDATE monitoring_frame SET mean[%s] = 40 WHERE tier = 10", [place])
    anomalies.forget()
    answer = api.get("/anomalies", range="6h").json()

    first = answer["items"][0]
    assert (first["metric"], first["state"], first["value"]) == ("erip_run_deadlines_past", "unusual", 40.0)
    assert first["weeks"] >= 4
    assert "more than usual" in first["sentence"]
    assert [(one["metric"], one["value"]) for one in answer["marks"]] == [("erip_run_deadlines_past", 50.0)]
    assert api.get("/anomalies", range="90d").status_code == 400

    said = io.StringIO()
    call_command("pulse", "anomalies", stdout=said)
    assert "runs past their deadline: 40, more than usual" in said.getvalue()
    said = io.StringIO()
    call_command("pulse", "anomalies", "--json", stdout=said)
    assert json.loads(said.getvalue())["items"][0]["state"] == "unusual"


def test_tail_tells_what_changes() -> None:
    said = io.StringIO()
    call_command("pulse", "tail", "--json", "--for", "1", stdout=said)

    told = [json.loads(line) for line in said.getvalue().splitlines()]
    assert {"postgresql", "redis", "web"} <= {one["of"] for one in told}
    assert all(one["at"].endswith("Z") and one["sentence"] for one in told)
