"""The pooled backend: connections are reused, broken ones are not, and the pool ends where it must."""

import os
import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from erip.db.pooled import pool
from erip.db.pooled.base import DatabaseWrapper

pytestmark = pytest.mark.django_db(transaction=True)


def wrapper() -> BaseDatabaseWrapper:
    return DatabaseWrapper({**connection.settings_dict, "CONN_MAX_AGE": 0}, alias="default")


@pytest.fixture(autouse=True)
def empty_pools() -> Iterator[None]:
    yield
    for key in list(pool._pools):
        pool.close_all(key)


def backend(of: BaseDatabaseWrapper) -> int:
    with of.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def cut(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


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


def test_an_exhausted_pool_says_so(settings: object) -> None:
    settings.ERIP_DB_POOL_SIZE, settings.ERIP_DB_POOL_OVERFLOW, settings.ERIP_DB_POOL_TIMEOUT = 1, 0, 0.05
    first, second = wrapper(), wrapper()
    backend(first)
    with pytest.raises(pool.PoolExhausted, match="no connection came free"):
        backend(second)
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


def test_a_forked_child_opens_connections_of_its_own() -> None:
    first = wrapper()
    pid = backend(first)
    first.close()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        mine = wrapper()
        os.write(write, str(backend(mine)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 100)) != pid
    again = wrapper()
    assert backend(again) == pid, "the child has not closed its parent's connection"
    again.close()
