"""Whether PostgreSQL answers, asked on a connection of its own and never for longer than a deadline.

The connection is not pooled, because an empty pool says nothing about the database. A deadline covers everything,
because a frozen server keeps its connections open and answers nothing, and no timeout of libpq ends that.
"""

import select
import time
from typing import Any

import psycopg2
from django.db import connection
from psycopg2.extensions import POLL_OK, POLL_READ


class Pinger:
    """Keeps its connection from one `ping` to the next. One thread at a time."""

    def __init__(self) -> None:
        self._raw: Any = None

    def ping(self, seconds: float) -> None:
        """Raises psycopg2.Error if there was no answer within `seconds`."""
        self.ask("SELECT 1", seconds)

    def ask(self, statement: str, seconds: float) -> dict[str, Any]:
        """The first row of the answer, by column. `statement` reads, and takes no parameters.

        Raises psycopg2.Error if there was no answer within `seconds`.
        """
        deadline = time.monotonic() + seconds
        try:
            if self._raw is None:
                parameters = connection.get_connection_params()
                self._raw = psycopg2.connect(**parameters, async_=True)
                _wait(self._raw, deadline)
            with self._raw.cursor() as cursor:
                cursor.execute(statement)
                _wait(self._raw, deadline)
                columns = [column.name for column in cursor.description or ()]
                return dict(zip(columns, cursor.fetchone() or (), strict=False))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()


def _wait(raw: Any, deadline: float) -> None:
    """Wait until the connection has finished its operation."""
    while (state := raw.poll()) != POLL_OK:
        left = deadline - time.monotonic()
        if left <= 0:
            raise psycopg2.OperationalError("PostgreSQL did not answer in time")
        # Not select(), which refuses the numbers above 1,023 that a process with many clients gets.
        waiting = select.poll()
        waiting.register(raw.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        waiting.poll(left * 1000)
