"""The backend: Django's own, but for where a connection comes from and where it goes."""

from typing import Any

from django.db.backends.postgresql import base
from sqlalchemy.pool import PoolProxiedConnection

from erip.db.pooled import pool


class DatabaseWrapper(base.DatabaseWrapper):
    _held: PoolProxiedConnection | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        # `connection` is the real psycopg2 connection, which Django and psycopg2.extras expect; the pool's record of it
        # stands beside it.
        self._held = pool.checkout(
            repr(sorted(conn_params.items(), key=lambda item: item[0])),
            lambda: super(DatabaseWrapper, self).get_new_connection(conn_params),
        )
        return self._held.dbapi_connection

    def _close(self) -> None:
        if self.connection is None:
            return
        held, self._held = self._held, None
        if held is not None:
            with self.wrap_database_errors:
                pool.give_back(held)
        else:
            super()._close()  # type: ignore[misc]
