"""What is at work now, and what waits for a person: the workers with what each runs, and steps of which nobody knows
how they ended.

Note [What runs where]
Both are read from small partial indexes (`step_running`, `step_unknown`), so their cost does not depend on how many
runs there are. Of a worker, COUNTED steps are read at most.
"""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db import connections

from erip.foundation import json_values
from erip.foundation.db.router import reading_alias, reads_from_replica
from workflows.conf import conf
from workflows.core.definition import DefinitionInvalid
from workflows.core.graph import Work
from workflows.core.machine import NO_ITEM
from workflows.graphs import graph_of
from workflows.models import WorkflowVersion
from workflows.queries import MAX_PAGE, Page
from workflows.store import lacking
from workflows.store.filters import IN_SPACES

#: steps of one worker that are counted
COUNTED = 1_000
#: workers that are listed
MAX_WORKERS = 1_000


@reads_from_replica
def list_workers(*, shown: int) -> list[dict[str, Any]]:
    """The workers that have not stopped, by name, with up to `shown` of the steps that each runs, the oldest first.

    alive: by the database's clock, it was heard of within the lease. running: how many steps, counted up to COUNTED.
    """
    with connections[reading_alias()].cursor() as cursor:
        cursor.execute(_WORKERS, [conf().lease, MAX_WORKERS])
        rows = cursor.fetchall()
    running = running_on([row[0] for row in rows], shown=shown)
    return [
        {
            "name": name,
            "host": host,
            "pid": pid,
            "alive": alive,
            "lanes": [lane for lane in lanes.split(",") if lane],
            "started_at": started_at,
            "heard_at": heard_at,
            "lacks": lacked(lacks),
            "running": running[id_][0][-1] if id_ in running else 0,
            "steps": [
                {
                    "run": str(run_id),
                    "workflow": workflow,
                    "business_key": key,
                    "step": step,
                    "item": None if item == NO_ITEM else item,
                    "started_at": since,
                }
                for run_id, workflow, key, step, item, since, _ in running.get(id_, [])
            ],
        }
        for id_, name, host, pid, alive, lanes, started_at, heard_at, lacks in rows
    ]


def running_on(workers: Sequence[int], *, shown: int) -> dict[int, list[tuple[Any, ...]]]:
    """What each worker runs: (run id, workflow, business key, step, item, since when, how many steps it runs), the
    oldest first.

    Reads no more than COUNTED steps of a worker; the index `step_running` has them.
    """
    with connections[reading_alias()].cursor() as cursor:
        cursor.execute(_RUNNING, {"workers": list(workers), "counted": COUNTED, "shown": shown})
        found: dict[int, list[tuple[Any, ...]]] = {}
        for worker, *step in cursor.fetchall():
            found.setdefault(worker, []).append(tuple(step))
        return found


def lacked(pairs: Sequence[str]) -> list[str]:
    """The registered steps that a worker leaves to others, from what it has recorded."""
    return sorted({work.uses for version, step in lacking.split(pairs) if (work := _work(version, step))})


@reads_from_replica
def list_unknown(
    *,
    workflow: str | None = None,
    business_key: str | None = None,
    cursor: tuple[UUID, str, int] | None,
    limit: int,
    spaces: Collection[str] | None = None,
) -> Page:
    """Steps that are UNKNOWN, those of the oldest run first. cursor: (run id, step, item) of the last one before.
    spaces: only of workflows in these."""
    limit = max(1, min(limit, MAX_PAGE))
    where = ""
    parameters: list[Any] = []
    for column, value in (("workflow", workflow), ("business_key", business_key)):
        if value is not None:
            where += f" AND r.{column} = %s"
            parameters.append(value)
    if spaces is not None:
        where += f" AND {IN_SPACES}"
        parameters.append(list(spaces))
    if cursor is not None:
        where += " AND (s.run_id, s.step, s.item) > (%s, %s, %s)"
        parameters += cursor
    with connections[reading_alias()].cursor() as database:
        database.execute(_UNKNOWN.format(where=where), [*parameters, limit + 1])
        rows = database.fetchall()
    items = [_unknown(*row) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(items, f"{last[0]} {last[6]} {last[7]}" if last else None)


def _unknown(
    run_id: UUID,
    version_id: int,
    workflow: str,
    key: str | None,
    status: str,
    lane: str,
    step: str,
    item: int,
    attempt: int,
    worker: str | None,
    started_at: Any,
    error: str | None,
) -> dict[str, Any]:
    work = _work(version_id, step)
    return {
        "run": str(run_id),
        "workflow": workflow,
        "business_key": key,
        "run_status": status,
        "lane": lane,
        "step": step,
        "item": None if item == NO_ITEM else item,
        "uses": work.uses if work else None,
        "attempt": attempt,
        "worker": worker,
        "started_at": started_at,
        "error": None if error is None else json_values.load(error),
    }


def _work(version_id: int, step: str) -> Work | None:
    try:
        return graph_of(version_id).steps[step].work
    except (KeyError, WorkflowVersion.DoesNotExist, DefinitionInvalid):
        return None


_WORKERS = """
SELECT id, name, host, pid, heartbeat_at > now() - make_interval(secs => %s), lanes, started_at, heartbeat_at, lacks
FROM workflows_worker WHERE stopped_at IS NULL ORDER BY name, id LIMIT %s
"""

_RUNNING = """
SELECT w.id, s.run_id, r.workflow, r.business_key, s.step, s.item, s.started_at, s.count
FROM unnest(%(workers)s::bigint[]) AS w (id)
CROSS JOIN LATERAL (
    SELECT *, count(*) OVER () AS count
    FROM (SELECT run_id, step, item, started_at FROM workflows_steprun
          WHERE worker_id = w.id AND state = 'RUNNING' AND items IS NULL LIMIT %(counted)s) own
    ORDER BY started_at LIMIT %(shown)s
) s
JOIN workflows_workflowrun r ON r.id = s.run_id
ORDER BY w.id, s.started_at
"""

_UNKNOWN = """
SELECT s.run_id, r.version_id, r.workflow, r.business_key, r.state, s.lane, s.step, s.item, s.attempt, w.name,
       s.started_at, s.error::text
FROM workflows_steprun s JOIN workflows_workflowrun r ON r.id = s.run_id
LEFT JOIN workflows_worker w ON w.id = s.worker_id
WHERE s.state = 'UNKNOWN'{where} ORDER BY s.run_id, s.step, s.item LIMIT %s
"""
