"""The backend: Django's own, except for where a connection comes from, where it goes, and how long a caller waits for
it."""

from functools import cached_property
from typing import Any

import psycopg2
import psycopg2.extras
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper

from erip.foundation.db import committing, retry
from erip.foundation.db.errors import Abandoned
from erip.foundation.db.failures import is_connection_lost, is_read_only
from erip.foundation.db.pooled.checkouts import Checkout
from erip.foundation.db.pooled.cursors import WatchedCursor
from erip.foundation.db.pooled.pool import Pool, pool_of

#: seconds after PostgreSQL's own limit at which we stop relying on it
GRACE = 2.0


class _Errors(DatabaseErrorWrapper):
    """Reports unusable connections to the pool."""

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if exc_type is not None and issubclass(exc_type, psycopg2.Error):
            self.wrapper.note_error(exc_value)  # type: ignore[attr-defined]
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(base.DatabaseWrapper):
    #: where its connections come from; Django's own `pool` needs psycopg3
    source: Pool
    #: the connection held now
    checkout: Checkout | None = None
    #: see `erip.foundation.db.connections`
    kept = False
    unhurried = False

    @cached_property
    def notes_writes(self) -> bool:
        """Whether its writes are recorded, so that reads from replicas see them."""
        return self.alias == DEFAULT_DB_ALIAS and bool(settings.ERIP_REPLICAS)

    @property
    def patience(self) -> float | None:
        """Seconds after which we stop waiting for an answer."""
        limit: float = settings.ERIP_DB_STATEMENT_TIMEOUT
        return None if self.unhurried or not limit else limit + GRACE

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        # `connection` is the real psycopg2 connection, which Django and psycopg2.extras expect; the pool's record of it
        # stands beside it.
        level = self.settings_dict["OPTIONS"].get("isolation_level")

        def connect() -> Any:
            made = psycopg2.connect(**conn_params)
            if level is not None:
                made.isolation_level = level
            # Django's JSONField reads JSON itself.
            psycopg2.extras.register_default_jsonb(conn_or_curs=made, loads=lambda text: text)
            return made

        self.source = pool_of(
            repr((level, sorted(conn_params.items(), key=lambda item: item[0]))),
            self.alias,
            connect,
            lambda: psycopg2.connect(**conn_params),
        )
        primary = self.alias == DEFAULT_DB_ALIAS
        self.checkout = taken = self.source.checkout(self, patience=retry.remaining() if primary else 0, kept=self.kept)
        if primary and retry.abandoned():
            # This work has waited, for a failover or for other work, and its caller sends it again: the process is busy
            # enough.
            self.checkout = None
            self.source.give_back(taken)
            raise Abandoned("the caller has left")
        if self.unhurried and settings.ERIP_DB_PREPARE:
            # Kept for the thread's life; the connection does not go back to the pool.
            taken.broken = True
            with taken.real.cursor() as cursor:
                cursor.execute("SET statement_timeout = 0")
            taken.real.commit()
        return taken.real

    def _close(self) -> None:
        if self.connection is None:
            return
        taken, self.checkout = self.checkout, None
        if taken is not None:
            with self.wrap_database_errors:
                self.source.give_back(taken)
        else:
            super()._close()  # type: ignore[misc]

    @cached_property
    def wrap_database_errors(self) -> _Errors:
        return _Errors(self)

    def note_error(self, error: BaseException) -> None:
        """Draws the conclusions from an error for the connection that raised it."""
        taken = self.checkout
        if taken is None:
            return
        demoted = self.alias == DEFAULT_DB_ALIAS and is_read_only(error)
        if taken.real.closed or demoted or is_connection_lost(error):
            taken.broken = True
            self.source.invalidate(taken.generation, str(error).strip().split("\n")[0] or "the connection broke")

    def forget(self) -> None:
        """In a child process: the connection belongs to the parent."""
        self.connection = None
        self.checkout = None
        self.in_atomic_block = False
        self.closed_in_transaction = False

    def make_cursor(self, cursor: Any) -> WatchedCursor:
        return WatchedCursor(cursor, self)

    def _commit(self) -> None:
        after = committing.act(self)
        if self.checkout is None:
            super()._commit()  # type: ignore[misc]
        else:
            # PostgreSQL limits no commit: it may wait for a synchronous standby for ever.
            with self.checkout.clock.running(self.patience):
                super()._commit()  # type: ignore[misc]
        after()

    def _rollback(self) -> None:
        if self.checkout is None:
            return super()._rollback()  # type: ignore[misc, no-any-return]
        with self.checkout.clock.running(self.patience):
            super()._rollback()  # type: ignore[misc]
        return None
