"""The pooled backend: connections are reused, broken ones are not, and a report names the code that keeps one."""

import gc
import os
import threading
from collections.abc import Iterator

import pytest
import structlog
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from erip.foundation.db import metrics
from erip.foundation.db.errors import PoolExhausted
from erip.foundation.db.pooled import pool
from erip.foundation.db.pooled.base import DatabaseWrapper
from erip.foundation.db.pooled.cursors import shown
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)


def wrapper() -> BaseDatabaseWrapper:
    return DatabaseWrapper({**connection.settings_dict, "CONN_MAX_AGE": 0}, alias="default")


@pytest.fixture(autouse=True)
def empty_pools() -> Iterator[None]:
    yield
    # What ended threads held is kept alive by reference cycles.
    gc.collect()
    pool.close_all()


def backend(of: BaseDatabaseWrapper) -> int:
    with of.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def cut(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    until(lambda: not lives(pid), what="the backend has ended")


def lives(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
        return cursor.fetchone() is not None


def count(metric: object) -> float:
    return metric.labels("default")._value.get()


def test_a_connection_that_was_given_back_is_used_again() -> None:
    first, second = wrapper(), wrapper()
    pid = backend(first)
    first.close()
    assert backend(second) == pid
    second.close()


def test_what_was_left_open_is_rolled_back_and_locks_are_gone() -> None:
    first, second = wrapper(), wrapper()
    first.set_autocommit(False)
    with first.cursor() as cursor:
        cursor.execute("CREATE TABLE pool_leftover (a int)")
    first.close()
    with second.cursor() as cursor:
        cursor.execute("SELECT to_regclass('pool_leftover')")
        assert cursor.fetchone() == (None,)
    second.close()


def test_a_connection_that_broke_while_idle_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "TRUST", 0.0)
    first, second = wrapper(), wrapper()
    pid = backend(first)
    first.close()
    cut(pid)
    assert backend(second) != pid
    second.close()


def test_a_connection_that_broke_in_use_does_not_go_back() -> None:
    first, second = wrapper(), wrapper()
    pid = backend(first)
    cut(pid)
    with pytest.raises(OperationalError):
        backend(first)
    first.close()
    assert backend(second) != pid
    second.close()


def test_one_broken_connection_saves_the_others_victims() -> None:
    # Given three connections in the pool, all ended by the server, as after a failover
    wrappers = [wrapper() for _ in range(3)]
    pids = [backend(each) for each in wrappers]
    kept = wrappers.pop()
    for each in wrappers:
        each.close()
    for pid in pids:
        cut(pid)
    # When the one that is in use finds out
    with pytest.raises(OperationalError):
        backend(kept)
    kept.close()
    # Then the pool hands out none of the others, though it trusts them without a ping
    fresh = [wrapper() for _ in range(3)]
    assert not {backend(each) for each in fresh} & set(pids)
    for each in fresh:
        each.close()


def test_an_exhausted_pool_says_so_and_who_has_held_longest(settings: object) -> None:
    settings.ERIP_DB_POOL_SIZE, settings.ERIP_DB_POOL_OVERFLOW, settings.ERIP_DB_POOL_TIMEOUT = 1, 0, 0.05
    before = count(metrics.TIMEOUTS)
    first, second = wrapper(), wrapper()
    backend(first)
    with pytest.raises(PoolExhausted, match=r"no connection came free.*all 1 of this process.*MainThread"):
        backend(second)
    assert count(metrics.TIMEOUTS) == before + 1
    first.close()
    backend(second)
    second.close()


def test_many_threads_share_few_connections(settings: object) -> None:
    settings.ERIP_DB_POOL_SIZE, settings.ERIP_DB_POOL_OVERFLOW = 3, 0
    seen: set[int] = set()

    def work() -> None:
        for _ in range(20):
            mine = wrapper()
            seen.add(backend(mine))
            mine.close()

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(seen) <= 3


def test_the_connection_of_a_thread_that_ended_comes_back(settings: object) -> None:
    settings.ERIP_DB_POOL_SIZE, settings.ERIP_DB_POOL_OVERFLOW, settings.ERIP_DB_POOL_TIMEOUT = 1, 0, 5.0
    seen: list[int] = []
    # Given a thread that takes the only connection and ends without giving it back
    thread = threading.Thread(target=lambda: seen.append(backend(wrapper())))
    thread.start()
    thread.join()
    # Then the next one gets it
    again = wrapper()
    assert backend(again) == seen[0]
    again.close()


def forget_to_give_it_back(done: threading.Event) -> None:
    mine = wrapper()
    backend(mine)
    done.wait(30)


def test_a_leaked_connection_is_reported_with_its_stack_within_ten_seconds() -> None:
    # Given a thread that takes a connection and keeps it, idle, and the default threshold
    before, done = count(metrics.LEAKS), threading.Event()
    with structlog.testing.capture_logs() as logs:
        thread = threading.Thread(target=forget_to_give_it_back, args=(done,), name="forgetful")
        thread.start()
        try:
            until(lambda: count(metrics.LEAKS) == before + 1, seconds=60, what="the leak is reported")
        finally:
            done.set()
            thread.join()
    # Then the report says who took it, where, where that thread is now, and for how long
    (report,) = [each for each in logs if each["event"] == "connection_leaked"]
    assert report["thread"] == "forgetful"
    assert any("forget_to_give_it_back" in line for line in report["taken_at"])
    assert any("wait" in line for line in report["thread_is_at"])
    assert 5 <= report["held_seconds"] < 10


def test_a_thread_that_keeps_its_connection_on_purpose_is_no_leak(settings: object) -> None:
    settings.ERIP_DB_LEAK_AFTER = 0.3
    before, kept, leaked = count(metrics.LEAKS), wrapper(), wrapper()
    kept.kept = True
    backend(kept)
    backend(leaked)
    until(lambda: count(metrics.LEAKS) > before, seconds=60, what="the other one is reported")
    until(lambda: True)
    assert count(metrics.LEAKS) == before + 1
    kept.close()
    leaked.close()


def test_a_slow_statement_is_logged_without_what_may_be_secret(settings: object) -> None:
    settings.ERIP_DB_SLOW_STATEMENT = 0.05
    mine = wrapper()
    with structlog.testing.capture_logs() as logs, mine.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.1), %s, 'literal-secret'", ["parameter-secret"])
    mine.close()
    (slow,) = [each for each in logs if each["event"] == "slow_statement"]
    assert slow["statement"] == "SELECT pg_sleep(0.1), %s, '…'"
    assert "secret" not in str(logs)


