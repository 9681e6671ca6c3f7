"""Counts every recording of a step's result in the database itself, by a trigger: no code of ours can forget one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2

BEGIN = """
CREATE TABLE benchmarks_recording (run_id uuid, step text, item int);
CREATE SEQUENCE benchmarks_recordings;
CREATE FUNCTION benchmarks_record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO benchmarks_recording VALUES (NEW.run_id, NEW.step, NEW.item);
    PERFORM nextval('benchmarks_recordings');
    RETURN NULL;
END $$;
CREATE TRIGGER benchmarks_record AFTER INSERT OR UPDATE ON workflows_steprun FOR EACH ROW
    WHEN (NEW.state = 'SUCCEEDED') EXECUTE FUNCTION benchmarks_record();
"""
END = """
DROP TRIGGER benchmarks_record ON workflows_steprun;
DROP FUNCTION benchmarks_record();
DROP TABLE benchmarks_recording;
DROP SEQUENCE benchmarks_recordings;
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


@dataclass(frozen=True, slots=True)
class Held:
    """The runs that a worker has in its hands."""

    #: those in a chunk that it has taken, and not recorded
    in_chunks: tuple[str, ...]
    #: those of steps that are RUNNING under it
    alone: tuple[str, ...]
    #: whether any run waits in a chunk, or is in one
    chunks: bool

    @property
    def runs(self) -> tuple[str, ...]:
        return self.in_chunks + self.alone

    @property
    def worth_it(self) -> bool:
        """Whether a fault would hit it in the middle of a chunk; where there are no chunks, of anything."""
        return bool(self.in_chunks or (self.alone and not self.chunks))


HELD = """
SELECT ARRAY(
    SELECT r.id::text FROM workflows_chunk c JOIN workflows_worker w ON w.id = c.worker_id
    CROSS JOIN LATERAL unnest(c.runs) AS named (id) JOIN workflows_workflowrun r ON r.id = named.id
    WHERE w.pid = %(pid)s AND r.seq = 0 AND r.state = 'PENDING'
), ARRAY(
    SELECT DISTINCT s.run_id::text FROM workflows_steprun s JOIN workflows_worker w ON w.id = s.worker_id
    WHERE s.state = 'RUNNING' AND w.pid = %(pid)s
), EXISTS (SELECT FROM workflows_chunk)
"""


class Recordings:
    """Can be read while the block of `counted` runs; also says which runs a worker holds."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def count(self) -> Counted:
        return Counted(*self._all(COUNT)[0])

    def about(self) -> int:
        """The same at no cost; what was rolled back is in it."""
        return int(self._all("SELECT last_value FROM benchmarks_recordings")[0][0])

    def held_by(self, pid: int) -> Held:
        """What the worker process with this pid holds."""
        in_chunks, alone, chunks = self._all(HELD, {"pid": pid})[0]
        return Held(tuple(in_chunks), tuple(alone), chunks)

    def backends(self) -> list[int]:
        """The processes of the server that serve anybody but benchmarks."""
        asked = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND usename IS NOT NULL AND application_name <> 'erip-benchmarks'"
        )
        return [pid for (pid,) in self._all(asked)]

    def now(self) -> datetime:
        """The database's clock."""
        return self._all("SELECT clock_timestamp()")[0][0]  # type: ignore[no-any-return]

    def _all(self, query: str, values: dict[str, Any] | None = None) -> list[Any]:
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
