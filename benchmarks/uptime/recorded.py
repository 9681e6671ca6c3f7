"""What is recorded in the end, read on a fresh connection: the old ones were lost with a primary."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import psycopg2

from ..errors import BenchmarkError
from ..recordings import BEGIN, COUNT, END, Counted
from .compare import FoundEvent, FoundRun

#: seconds that the database may be away when it is asked
PATIENCE = 60.0

Value = TypeVar("Value")


class Recorded:
    """Asks the database of the deployment; each question survives a failover."""

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def counting(self) -> Iterator[Callable[[], Counted]]:
        """Count each recording of a step while the block runs.

        The tables must belong to the user of the URL. The trigger outlives failovers: it is in the database.
        """
        self._execute(BEGIN)
        try:
            yield self.counted
        finally:
            self._execute(END)

    def counted(self) -> Counted:
        return Counted(*self._all(COUNT)[0])

    def runs(self, prefix: str) -> list[FoundRun]:
        """Every run whose business key begins with this prefix."""
        rows = self._all(
            "SELECT id::text, business_key, state FROM workflows_workflowrun WHERE business_key LIKE %s ORDER BY id",
            prefix + "%",
        )
        return [FoundRun(*row) for row in rows]

    def events(self, source: str) -> list[FoundEvent]:
        """Every event of this source that is in the log."""
        rows = self._all(
            "SELECT event_id, partition, position FROM events_event WHERE source = %s ORDER BY partition, position",
            source,
        )
        return [FoundEvent(*row) for row in rows]

    def _all(self, query: str, *values: Any) -> list[Any]:
        def ask(cursor: Any) -> list[Any]:
            cursor.execute(query, values or None)
            return list(cursor.fetchall())

        return self._with_cursor(ask)

    def _execute(self, statements: str) -> None:
        self._with_cursor(lambda cursor: cursor.execute(statements))

    def _with_cursor(self, work: Callable[[Any], Value]) -> Value:
        """Do it in a transaction of its own, again while the database is away. Raises BenchmarkError."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                connection = psycopg2.connect(self._url, connect_timeout=5, application_name="erip-benchmarks")
                with closing(connection), connection, connection.cursor() as cursor:
                    return work(cursor)
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                if time.monotonic() > deadline:
                    raise BenchmarkError(f"The database was away for {PATIENCE:.0f} s: {error}") from error
                time.sleep(0.5)
