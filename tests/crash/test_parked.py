"""Processes of a region that follows another one: loaded, and at work only once their PostgreSQL takes writes."""

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from django.core.management import call_command

from erip.ops.stack.servers import Server, private_servers
from erip.ops.stack.standby import as_superuser, promote, standby_of
from tests.definitions import CHAIN, publish
from tests.support.api import key
from tests.support.databases import forget_all, in_place_of_ours, reconfigure
from tests.support.web import Web, web
from tests.workers import ROOT, environment, process, until
from workflows import engine
from workflows.models import Worker, WorkflowRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

#: the name of the worker to Celery
NAME = "general@test"
WORKER = [
    "-m", "erip.worker", "--pool=threads", "-c", "4", "-Q", "critical,high,standard,bulk", "-n", NAME,
    "--without-mingle", "--without-gossip", "--loglevel=INFO",
]  # fmt: skip

#: a process that does not come to an end with its beginning
SLOW = """
import signal
import django
django.setup()
from erip.foundation.process import parked
parked.wait("slow@test")
signal.pause()
"""


@pytest.fixture
def regions(django_db_blocker: object) -> Iterator[tuple[Server, Server]]:
    """One that writes, and one that follows it."""
    with private_servers(redis=False, fsync=False) as (primary, _):
        with django_db_blocker.unblock(), in_place_of_ours(primary=primary.url):
            call_command("migrate", verbosity=0)
            forget_all()
        with standby_of(primary) as standby:
            yield primary, standby
    forget_all()


def answer(site: Web, path: str, token: str = "") -> tuple[int, dict[str, object], str]:
    """Status, document, Retry-After."""
    asked = urllib.request.Request(f"{site.url}{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(asked, timeout=10) as got:
            return got.status, json.load(got), ""
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), error.headers.get("Retry-After", "")


def sessions(server: Server) -> int:
    """Of the platform's role."""
    with closing(as_superuser(server.kind, "postgres")) as root, root.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", [server.kind.role])
        return int(cursor.fetchone()[0])


def deaf(pid: int) -> bool:
    """Whether all threads of a process but its main one block SIGTERM (proc(5), SigBlk)."""
    others = [task for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)]
    blocked = [re.search(r"^SigBlk:\s*(\w+)$", (task / "status").read_text(), re.MULTILINE) for task in others]
    return bool(blocked) and all(one and int(one[1], 16) >> (signal.SIGTERM - 1) & 1 for one in blocked)


def alive(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "erip.foundation.process.alive", name]
    told = environment() | {"ERIP_ALIVE_DIR": str(folder)}
    return subprocess.run(words, cwd=ROOT, env=told, capture_output=True, text=True, check=False)


def test_parked_processes_begin_when_their_region_is_promoted_and_not_before(
    regions: tuple[Server, Server], tmp_path: Path
) -> None:
    east, west = regions
    with in_place_of_ours(primary=east.url):
        publish(CHAIN)
        token = key()
        (run,) = engine.start_runs("chain", [engine.StartRequest({"times": 10})], principal="test")
    more = {
        "DATABASE_URL": west.url, "ERIP_AWAIT_PRIMARY": "true", "ERIP_ALIVE_DIR": str(tmp_path / "alive"),
    }  # fmt: skip
    logs = {name: tmp_path / f"{name}.log" for name in ("web", "worker", "leader")}
    with ExitStack() as stack:
        worker = stack.enter_context(process(WORKER, logs["worker"], **more))
        leader = stack.enter_context(process(["manage.py", "run_leader"], logs["leader"], **more))
        site = stack.enter_context(web(logs["web"], **more))
        # They stand by, and say so.
        stack.enter_context(process(["-c", SLOW], tmp_path / "slow.log", **more))
        for name in (NAME, "leader", "slow@test"):
            until(lambda name=name: ", parked" in alive(name, tmp_path / "alive").stdout, what=f"{name} is parked")
            assert alive(name, tmp_path / "alive").returncode == 0
        follows = {"status": "parked", "reason": "PostgreSQL follows another region"}
        until(lambda: answer(site, "/health/ready")[:2] == (503, follows), what="the web process is parked")
        assert answer(site, "/health/live")[0] == 200
        assert answer(site, "/health/startup")[:2] == (200, {"status": "parked"})
        status, problem, later = answer(site, f"/api/v1/runs/{run.id}", token)
        assert (status, problem["code"], later) == (503, "parked", "5")
        # Each asks on one connection, of which one may just be ending.
        until(lambda: sessions(west) <= 4, seconds=30, what="each holds one connection")
        (serves,) = psutil.Process(site.process.pid).children()
        with in_place_of_ours(primary=west.url):
            assert not Worker.objects.exists()
            # The same processes, once it is promoted.
            east.kill()
            promote(west)
            # Its startup probe was content long ago: it must not be killed because it takes a while to begin.
            file = tmp_path / "alive" / "slow@test"
            until(lambda: file.read_text() == "", what="its turn has come")
            turn = file.stat().st_mtime
            until(lambda: file.stat().st_mtime > turn + 5, what="its heartbeat goes on while it begins")
            until(lambda: answer(site, "/health/ready")[0] == 200, what="the web process serves")
            until(lambda: WorkflowRun.objects.get(pk=run.id).state == "SUCCEEDED", what="the run ends")
            assert Worker.objects.get(stopped_at=None).pid == worker.pid
        assert answer(site, f"/api/v1/runs/{run.id}", token)[0] == 200
        assert serves in psutil.Process(site.process.pid).children()
        until(lambda: "leader_elected" in logs["leader"].read_text(), what="the leader leads")
        assert leader.poll() is None
        for name in (NAME, "leader"):
            until(lambda name=name: ", parked" not in alive(name, tmp_path / "alive").stdout, what=f"{name} is at work")
            assert alive(name, tmp_path / "alive").returncode == 0
        # It hears that it is to end, and ends in good order: no other thread takes the signal for its main thread.
        assert deaf(leader.pid)
        leader.terminate()
        assert leader.wait(60) == 0
    for name, log in logs.items():
        written = log.read_text()
        assert written.count("turn_has_come") == 1, name
        waiting = written.partition("turn_has_come")[0]
        reasons = [json.loads(line)["because"] for line in waiting.splitlines() if '"parked"' in line]
        assert reasons, name
        assert all(one != other for one, other in pairwise(reasons)), "a line for each change, not for each look"
        assert "Traceback" not in waiting, name
    assert "read-only transaction" not in west.kind.log.read_text(), "nothing was tried to be written"


