"""A leader and a worker on what was restored, parked, until what was due is taken up."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import Popen
from time import monotonic
from typing import Any, Final

from erip.management.drill.proofs import Proof
from erip.ops.stack import environment, services
from erip.ops.stack.processes import spawn, stop, wait_until
from erip.ops.stack.state import ROOT

#: what was due, of which the drill waits for all: the longest due
MOST: Final = 1_000
#: settings of the living platform that lead to its servers, to what it watches, and to others
_ITS_OWN: Final = (
    *("DATABASE_", "ERIP_BROKER_", "ERIP_SENTINEL_", "ERIP_REPLICA_", "ERIP_DB_DIRECT_", "ERIP_PULSE_"),
    *(
        "ERIP_OTLP_",
        "ERIP_ALERT_",
        "ERIP_AUDIT_FILE",
        "ERIP_AUDIT_SYSLOG",
        "ERIP_AUDIT_WEBHOOK",
        "ERIP_AUDIT_S3",
        "ERIP_EMAIL_",
    ),
    # An erasure in the copy is none of the living platform's.
    "ERIP_ERASURE_JOURNAL",
    *("ERIP_STATE_DIR", "ERIP_REPORT_DIR", "ERIP_ALIVE_DIR", "ERIP_BACKUP_", "PROMETHEUS_"),
)
#: what a worker should have taken up by now: steps that are ready or were under way, waits and retries that are over,
#: and runs in chunks (Note [Chunks] in `workflows.store.chunks`), which have no rows of steps: their step is ''
_DUE: Final = """
SELECT run_id::text, step, item, attempt, due_at, seq FROM (
    SELECT run_id, step, item, attempt, NULL::timestamptz AS due_at, 0 AS seq, ready_at AS since FROM workflows_steprun
    WHERE state = 'READY' OR (state = 'RUNNING' AND items IS NULL)
    UNION ALL
    SELECT s.run_id, s.step, s.item, s.attempt, s.due_at, r.seq, s.due_at
    FROM workflows_steprun s JOIN workflows_workflowrun r ON r.id = s.run_id
    WHERE s.state = 'WAITING' AND s.due_at <= now()
    UNION ALL
    SELECT r.id, '', -1, 0, NULL, 0, c.ready_at FROM workflows_chunk c CROSS JOIN LATERAL unnest(c.runs) AS named (id)
    JOIN workflows_workflowrun r ON r.id = named.id AND r.seq = 0 AND r.state = 'PENDING'
) due ORDER BY since LIMIT %s
"""
_OPEN: Final = "SELECT count(*) FROM workflows_workflowrun WHERE finished_at IS NULL"
#: A run that left its chunk and that no worker has begun is PENDING still. A wait for several moments rests again,
#: until the next of them or a signal; one that was put off, as nobody could read its definition, rests without a new
#: `seq`.
_MOVED: Final = """
SELECT count(*)
FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::int[], %s::timestamptz[], %s::bigint[])
     AS due (run_id, step, item, attempt, due_at, seq)
LEFT JOIN workflows_steprun s USING (run_id, step, item) LEFT JOIN workflows_workflowrun w ON w.id = s.run_id
WHERE CASE WHEN due.step = ''
      THEN NOT EXISTS (SELECT FROM workflows_workflowrun r WHERE r.id = due.run_id AND r.state = 'PENDING')
      ELSE s.run_id IS NULL OR s.attempt > due.attempt OR s.state NOT IN ('READY', 'RUNNING', 'WAITING')
        OR (s.state = 'WAITING' AND due.due_at IS NOT NULL AND s.due_at IS DISTINCT FROM due.due_at AND w.seq > due.seq)
      END
"""
_AT_WORK: Final = "SELECT count(*) FROM workflows_worker WHERE pid = %s AND heartbeat_at > now() - interval '5 s'"


def environment_of(restored: str, broker: str, folder: Path) -> dict[str, str]:
    """The settings of the restored platform: those of this process, without what leads to the living one."""
    given = environment.of_platform(os.environ)
    kept = {name: value for name, value in given.items() if not name.startswith(_ITS_OWN)}
    return {
        **kept,
        "DATABASE_URL": restored,
        "ERIP_BROKER_URL": broker,
        "ERIP_EMAIL_URL": "nomail://",
        "ERIP_STATE_DIR": str(folder),
        "ERIP_REPORT_DIR": str(folder / "reports"),
        "ERIP_ALIVE_DIR": str(folder / "alive"),
        "ERIP_PARKED": "true",
        # The local settings would read the file of a stack that runs.
        "ERIP_STACK_ID": f"drill-{os.getpid()}",
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
    }


@contextmanager
def at_work(env: Mapping[str, str], folder: Path) -> Iterator[Popen[bytes]]:
    """The leader, and the worker, which is given."""
    known = [
        services.leader("leader", dict(env)),
        services.worker("worker", dict(env), queues="critical,high,standard,bulk", node="drill", threads="8"),
    ]
    started: list[Popen[bytes]] = []
    try:
        for one in known:
            started.append(spawn(one.command, env=one.env, log=folder / f"{one.name}.log", cwd=ROOT))
        yield started[-1]
    finally:
        for process in reversed(started):
            # Nothing that they do is kept.
            stop(process, signal.SIGKILL, 10)


def goes_on(restored: Any, env: Mapping[str, str], folder: Path, *, patience: float) -> Proof:
    """Whether what was due is taken up. restored: a psycopg2 connection in autocommit. patience: seconds."""
    due = _all(restored, _DUE, [MOST])
    ((open_runs,),) = _all(restored, _OPEN, [])
    began, first = monotonic(), [0.0]
    columns = [[row[at] for row in due] for at in range(6)]

    def moved() -> int:
        ((count,),) = _all(restored, _MOVED, columns)
        if count and not first[0]:
            first[0] = monotonic() - began
        return int(count)

    with at_work(env, folder) as worker:
        works = wait_until(
            lambda: _all(restored, _AT_WORK, [worker.pid])[0][0] > 0 or worker.poll() is not None, patience
        )
        took = monotonic() - began
        if due:
            wait_until(lambda: moved() == len(due) or worker.poll() is not None, patience)
        count = moved() if due else 0
        ended = worker.poll()
    facts = {
        "open_runs": open_runs,
        "due": len(due),
        "due_in_chunks": sum(not row[1] for row in due),
        "taken_up": count,
        "first_seconds": round(first[0] or took, 2),
    }
    if ended is not None or not works:
        return Proof("work", False, "No worker could begin on what was restored.", facts)
    if count < len(due):
        return Proof("work", False, f"Of {len(due)} steps that were due, {len(due) - count} were not taken up.", facts)
    if not due:
        return Proof("work", True, f"A worker is at work; of {open_runs} open runs no step was due.", facts)
    return Proof("work", True, f"All {len(due)} steps that were due were taken up, in {open_runs} open runs.", facts)


def _all(connection: Any, statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
