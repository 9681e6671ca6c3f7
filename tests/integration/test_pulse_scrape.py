"""GET /metrics on a real database: one statement, both formats, and what it shows while nothing is known."""

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from erip.access.scopes import Scope
from monitoring import exposing, store
from monitoring.alerting import shipped
from monitoring.collecting import Collector
from monitoring.conf import conf
from monitoring.core.frames import TICK
from monitoring.core.rules import read_rule
from monitoring.core.series import Series, series
from monitoring.models import Component
from monitoring.otlp import Exporter
from tests.definitions import CHAIN, publish
from tests.support.api import key
from tests.support.otlp import collector_of_opentelemetry
from tests.support.relay import Relay
from tests.support.web import web
from tests.workers import until, worker

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = series("erip_db_waits_total", component="worker", database="default")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture(autouse=True)
def no_places_are_known_yet() -> Iterator[None]:
    exposing.forget()
    yield
    exposing.forget()
    conf.cache_clear()


def read(body: str) -> dict[Series, float]:
    families = read_openmetrics(body) if body.endswith("# EOF\n") else read_text(body)
    return {series(one.name, **one.labels): one.value for family in families for one in family.samples}


def scrape(token: str, accept: str = "") -> dict[Series, float]:
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {token}", "Accept": accept})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/openmetrics-text" if accept else "text/plain; version=0.0.4")
    return read(answer.content.decode())


