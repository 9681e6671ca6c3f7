"""Behind a real PgBouncer in transaction mode: nothing that belongs to a session goes through it."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
from django.db import OperationalError, connection, connections, transaction

from erip.foundation.db import consistency, prepared
from erip.foundation.db.direct import SessionLock
from erip.foundation.db.router import reading_alias, reads_from_replica
from erip.ops.stack.binaries import SYSTEM_FOLDERS
from erip.ops.stack.ports import any_free
from erip.ops.stack.privileges import choose_user
from erip.ops.stack.processes import spawn, stop
from erip.ops.stack.servers import Server, private_servers
from erip.ops.stack.standby import as_superuser
from erip.ops.stack.state import State
from tests.support.databases import in_place_of_ours
from tests.support.listening import heard, listening
from tests.support.programs import needs
from tests.workers import until

PGBOUNCER = shutil.which("pgbouncer", path=SYSTEM_FOLDERS)

pytestmark = needs("pgbouncer")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with private_servers(redis=False, fsync=False) as (started, _):
        yield started


@pytest.fixture(scope="module")
def bouncer(server: Server) -> Iterator[str]:
    """The URL of the same database, through a pooler with two connections to the server."""
    parts = urlsplit(server.url)
    port, home = any_free(), server.kind.home / "pgbouncer"
    home.mkdir(mode=0o755)
    users, config = home / "users.txt", home / "pgbouncer.ini"
    users.write_text(f'"{parts.username}" "{parts.password}"\n')
    config.write_text(
        f"[databases]\nerip = host=127.0.0.1 port={server.port} dbname=erip\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = plain\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 2\n"
        f"server_connect_timeout = 2\nserver_login_retry = 0.2\nquery_wait_timeout = 10\n"
    )
    user = choose_user(State.from_environment())
    if user:
        for path in (home, users, config):
            shutil.chown(path, user.uid, user.gid)
    command: list[str | Path] = [PGBOUNCER, config]
    process = spawn(command, env={"PATH": "/usr/bin"}, log=home / "log", user=user)
    url = f"postgres://{parts.username}:{parts.password}@127.0.0.1:{port}/erip"
    try:
        until(lambda: answers(url), what=f"PgBouncer answers: {(home / 'log').read_text()}")
        yield url
    finally:
        stop(process, 15, 5)


def answers(url: str) -> bool:
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


@pytest.fixture
def pooled(server: Server, bouncer: str, django_db_blocker: object) -> Iterator[None]:
    direct = {"HOST": "127.0.0.1", "PORT": server.port}
    changed = {"ERIP_DB_PREPARE": False, "ERIP_DB_DIRECT": direct}
    with django_db_blocker.unblock(), in_place_of_ours(primary=bouncer, limits=False, **changed):
        yield


def test_the_limits_of_the_role_hold_as_none_can_be_sent(pooled: None, server: Server) -> None:
    with closing(as_superuser(server.kind, "erip")) as root, root.cursor() as cursor:
        cursor.execute("ALTER ROLE erip SET statement_timeout = '300ms'")
        cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'erip'")
        try:
            with pytest.raises(OperationalError, match="statement timeout"), connection.cursor() as mine:
                mine.execute("SELECT pg_sleep(5)")
        finally:
            cursor.execute("ALTER ROLE erip RESET statement_timeout")
            cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'erip'")
    connection.close()


def test_what_is_prepared_elsewhere_is_sent_as_it_is(pooled: None) -> None:
    """Twenty threads share two server connections: a prepared statement would soon be missing on one of them."""
    failures = []

    def work() -> None:
        try:
            for number in range(10):
                with connection.cursor() as cursor:
                    prepared.execute(cursor, "SELECT %s::int + 1", [number])
                    assert cursor.fetchone() == (number + 1,)
                connection.close()
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_a_lock_and_a_listener_go_past_the_pooler(pooled: None) -> None:
    lock = SessionLock(99)
    assert lock.acquire()
    with listening("past_the_pooler") as raw:
        # Given that every connection of the pooler is used meanwhile
        for _ in range(4):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify('past_the_pooler', 'heard')")
        assert "heard" in heard(raw, seconds=5)
    assert lock.acquire()
    lock.release()


def test_a_read_of_a_replica_is_one_transaction_so_that_one_connection_serves_it(
    server: Server, bouncer: str, django_db_blocker: object
) -> None:
    seen = []

    @reads_from_replica
    def read() -> None:
        for _ in range(3):
            with connections[reading_alias()].cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid(), pg_current_xact_id_if_assigned(), now()")
                seen.append((reading_alias(), *cursor.fetchone()))

    with django_db_blocker.unblock(), in_place_of_ours(
        primary=bouncer, replicas={"through": bouncer}, limits=False, ERIP_DB_PREPARE=False
    ), consistency.scope(consistency.NOTHING):  # fmt: skip
        read()
    assert {alias for alias, *_ in seen} == {"through"}
    assert len(set(seen)) == 1, "one moment, and so one transaction"
