"""A failover of the primary is a delay and not an error: real servers, killed, frozen, promoted and restarted."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import psycopg2
import pytest
from django.db import InternalError, OperationalError, connection, connections, transaction

from erip.foundation.db import metrics, retry
from erip.foundation.db.connections import drop_connection
from erip.foundation.db.direct import SessionLock
from erip.foundation.db.failures import is_connection_lost, is_read_only, is_transient
from erip.foundation.db.pooled import pool
from erip.foundation.db.retry import Attempt, retry_transaction
from erip.foundation.process.listener import Listener
from erip.ops.stack.servers import Server, private_servers
from erip.ops.stack.standby import as_superuser, promote, standby_of
from tests.support.databases import in_place_of_ours, reconfigure
from tests.support.processes import freeze, thaw
from tests.workers import until

TABLE = "CREATE TABLE IF NOT EXISTS note (id serial PRIMARY KEY, value text)"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with private_servers(redis=False, fsync=False) as (started, _):
        with closing(psycopg2.connect(started.url)) as raw, raw.cursor() as cursor:
            cursor.execute(TABLE)
            raw.commit()
        yield started


@pytest.fixture
def database(server: Server, django_db_blocker: object) -> Iterator[Server]:
    with django_db_blocker.unblock(), in_place_of_ours(primary=server.url):
        yield server
    server.resume()
    server.start()


def write(value: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO note (value) VALUES (%s)", [value])


def count(value: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM note WHERE value = %s", [value])
        return cursor.fetchone()[0]


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def only_pool() -> pool.Pool:
    (found,) = pool._pools.values()
    return found


def in_a_moment(seconds: float, call: Callable[[], None]) -> threading.Thread:
    thread = threading.Timer(seconds, call)
    thread.start()
    return thread


def test_a_transaction_survives_a_primary_that_is_killed_and_comes_back(database: Server) -> None:
    # Given a connection that works, and a server that is killed and takes a second to come back
    write("before")
    database.kill()
    # When many write meanwhile
    failures: list[Exception] = []

    def one() -> None:
        try:
            retry_transaction(write)("through")
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    threads[0].join(1.0)
    database.start()
    for thread in threads:
        thread.join(30)
    # Then each has written exactly once
    assert failures == []
    drop_connection()
    assert count("through") == 20


def test_inside_of_a_transaction_nothing_is_run_again_by_itself(database: Server) -> None:
    calls = []

    @retry_transaction
    def inner() -> None:
        calls.append(1)
        raise OperationalError("the connection broke")

    with pytest.raises(OperationalError), transaction.atomic():
        inner()
    assert len(calls) == 1


def test_what_cannot_be_mended_is_not_run_again(database: Server) -> None:
    calls = []

    def bad(_: Attempt) -> None:
        calls.append(1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    with pytest.raises(Exception, match="division by zero"):
        retry.run(bad)
    assert len(calls) == 1


def test_a_deadlock_is_run_again_and_both_succeed(database: Server) -> None:
    barrier, failures = threading.Barrier(2), []
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM note; INSERT INTO note (id, value) VALUES (1001, ''), (1002, '')")

    def both(first: int, second: int) -> None:
        met = []

        def work(_: Attempt) -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("UPDATE note SET value = value || 'x' WHERE id = %s", [first])
                if not met:
                    met.append(1)
                    barrier.wait(10)
                cursor.execute("UPDATE note SET value = value || 'x' WHERE id = %s", [second])

        try:
            retry.run(work)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=both, args=pair) for pair in ((1001, 1002), (1002, 1001))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert count("xx") == 2


def test_the_budget_ends_the_tries(database: Server) -> None:
    database.kill()
    with retry.within(0.5), pytest.raises(OperationalError):
        retry_transaction(write)("never")


def test_a_read_only_answer_of_a_demoted_primary_drops_the_connection_and_the_pools_others(
    server: Server, django_db_blocker: object
) -> None:
    # Given an address that leads to a standby, as after a demotion, and two connections to it
    with standby_of(server) as standby, django_db_blocker.unblock(), in_place_of_ours(primary=standby.url):
        other = connections.create_connection("default")
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            others = cursor.fetchone()[0]
        other.close()
        first = connections["default"]
        first_pid = backend()
        generation = only_pool().generation
        # When a write is refused
        with pytest.raises(InternalError) as refused:
            write("too early")
        assert is_read_only(refused.value)
        assert is_transient(refused.value)
        # Then no connection of the pool is used again
        assert only_pool().generation == generation + 1
        first.close()
        assert backend() not in (first_pid, others)
        # And when the standby is promoted, the write that is run again goes through
        promoting = in_a_moment(0.3, partial(promote, standby))
        retry_transaction(write)("promoted")
        promoting.join()
        assert count("promoted") == 1


def test_a_frozen_primary_is_noticed_and_the_statement_goes_through_when_it_thaws(database: Server) -> None:
    # Given a connection that was used a moment ago
    write("warm")
    before = metrics.CUT.labels("default", "hung")._value.get()
    freeze(database)
    thawing = in_a_moment(8.0, partial(thaw, database))
    # When a statement is sent to the frozen server
    with pytest.raises(OperationalError) as error, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    # Then the client cuts it, long before PostgreSQL's own limit, and it counts as a lost connection
    assert is_connection_lost(error.value)
    assert metrics.CUT.labels("default", "hung")._value.get() == before + 1
    # And what is run again goes through once the server answers
    drop_connection()
    retry_transaction(write)("thawed")
    thawing.join()
    assert count("thawed") == 1


def test_a_long_statement_on_a_server_that_lives_is_left_alone(database: Server, settings: object) -> None:
    settings.ERIP_DB_HUNG_AFTER = 0.3
    before = metrics.CUT.labels("default", "hung")._value.get()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(4)")
    assert metrics.CUT.labels("default", "hung")._value.get() == before


def test_a_commit_that_waits_for_ever_for_a_standby_is_cut(database: Server, settings: object) -> None:
    """No limit in PostgreSQL ends that wait."""
    settings.ERIP_DB_STATEMENT_TIMEOUT = 0.5
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    with closing(as_superuser(database.kind, "erip")) as root, root.cursor() as cursor:
        reconfigure(cursor, "synchronous_standby_names", "nobody")
        try:
            with pytest.raises(OperationalError) as error:
                write("waits")
            assert is_connection_lost(error.value)
        finally:
            reconfigure(cursor, "synchronous_standby_names", "")


def test_the_breaker_lets_all_go_on_the_moment_that_the_database_is_back(database: Server) -> None:
    # Given a database that is away, and a breaker that has opened
    write("before")
    database.kill()
    connections.close_all()
    for _ in range(4):
        with pytest.raises(OperationalError), retry.within(0):
            write("refused")
    assert only_pool().breaker.is_open

    def write_at_last() -> None:
        with retry.within(10):
            retry_transaction(write)("first after")
        connections.close_all()

    # When it comes back after a second, while somebody waits to write
    waiting = threading.Thread(target=write_at_last)
    waiting.start()
    waiting.join(1.0)
    database.start()
    waiting.join(20)
    # Then the write went through, and the breaker is closed
    assert not only_pool().breaker.is_open
    assert count("first after") == 1


def test_while_the_database_is_away_for_long_a_request_fails_at_once_and_says_when_to_come_back(
    database: Server, settings: object
) -> None:
    settings.ERIP_DB_BREAKER_SECONDS = 0.2
    write("before")
    database.kill()
    connections.close_all()
    for _ in range(4):
        with pytest.raises(OperationalError), retry.within(0):
            write("refused")
    opened = only_pool().breaker
    until(lambda: time.monotonic() - opened._opened_at > 0.2, what="the first period is over")
    began = time.monotonic()
    with pytest.raises(OperationalError, match="cannot be reached") as error, retry.within(30):
        retry_transaction(write)("never")
    assert error.value.retry_after >= 1
    assert time.monotonic() - began < 25


def test_a_session_lock_is_one_processs_and_is_lost_with_its_session(database: Server) -> None:
    mine, theirs = SessionLock(4711), SessionLock(4711)
    assert mine.acquire()
    assert mine.acquire()
    assert not theirs.acquire()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711"
        )
    assert theirs.acquire()
    with pytest.raises(psycopg2.Error):
        mine.acquire()
    assert not mine.acquire()
    theirs.release()
    # The server notices a moment after the client that the session has ended.
    until(mine.acquire)
    mine.release()


def test_a_listener_notices_that_its_server_is_frozen(database: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("erip.foundation.process.listener.ASK_AFTER", 0.3)
    gaps: queue.SimpleQueue[None] = queue.SimpleQueue()
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    listener = Listener()
    ear = listener.listen(
        "somewhere", lambda payloads: [heard.put(payload) for payload in payloads], gap=lambda: gaps.put(None)
    )
    gaps.get(timeout=10)
    freeze(database)
    try:
        until(lambda: ear.since is None, seconds=60)
    finally:
        thaw(database)
    # It reports that it may have missed something, and listens again.
    gaps.get(timeout=20)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('somewhere', 'again')")
    assert heard.get(timeout=10) == "again"
    listener.stop()