def a_tick_later() -> None:
    """As if ten seconds had passed: what the database's clock is compared with is moved."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_frame SET at = at - interval '10 s' WHERE tier = 10")
        cursor.execute("UPDATE monitoring_total SET at = at - interval '10 s'")


def report(life: uuid.UUID, count: float, *, began: float = 3_600.0) -> None:
    store.insert_report(
        store.Report(
            life, "worker", "here", 1, datetime.now(UTC) - timedelta(seconds=began),
            ["=erip_processes", '+erip_db_waits_total{database="default"}'], [1.0, count], None,
        )
    )  # fmt: skip


def test_a_scrape_is_one_statement_and_shows_the_whole_cluster_in_both_formats() -> None:
    token = key(Scope.VIEWER)
    collector = Collector()
    lives = [uuid.uuid4() for _ in range(30)]
    for life in lives:
        report(life, 100.0)
    assert collector.tick()
    a_tick_later()
    for life in lives:
        report(life, 103.0)
    assert collector.tick()

    found = scrape(token)
    assert found[series("erip_processes", component="worker")] == 30
    assert found[WAITS] == 90
    assert found[series("erip_lane_waiting_steps", lane="critical")] == 0
    assert found[series(exposing.STALE)] == 0
    assert found[series(exposing.AGE)] < TICK * 3
    assert scrape(token, OPENMETRICS).keys() == found.keys()

    with CaptureQueriesContext(
        connection,
    ) as queries:
        scrape(token)
    assert sum("monitoring_" in one["sql"] for one in queries.captured_queries) == 1


def test_a_counter_only_rises_whichever_process_ends_and_whoever_collects() -> None:
    token = key(Scope.VIEWER)
    collectors = [Collector(), Collector()]
    lives = {uuid.uuid4(): 1_000.0, uuid.uuid4(): 5.0}
    before, expected = 0.0, 0.0
    for turn in range(8):
        if turn == 3:  # the life that had counted most is killed and forgotten, and another one begins
            old, new = next(iter(lives)), uuid.uuid4()
            Component.objects.filter(life=old).delete()
            del lives[old]
            lives[new] = 0.0
        for life in lives:
            if turn:
                lives[life] += 7
                expected += 7
            report(life, lives[life], began=0.01 if lives[life] == 7 else 3_600.0)
        # Each sees every tick, whoever writes it.
        assert [one.tick() for one in collectors[:: 1 if turn % 2 else -1]] == [True, False]
        found = scrape(token).get(WAITS, 0.0)
        assert found >= before
        before = found
        a_tick_later()
    assert before == expected


def test_a_collector_that_was_frozen_adds_its_share_of_the_time_that_others_left() -> None:
    def total() -> list[float | None]:
        found = store.read_latest(TICK)
        assert found is not None
        return list(found.totals)

    at = datetime(2026, 1, 1, tzinfo=UTC)
    store.append_frame(at, [])
    store.add_totals(at, [5.0, None], seconds=10.0, tick=TICK)
    store.add_totals(at, [1_000.0], seconds=10.0, tick=TICK)
    assert total() == [5.0, None], "a tick is added once"
    store.add_totals(at + timedelta(seconds=10), [5.0, None, 1.0], seconds=12.0, tick=TICK)
    assert total() == [10.0, None, 1.0]
    # It counted over 300 s, of which others have added all but the last ten.
    store.add_totals(at + timedelta(seconds=20), [300.0, 3.0], seconds=300.0, tick=TICK)
    assert total() == [20.0, pytest.approx(0.1), 1.0]
    # Nobody collected for five minutes: all of what was counted counts.
    store.add_totals(at + timedelta(seconds=320), [300.0], seconds=301.0, tick=TICK)
    assert total() == [320.0, pytest.approx(0.1), 1.0]


def test_a_key_is_needed_and_any_scope_will_do() -> None:
    assert Client().get("/metrics").status_code == 401
    assert Client().get("/metrics", headers={"Authorization": "Bearer nonsense"}).status_code == 401
    for scope in Scope:
        assert scrape(token := key(scope))[series(exposing.STALE)] == 1
    assert Client().post("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 405


def test_old_values_are_not_shown_as_new_ones() -> None:
    token = key(Scope.VIEWER)
    report(uuid.uuid4(), 1.0)
    Collector().tick()
    assert series("erip_processes", component="worker") in scrape(token)

    for _ in range(4):
        a_tick_later()

    found = scrape(token, OPENMETRICS)
    assert found[series(exposing.STALE)] == 1
    assert found[series(exposing.AGE)] > exposing.STALE_AFTER
    assert all(dict(one.labels).get("process") for one in found if one.metric not in (exposing.STALE, exposing.AGE))
    assert any(one.metric == "erip_process_memory_bytes" for one in found)


def test_it_answers_while_postgresql_is_away(tmp_path: Path) -> None:
    """A real web process, and a path to PostgreSQL that is cut."""
    db: Any = connection.settings_dict
    headers = {"Authorization": f"Bearer {key(Scope.VIEWER)}"}
    Collector().tick()
    with Relay((str(db["HOST"]), int(db["PORT"]))) as path:
        url = f"postgres://{db['USER']}:{db['PASSWORD']}@127.0.0.1:{path.port}/{db['NAME']}"
        with web(tmp_path / "web.log", DATABASE_URL=url) as started:

            def ask() -> dict[Series, float]:
                answer = httpx.get(f"{started.url}/metrics", headers=headers, timeout=20)
                return read(answer.text) if answer.status_code == 200 else {}

            until(lambda: series(exposing.STALE) in ask())
            path.cut()
            until(lambda: ask().get(series(exposing.STALE)) == 1 and series(exposing.AGE) not in ask())
            assert any(one.metric == "erip_process_memory_bytes" for one in ask())


def test_runs_steps_and_requests_are_timed_where_they_happen(tmp_path: Path) -> None:
    """A web process accepts runs, a worker runs them, and both report what they counted."""
    publish(CHAIN)
    headers = {"Authorization": f"Bearer {key(Scope.OPERATOR)}"}
    start = {"input": {"times": 1}}
    with worker(tmp_path / "worker.log"), web(tmp_path / "web.log") as started:
        for _ in range(3):
            httpx.post(f"{started.url}/api/v1/workflows/chain/runs", json=start, headers=headers, timeout=20)
        httpx.post(
            f"{started.url}/api/v1/workflows/chain/runs",
            json=start,
            headers={**headers, "Prefer": "wait=30"},
            timeout=40,
        )
        httpx.get(f"{started.url}/api/v1/runs/{uuid.uuid4()}", headers=headers, timeout=20)

        def reported(kind: str, *wanted: tuple[str, float]) -> bool:
            one = Component.objects.filter(kind=kind).first()
            known = dict(zip(one.series, one.values, strict=True)) if one else {}
            return all(known.get(f"+{name}") == value for name, value in wanted)

        runs = '{outcome="SUCCEEDED",workflow="chain"}'
        work = '{outcome="succeeded",uses="sample.work"}'
        until(
            lambda: reported(
                "worker",
                (f"erip_run_seconds_count{runs}", 4.0),
                (f"erip_step_seconds_count{work}", 12.0),
                ('erip_step_wait_seconds_count{lane="standard"}', 4.0),
            ),
            what="the worker has counted",
        )
        until(
            lambda: reported(
                "web",
                ('erip_http_request_seconds_count{route="POST /api/v1/workflows/{name}/runs"}', 3.0),
                ('erip_http_request_seconds_count{route="POST /api/v1/workflows/{name}/runs (waits)"}', 1.0),
                ('erip_http_requests_total{route="GET /api/v1/runs/{id}",status="4xx"}', 1.0),
            ),
            what="the web process has counted",
        )


def test_the_rules_in_force_are_exported_with_those_of_this_site(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = {
        "name": "redis-down", "summary": "ours", "severity": "page", "metric": "erip_component_up",
        "where": {"component": "redis"}, "below": 0.25, "component": "redis",
    }  # fmt: skip
    store.put_rule("redis-down", read_rule(own), by="test")
    store.put_rule("no-web", None, by="test")

    page = (Path(__file__).parents[2] / "docs" / "how-to" / "prometheus.md").read_text("utf-8")
    rule_file, alertmanager = re.findall(r"^manage.py (.*?) +#", page, re.MULTILINE)

    call_command(*rule_file.split())
    rules = {one["alert"]: one for one in yaml.safe_load(capsys.readouterr().out)["groups"][0]["rules"]}
    call_command(*alertmanager.split())
    inhibits = yaml.safe_load(capsys.readouterr().out)["inhibit_rules"]

    assert rules["redis-down"]["annotations"]["summary"] == "ours"
    assert rules.keys() == {*shipped(), "erip-not-seen"} - {"no-web"}
    # It is a page now, and keeps pages back.
    assert ['component="redis"', 'severity=~"page"'] in [one["source_matchers"] for one in inhibits]
    assert "no-web" not in str(inhibits)


# --- OTLP -------------------------------------------------------------------------------------------------


def test_the_leader_that_wrote_a_frame_sends_it(settings: Any) -> None:
    report(uuid.uuid4(), 1.0)
    with collector_of_opentelemetry([503, 200]) as (url, came):
        settings.ERIP_OTLP_ENDPOINT, settings.ERIP_OTLP_HEADERS = url, ["x-key=se=cret"]
        conf.cache_clear()
        exporter = Exporter()
        assert not exporter.send(), "this process wrote no frame"
        Collector().tick()
        exporter.note()
        assert not exporter.send(), "it was not taken"
        exporter.note()
        assert exporter.send()
        assert not exporter.send(), "and once is enough"
        exporter.close()
    headers, body = came[-1]
    assert len(came) == 2
    assert (headers["path"], headers["x-key"], headers["content-type"]) == (
        "/otlp/v1/metrics", "se=cret", "application/json",
    )  # fmt: skip
    metrics = {one["name"]: one for one in body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]}
    assert metrics["erip_processes"]["gauge"]["dataPoints"][0]["asDouble"] == 1.0
    assert "erip_lane_waiting_steps" in metrics


def test_without_an_endpoint_nothing_of_it_is_loaded() -> None:
    code = (
        "import django, sys; django.setup(); from monitoring import collecting;"
        "parts = ('opentelemetry', 'monitoring.otlp', 'monitoring.tracing', 'httpx');"
        "print([name for name in sys.modules if name.startswith(parts)])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr[-2_000:]
