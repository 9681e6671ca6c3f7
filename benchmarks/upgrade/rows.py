"""The large table of the rehearsal: filled before, written all the time by somebody who knows the old columns alone."""

import threading
import time
from contextlib import closing
from typing import Any

import psycopg2

from .own_app import TABLE

FILL = f"INSERT INTO {TABLE} (note) SELECT repeat('x', 20 + n %% 60) FROM generate_series(%s, %s) n"  # noqa: S608
ADD = f"INSERT INTO {TABLE} (note) VALUES ('written meanwhile')"  # noqa: S608
CHANGE = f"UPDATE {TABLE} SET note = note || 'y' WHERE id = %s"  # noqa: S608
COUNT = f"SELECT count(*), count(*) FILTER (WHERE size IS DISTINCT FROM length(note)) FROM {TABLE}"  # noqa: S608

#: rows in one statement of the filling
PORTION = 250_000
#: seconds between two writes
EVERY = 0.02


def fill(database: str, rows: int) -> None:
    """As many rows as that."""
    with closing(psycopg2.connect(database, application_name="erip-benchmarks")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            for first in range(1, rows + 1, PORTION):
                cursor.execute(FILL, [first, min(rows, first + PORTION - 1)])
            cursor.execute(f"ANALYZE {TABLE}")


class Writer:
    """Adds and changes rows, one after the other, in a thread, while the block runs."""

    def __init__(self, database: str, rows: int) -> None:
        self._database, self._rows = database, rows
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.written = 0
        #: seconds that the slowest write took, with the tries that failed before it
        self.longest = 0.0
        self.failed = 0

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join(30)

    def _write(self) -> None:
        connection: Any = None
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            try:
                if connection is None:
                    connection = psycopg2.connect(self._database, connect_timeout=5, application_name="erip-benchmarks")
                    connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute(ADD)
                    place = self.written * 7919 % self._rows + 1
                    cursor.execute(CHANGE, [place])
            except psycopg2.Error:
                self.failed += 1
                if connection is not None:
                    connection.close()
                connection = None
            else:
                self.written += 1
                self.longest = max(self.longest, time.monotonic() - due)
                due = max(due + EVERY, time.monotonic())
        if connection is not None:
            connection.close()


def wrong(database: str) -> tuple[int, int]:
    """(rows, rows whose new column is not what it should be)."""
    connection = psycopg2.connect(database, application_name="erip-benchmarks")
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(COUNT)
        return cursor.fetchone() or (0, 0)
