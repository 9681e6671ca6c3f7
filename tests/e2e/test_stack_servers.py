"""Private servers, started, killed and started again; and a command run against them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
import redis
from django.conf import settings

from erip.ops.stack.processes import Identity, wait_until
from erip.ops.stack.servers import private_servers
from erip.ops.stack.state import ROOT


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("ERIP_STATE_DIR", str(settings.ERIP_STATE_DIR))


def query(url: str, sql: str):
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()


def test_what_was_committed_survives_a_kill_of_both_servers():
    with private_servers() as (postgres, broker):
        query(postgres.url, "CREATE TABLE kept AS SELECT 42 AS answer")
        redis.Redis.from_url(broker.url).set("kept", "42")
        postgres.kill()
        with pytest.raises(psycopg2.OperationalError):
            query(postgres.url, "SELECT 1")
        assert postgres.pid is None
        postgres.start()
        broker.stop()
        broker.start()
        assert query(postgres.url, "SELECT answer FROM kept") == (42,)
        assert redis.Redis.from_url(broker.url).get("kept") == b"42"
        pids = [postgres.pid, broker.pid]
    assert all(Identity.of(pid) is None for pid in pids)


def test_postgres_is_safe_by_default():
    with private_servers(redis=False) as (postgres, _):
        role = "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        assert query(postgres.url, role) == (False, True, False)
        assert query(postgres.url, "SHOW data_checksums") == ("on",)
        assert query(postgres.url, "SHOW fsync") == ("on",)
        assert query(postgres.url, "SHOW listen_addresses") == ("127.0.0.1",)
        assert not Path(f"/tmp/.s.PGSQL.{postgres.port}").exists()
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            query(postgres.url.replace(postgres.kind.password, "guess"), "SELECT 1")


def test_the_broker_wants_its_password_and_hides_it():
    with private_servers(postgres=False) as (_, broker):
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(port=broker.port).ping()
        assert not any(broker.kind.password in word for word in broker.kind.command)
        assert (broker.kind.data / "server.conf").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop privileges")
def test_started_by_root_the_servers_run_as_somebody_else():
    import psutil

    with private_servers() as (postgres, broker):
        assert psutil.Process(postgres.pid).uids().real != 0
        assert psutil.Process(broker.pid).uids().effective != 0


def with_servers(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "erip.ops.stack", "with-servers", "--", *words],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_is_given_servers_and_its_exit_status_is_ours():
    script = "import os, sys; print(os.environ['DATABASE_URL'], os.environ['ERIP_BROKER_URL']); sys.exit(7)"
    done = with_servers(sys.executable, "-c", script, DATABASE_URL="", ERIP_BROKER_URL="")
    assert done.returncode == 7
    database, broker = done.stdout.split()
    with pytest.raises(psycopg2.OperationalError):
        query(database, "SELECT 1")
    assert broker.startswith("redis://:")


def test_servers_that_are_named_already_are_used_and_none_is_started():
    script = "import os; print(os.environ['DATABASE_URL'], os.environ['ERIP_BROKER_URL'])"
    done = with_servers(sys.executable, "-c", script, DATABASE_URL="postgres://here", ERIP_BROKER_URL="redis://there")
    assert done.stdout.split() == ["postgres://here", "redis://there"]


def test_an_unknown_command_is_one_line():
    done = with_servers("no-such-command", DATABASE_URL="postgres://here", ERIP_BROKER_URL="redis://there")
    assert (done.returncode, done.stderr.strip()) == (1, "✗ No such command: no-such-command")


def test_servers_die_with_a_killed_caller():
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; from erip.ops.stack.servers import private_servers\n"
            "with private_servers() as (p, r): print(p.pid, r.pid, p.kind.home, flush=True); time.sleep(600)",
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    postgres, broker, home = process.stdout.readline().split()
    servers = [Identity.of(int(postgres)), Identity.of(int(broker))]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert wait_until(lambda: not any(server.alive for server in servers), 60)
    subprocess.run(["rm", "-rf", home], check=True)
