"""Worker processes: their lives, their leases and what they leave behind."""

from collections.abc import Sequence

from django.db import connection

from workflows.core import kinds
from workflows.store import lacking
from workflows.store.values import to_json


def next_worker_id() -> int:
    """An id for `register_worker`: a worker listens under this id before anybody knows of the worker."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('workflows_worker', 'id'))")
        worker_id: int = cursor.fetchone()[0]
        return worker_id


def register_worker(
    name: str,
    host: str,
    pid: int,
    lanes: Sequence[str],
    *,
    worker_id: int | None = None,
    steps: Sequence[str] | None = None,
) -> int:
    """Register a new life of a worker. Returns its id: `worker_id`, or a new one if that is not given.

    steps: the registered steps that it knows; None: it does not say.
    """
    worker_id = next_worker_id() if worker_id is None else worker_id
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO workflows_worker (id, name, host, pid, lanes, level, steps, lacks)
            VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s)
            """,
            [worker_id, name, host, pid, ",".join(lanes), kinds.level(), to_json(steps), list(lacking.pairs())],
        )
    return worker_id


def heartbeat(worker_id: int, *, rate: float | None = None) -> None:
    """Record that the worker is alive, even if it was taken for dead. Steps that others claimed meanwhile are no longer
    its own.

    rate: ready steps per second that it takes, for `lane_loads`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_worker SET heartbeat_at = clock_timestamp(), stopped_at = NULL, rate = %s WHERE id = %s",
            [rate, worker_id],
        )


def say_what_is_lacked(worker_id: int) -> None:
    """Record which steps this process, a worker, lacks."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_worker SET lacks = %s WHERE id = %s", [list(lacking.pairs()), worker_id])


def retire_worker(worker_id: int) -> None:
    """The worker finishes what it has and no longer serves any lane: nothing is handed over to it."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_worker SET lanes = '', rate = NULL WHERE id = %s", [worker_id])


def stop_worker(worker_id: int) -> None:
    """The worker ends and makes no more claims."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_worker SET stopped_at = clock_timestamp() WHERE id = %s", [worker_id])


def bury_silent_workers(*, lease: float) -> list[str]:
    """Mark workers without a heartbeat for `lease` seconds as stopped. Returns their names."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_worker SET stopped_at = clock_timestamp()
            WHERE stopped_at IS NULL AND heartbeat_at < now() - make_interval(secs => %s) RETURNING name
            """,
            [lease],
        )
        return [row[0] for row in cursor.fetchall()]


def orphaned_steps(*, limit: int, leave: Sequence[str] = ()) -> list[tuple[int, str, str, int, int]]:
    """(version id, run id, step, item, attempt) of running steps whose worker is not alive, for whatever reason.

    leave: steps that are left out, each a `lacking.pair`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT run.version_id, s.run_id, s.step, s.item, s.attempt
            FROM workflows_steprun s JOIN workflows_workflowrun run ON run.id = s.run_id
            WHERE s.state = 'RUNNING' AND s.items IS NULL
              AND s.worker_id NOT IN (SELECT id FROM workflows_worker WHERE stopped_at IS NULL)
              {lacking.without("leave") if leave else ""}
            LIMIT %(limit)s
            """,  # noqa: S608 - a constant of `lacking`
            {"limit": limit, "leave": list(leave)},
        )
        return [(version, str(run_id), *rest) for version, run_id, *rest in cursor.fetchall()]


def steps_of_worker(worker_id: int) -> list[tuple[str, str, int, int]]:
    """(run id, step, item, attempt) of everything that runs under this worker's name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT run_id, step, item, attempt FROM workflows_steprun WHERE state = 'RUNNING' AND worker_id = %s",
            [worker_id],
        )
        return [(str(run_id), *rest) for run_id, *rest in cursor.fetchall()]
