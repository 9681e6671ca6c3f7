"""Probes: what they say, what they cost, and when they take a process out of rotation."""

import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from django.db import connection

from erip import health
from erip.foundation.process.probing import Probe
from erip.ops.stack.servers import private_servers
from tests.definitions import CHAIN, publish
from tests.support.web import status, web
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    health.forget()
    yield
    health.forget()


class Dependency:
    """A service that answers, or does not, and counts how often it is asked."""

    def __init__(self) -> None:
        self.well = True
        self.asked = 0

    def ask(self) -> None:
        self.asked += 1
        if not self.well:
            raise ConnectionError("refused")


def look_at(probe: Probe) -> bool:
    """Whether the probe is well, once it has asked again."""
    before = probe.questions
    until(lambda: probe.refresh() is not None or probe.questions > before)
    probe.look()
    return probe.ok()


def test_hundreds_of_looks_at_once_ask_one_question() -> None:
    answer, asked = threading.Event(), []

    def ask() -> None:
        asked.append(1)
        answer.wait(30)

    probe = Probe("slow", ask, known_for=60, patience=30)
    with ThreadPoolExecutor(100) as pool:
        looks = [pool.submit(probe.look) for _ in range(300)]
        until(lambda: asked)
        answer.set()
        for look in looks:
            look.result(30)
    assert (len(asked), probe.ok()) == (1, True)


def test_a_failure_is_forgiven_for_the_grace_and_only_to_what_has_answered_before() -> None:
    new = Dependency()
    new.well = False
    never = Probe("never", new.ask, known_for=0.01, patience=1)
    assert not look_at(never)
    assert not never.ok_within(60)

    known = Dependency()
    probe = Probe("known", known.ask, known_for=0.01, patience=1)
    assert look_at(probe)
    known.well = False
    assert not look_at(probe)
    assert probe.error == "refused"
    assert probe.ok_within(60)
    time.sleep(0.05)
    look_at(probe)
    assert not probe.ok_within(0.05), "the grace counts from the first failure, not from the last"
    known.well = True
    assert look_at(probe)


def test_a_question_that_hangs_is_a_failure_and_nobody_waits_for_it_longer_than_its_patience() -> None:
    hangs = threading.Event()
    waits = [False]
    probe = Probe("hangs", lambda: hangs.wait(60) if waits[0] else None, known_for=0.01, patience=0.1)
    assert look_at(probe)
    waits[0] = True
    until(lambda: probe.refresh() is not None)
    probe.look()
    until(lambda: not probe.ok())
    assert probe.ok_within(60)
    hangs.set()


def test_a_started_process_says_so_and_one_without_workflows_says_why(tmp_path: Path, transactional_db: None) -> None:
    with web(tmp_path / "web.log") as started:
        assert status(f"{started.url}/health/startup") == 503
        publish(CHAIN)
        until(lambda: status(f"{started.url}/health/startup") == 200, what="the published workflow is seen")
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE django_migrations RENAME TO django_migrations_away")
        try:
            assert status(f"{started.url}/health/startup") == 200, "what has started stays started"
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE django_migrations_away RENAME TO django_migrations")


def test_a_flood_of_probes_costs_the_database_a_query_or_two_a_second(tmp_path: Path) -> None:
    with web(tmp_path / "web.log") as started:
        assert status(f"{started.url}/health/ready") == 200

        def queries() -> int:
            """Statements that the process's probe has begun: each is a new moment of its one connection."""
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND query = 'SELECT 1' AND pid <> pg_backend_pid()"
                )
                return cursor.fetchone()[0]

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(status, [f"{started.url}/health/ready"] * 400))
        assert set(answers) == {200}
        assert queries() == 1, "one connection for all the probes of a process"


def test_any_host_may_be_named_and_heads_have_no_body(tmp_path: Path) -> None:
    with web(tmp_path / "web.log", DJANGO_SETTINGS_MODULE="erip.settings.local") as started:
        request = urllib.request.Request(f"{started.url}/health/live", headers={"Host": "10.1.2.3"}, method="HEAD")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert (answer.status, answer.read()) == (200, b"")


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_ready_outlasts_a_failover_and_ends_with_a_database_that_stays_away(tmp_path: Path, fault: str) -> None:
    with (
        private_servers(redis=False, fsync=False) as (postgres, _),
        web(tmp_path / "web.log", DATABASE_URL=postgres.url, ERIP_READY_GRACE_SECONDS="3") as started,
    ):
        ready = f"{started.url}/health/ready"
        assert status(ready) == 200
        frozen = psutil.Process(postgres.pid).children(recursive=True)
        getattr(postgres, fault)()
        if fault == "pause":
            # Together with its backends, as when a node freezes.
            for backend in frozen:
                backend.suspend()
        failed = time.monotonic()
        seen: list[tuple[float, int]] = []

        def out() -> bool:
            seen.append((time.monotonic() - failed, status(ready)))
            return seen[-1][1] == 503

        until(out, what="a database that stays away takes the process out")
        assert seen[0][1] == 200, "not at the first failure"
        assert seen[-1][0] >= 3
        assert status(f"{started.url}/health/live") == 200, "killing the process would fix nothing"
        for backend in frozen if fault == "pause" else ():
            backend.resume()
        postgres.resume()
        postgres.start()
        until(lambda: status(ready) == 200, what="it is back by itself")
