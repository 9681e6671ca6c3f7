"""Counts every recording of a step's result in the database itself, by a trigger: no code of ours can forget one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2

BEGIN = """
CREATE TABLE benchmarks_recording (run_id uuid, step text, item int);
CREATE FUNCTION benchmarks_record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO benchmarks_recording VALUES (NEW.run_id, NEW.step, NEW.item);
    RETURN NULL;
END $$;
CREATE TRIGGER benchmarks_record AFTER INSERT OR UPDATE ON workflows_steprun FOR EACH ROW
    WHEN (NEW.state = 'SUCCEEDED') EXECUTE FUNCTION benchmarks_record();
"""
END = """
DROP TRIGGER benchmarks_record ON workflows_steprun;
DROP FUNCTION benchmarks_record();
DROP TABLE benchmarks_recording;
"""
COUNT = "SELECT count(*), count(DISTINCT (run_id, step, item)) FROM benchmarks_recording"


@dataclass(frozen=True, slots=True)
class Counted:
    """Recordings since the block began."""

    recordings: int
    #: different steps among them
    steps: int

    @property
    def twice(self) -> int:
        """Recordings of a step that had been recorded already."""
        return self.recordings - self.steps


class Recordings:
    """Can be read while the block of `counted` runs; also says which runs a worker holds."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def count(self) -> Counted:
        return Counted(*self._all(COUNT)[0])

    def held_by(self, pid: int) -> list[str]:
        """The runs whose steps are RUNNING under the worker process with this pid, one for each step."""
        asked = (
            "SELECT run_id::text FROM workflows_steprun JOIN workflows_worker ON workflows_worker.id = worker_id"
            " WHERE state = 'RUNNING' AND pid = %s"
        )
        return [run_id for (run_id,) in self._all(asked, pid)]

    def _all(self, query: str, *values: Any) -> list[Any]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())


@contextmanager
def counted(database: str) -> Iterator[Recordings]:
    """Count what is recorded in this database, whose tables the user of the URL must own, while the block runs."""
    with closing(psycopg2.connect(database, connect_timeout=5, application_name="erip-benchmarks")) as connection:
        connection.autocommit = True
        with closing(connection.cursor()) as cursor:
            cursor.execute(BEGIN)
            try:
                yield Recordings(connection)
            finally:
                cursor.execute(END)
