"""One pool of psycopg2 connections for each database and process, on SQLAlchemy's QueuePool.

A new connection costs 13 to 14 ms (SCRAM), a checkout well under one. Web requests each run in a thread of their own,
so without a pool each of them would open one.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import OperationalError
from psycopg2.extensions import TRANSACTION_STATUS_UNKNOWN
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

#: seconds that a connection may have lain idle without being asked whether it still lives
TRUST = 1.0


class PoolExhausted(OperationalError):
    """Every connection of this process is in use. Raise ERIP_DB_POOL_OVERFLOW, or look for who keeps them."""


_pools: dict[str, QueuePool] = {}
_idle_since: "weakref.WeakKeyDictionary[Any, float]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def checkout(key: str, connect: Callable[[], Any]) -> PoolProxiedConnection:
    """A live connection to the database that `key` names; `connect` makes a new one. Raises PoolExhausted."""
    pool = _pool(key, connect)
    while True:
        try:
            held = pool.connect()
        except PoolTimeout as error:
            raise PoolExhausted(
                f"no connection came free within {settings.ERIP_DB_POOL_TIMEOUT:g} s ({pool.status()})"
            ) from error
        if _lives(held):
            return held
        # After a failover the others are as dead as this one; the next ones are made anew.
        held.invalidate()


def give_back(held: PoolProxiedConnection) -> None:
    """Return a connection; the pool rolls back what was left open. A broken one is dropped."""
    real: Any = held.dbapi_connection
    if real is None or real.closed or real.info.transaction_status == TRANSACTION_STATUS_UNKNOWN:
        held.invalidate()
    else:
        _idle_since[real] = time.monotonic()
    held.close()


def _pool(key: str, connect: Callable[[], Any]) -> QueuePool:
    with _lock:
        if key not in _pools:
            _pools[key] = QueuePool(
                connect,
                pool_size=settings.ERIP_DB_POOL_SIZE,
                max_overflow=settings.ERIP_DB_POOL_OVERFLOW,
                timeout=settings.ERIP_DB_POOL_TIMEOUT,
                recycle=settings.ERIP_DB_POOL_RECYCLE,
                # The connection that was used last is the one least likely to need a ping.
                use_lifo=True,
            )
        return _pools[key]


def _lives(held: PoolProxiedConnection) -> bool:
    real: Any = held.dbapi_connection
    if real is None or real.closed:
        return False
    idle_since = _idle_since.get(real)
    if idle_since is None or time.monotonic() - idle_since < TRUST:
        return True
    try:
        with real.cursor() as cursor:
            cursor.execute("SELECT 1")
        real.rollback()
    except Exception:
        return False
    return True


def close_all(key: str) -> None:
    """Close what lies idle: a test database that is dropped must have no connections."""
    with _lock:
        pool = _pools.pop(key, None)
    if pool:
        pool.dispose()


def _forget() -> None:
    """In a child process: the parent's sockets are the parent's. Forgotten, and never closed."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


os.register_at_fork(after_in_child=_forget)