def test_a_worker_whose_region_follows_again_ends_so_that_it_is_started_parked(
    regions: tuple[Server, Server], tmp_path: Path
) -> None:
    east, _ = regions
    log = tmp_path / "worker.log"
    with (
        process(
            WORKER, log, DATABASE_URL=east.url, ERIP_AWAIT_PRIMARY="true", ERIP_SHUTDOWN_GRACE_SECONDS="2"
        ) as worker,
        in_place_of_ours(primary=east.url),
    ):
        until(lambda: Worker.objects.filter(stopped_at=None, pid=worker.pid).exists(), seconds=120, what="it works")
        assert "follows another" not in log.read_text(), "a region that writes waits for nothing"
        with closing(as_superuser(east.kind, "erip")) as root, root.cursor() as cursor:
            # As a standby answers.
            reconfigure(cursor, "default_transaction_read_only", "on")
        worker.wait(240)
    assert "turn_is_over" in log.read_text()


def contracted(server: Server) -> bool:
    """Whether what a later release leaves behind is there."""
    with closing(as_superuser(server.kind, "erip")) as root, root.cursor() as cursor:
        cursor.execute("SELECT FROM django_migrations WHERE name = '9999_takes_away'")
        return bool(cursor.rowcount == 1)


def test_processes_of_an_earlier_release_end_when_their_turn_comes_and_are_started_anew(
    regions: tuple[Server, Server], tmp_path: Path
) -> None:
    east, west = regions
    more = {"DATABASE_URL": west.url, "ERIP_AWAIT_PRIMARY": "true", "ERIP_ALIVE_DIR": str(tmp_path / "alive")}
    logs = {name: tmp_path / f"{name}.log" for name in ("web", "worker", "leader")}
    with ExitStack() as stack:
        worker = stack.enter_context(process(WORKER, logs["worker"], **more))
        leader = stack.enter_context(process(["manage.py", "run_leader"], logs["leader"], **more))
        site = stack.enter_context(web(logs["web"], **more))
        for name in logs:
            until(lambda name=name: "follows another" in logs[name].read_text(), seconds=120, what=f"{name} is parked")
        with closing(as_superuser(east.kind, "erip")) as root, root.cursor() as cursor:
            cursor.execute("COMMENT ON TABLE django_migrations IS 'Contracted: workflows.9999_takes_away'")
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('workflows', '9998_adds', now()),"
                " ('workflows', '9999_takes_away', now())"
            )
        until(lambda: contracted(west), what="the standby has it")
        east.kill()
        promote(west)
        assert (worker.wait(120), leader.wait(120)) == (1, 1)
        # The master, too: it would fork what it has loaded.
        assert site.process.wait(120) == 0
    for name, log in logs.items():
        written = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        (line,) = [one for one in written if one.get("event") == "release_is_older"]
        assert line["contracted"] == ["workflows.9999_takes_away"], name
        assert "turn_has_come" not in log.read_text(), name
    # Whatever is started then begins.
    with in_place_of_ours(primary=west.url), process(WORKER, tmp_path / "again.log", **more) as again:
        until(lambda: Worker.objects.filter(stopped_at=None, pid=again.pid).exists(), seconds=120, what="it works")