def test_literals_of_every_kind_are_left_out_of_the_log() -> None:
    assert shown("ALTER ROLE a PASSWORD 'it''s' || E'b\\'c' || $$d$$ || $t$e$t$") == (
        "ALTER ROLE a PASSWORD '…' || '…' || '…' || '…'"
    )


def test_a_forked_child_opens_connections_of_its_own() -> None:
    first = wrapper()
    pid = backend(first)
    first.close()
    answer = in_a_child(lambda: backend(wrapper()))
    assert answer != pid
    again = wrapper()
    assert backend(again) == pid, "the child has not closed its parent's connection"
    again.close()


def test_a_forked_child_leaves_alone_what_its_parent_holds_in_a_transaction() -> None:
    # Given a parent in the middle of a transaction
    mine = wrapper()
    mine.set_autocommit(False)
    with mine.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE fork_kept (a int) ON COMMIT PRESERVE ROWS")
    pid = backend(mine)
    # When a child uses the same wrapper, and throws everything away that it has inherited
    answer = in_a_child(lambda: backend(mine))
    # Then it had another connection, and the parent's transaction is untouched
    assert answer != pid
    with mine.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM fork_kept")
        assert cursor.fetchone() == (0,)
    mine.rollback()
    mine.set_autocommit(True)
    mine.close()


def in_a_child(work: object) -> int:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = work()
            gc.collect()
            os.write(write, str(answer).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    return int(os.read(read, 100) or b"-1")


def test_connections_that_nobody_needs_any_more_are_closed_down_to_the_pools_size(
    settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ERIP_DB_POOL_SIZE, settings.ERIP_DB_POOL_OVERFLOW = 1, 2
    monkeypatch.setattr(pool, "SPARE_FOR", 0.2)
    wrappers = [wrapper() for _ in range(3)]
    pids = [backend(each) for each in wrappers]
    for each in wrappers:
        each.close()
    until(lambda: sum(lives(pid) for pid in pids) == 1, seconds=60, what="one is left")
    # And three can be opened again
    pids = [backend(each) for each in wrappers]
    assert len(set(pids)) == 3
    for each in wrappers:
        each.close()
