"""Connections outside of the pools and past any pooler, for what belongs to a session: LISTEN and advisory locks."""

from typing import Any

import psycopg2
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import load_backend

from erip.foundation.db.deadlines import watched_clock

#: seconds the server has to answer whether a lock is still held
ANSWER_WITHIN = 3.0


def connect() -> Any:
    """A psycopg2 connection in autocommit, to ERIP_DB_DIRECT_URL or else DATABASE_URL. Raises psycopg2.Error."""
    wrapper = connections[DEFAULT_DB_ALIAS]
    if settings.ERIP_DB_DIRECT is not None:
        described = {**wrapper.settings_dict, **settings.ERIP_DB_DIRECT}
        wrapper = load_backend(described["ENGINE"]).DatabaseWrapper(described, DEFAULT_DB_ALIAS)
    raw = psycopg2.connect(**wrapper.get_connection_params())
    raw.autocommit = True
    return raw


class SessionLock:
    """An advisory lock that one process holds as long as its connection lives. For one thread."""

    def __init__(self, key: int) -> None:
        self._key = key
        self._raw: Any = None
        self._held = False
        self._session = 0

    def connect(self) -> int:
        """Connect, unless that is done. Returns the process id of the server's session. Raises psycopg2.Error."""
        if self._raw is None:
            try:
                self._raw = connect()
                self._clock = watched_clock(self._raw)
                # The server is asked, because a pooler answers with a number of its own.
                with self._clock.running(ANSWER_WITHIN), self._raw.cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    self._session = cursor.fetchone()[0]
            except psycopg2.Error:
                self.release()
                raise
        return self._session

    def acquire(self) -> bool:
        """Whether this process holds it. The server is asked each time, because a lock lasts only as long as its
        session.

        Raises psycopg2.Error; the lock is lost then.
        """
        try:
            self.connect()
            with self._clock.running(ANSWER_WITHIN), self._raw.cursor() as cursor:
                if self._held:
                    cursor.execute("SELECT 1")
                else:
                    cursor.execute("SELECT pg_try_advisory_lock(%s)", [self._key])
                    self._held = bool(cursor.fetchone()[0])
        except psycopg2.Error:
            self.release()
            raise
        return self._held

    def release(self) -> None:
        """Release it by closing its connection."""
        raw, self._raw, self._held = self._raw, None, False
        if raw is not None:
            raw.close()
