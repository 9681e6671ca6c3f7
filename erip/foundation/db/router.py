"""Where a statement goes: to the primary, unless a function says that it only reads and may do so from a replica.

    @reads_from_replica
    def list_things(...): ...

See Note [Read your writes] in `consistency`.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction

from erip.foundation.db import consistency, metrics, retry
from erip.foundation.db.connections import drop_connection
from erip.foundation.db.errors import PoolExhausted
from erip.foundation.db.failures import is_connection_lost, is_transient
from erip.foundation.db.replicas import fleet

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: the replica that the current function reads from
_reading: ContextVar[str | None] = ContextVar("erip_db_reading", default=None)

# A server that is no longer a replica can serve what it has written itself.
_HAS_SEEN = """
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END >= %s::pg_lsn
"""


class Router:
    """Django's router: reads of the ORM follow `reads_from_replica`, everything else goes to the primary."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return _reading.get() or DEFAULT_DB_ALIAS

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool | None:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db in settings.ERIP_REPLICAS else None


def reading_alias() -> str:
    """The alias of the database that the current function reads from, for SQL that is written by hand."""
    return _reading.get() or DEFAULT_DB_ALIAS


def reads_from_replica(function: Callable[P, T]) -> Callable[P, T]:
    """For a function that only reads, and has read all of its result before it returns. It may be called again.

    A replica serves it if it has all that the caller has written or seen; else the primary does. Inside a transaction,
    and outside any scope, the primary does. While the primary is away, a replica that is behind serves it, and the
    scope is marked as stale.
    """

    @functools.wraps(function)
    def read(*args: P.args, **kwargs: P.kwargs) -> T:
        def call() -> T:
            return function(*args, **kwargs)

        if not settings.ERIP_REPLICAS or connections[DEFAULT_DB_ALIAS].in_atomic_block or _reading.get():
            return retry.run(lambda _: call())
        scope = consistency.current()
        if scope is not None and _may_try(scope):
            for alias in fleet.in_rotation():
                done, result = _read_on(alias, scope.token or consistency.NOTHING, call)
                if done:
                    metrics.READS.labels("replica").inc()
                    return result  # type: ignore[return-value]
        if scope is None or scope.wrote:
            return retry.run(lambda _: call())
        try:
            result = call()
        except Error as error:
            if not is_connection_lost(error) and is_transient(error):
                return retry.run(lambda _: call())
            if not is_connection_lost(error) and getattr(error, "retry_after", None) is None:
                raise
            drop_connection()
            for alias in fleet.reachable():
                done, late = _read_on(alias, consistency.NOTHING, call)
                if done:
                    scope.stale = True
                    metrics.READS.labels("stale replica").inc()
                    return late  # type: ignore[return-value]
            return retry.run(lambda _: call())
        metrics.READS.labels("primary").inc()
        return result

    return read


def _may_try(scope: consistency.Scope) -> bool:
    if settings.ERIP_REPLICA_READS == "all" and scope.token is None:
        return not scope.wrote
    return scope.replica_may_serve


def _read_on(alias: str, token: str, call: Callable[[], T]) -> tuple[bool, T | None]:
    """(True, what `call` returns) if this replica has replayed the token and answers; the connection is given back."""
    try:
        with _reading_from(alias):
            with connections[alias].cursor() as cursor:
                cursor.execute(_HAS_SEEN, [token])
                if not cursor.fetchone()[0]:
                    return False, None
            return True, call()
    except Error as error:
        if isinstance(error, PoolExhausted) or getattr(error, "retry_after", None) is not None:
            return False, None
        if not is_transient(error):
            raise
        if is_connection_lost(error):
            fleet.failed(alias, error)
        log.info("replica_read_failed", database=alias, error=error)
        drop_connection(alias)
        return False, None


@contextlib.contextmanager
def _reading_from(alias: str) -> Iterator[None]:
    reset = _reading.set(alias)
    try:
        if settings.ERIP_DB_PREPARE:
            yield
        else:
            # A pooler may give each transaction another connection: the one that has replayed the token must serve the
            # rest.
            with transaction.atomic(using=alias):
                yield
    finally:
        _reading.reset(reset)
