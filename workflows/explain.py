"""What a run waits for: reads the facts, and has `core/explaining` say them. Nothing here changes anything.

Its cost is bounded whatever the run or the queues are: three statements, at most MAX_ITEMS items for each step, and
queues that are counted up to COUNT_TO.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from erip.foundation import json_values
from erip.foundation.db.retry import retry_transaction
from workflows import queries
from workflows.conf import conf
from workflows.core import explaining
from workflows.core.explaining import COUNT_TO, Facts, Holder, Pause, Queue, StepFacts
from workflows.core.lanes import urgency
from workflows.core.machine import NO_ITEM, StepView
from workflows.core.machine.items import FanView
from workflows.core.states import Lane, RunState, StepState
from workflows.errors import UnknownRun
from workflows.graphs import graph_of
from workflows.store import chunks

#: items of one step that get a sentence of their own: the first ones that rest, run or are unclear. Of its ready items
#: only the first does.
MAX_ITEMS = 10


@retry_transaction
def explain_run(run_id: str) -> dict[str, Any]:
    """What a run waits for: {id, status, lane, summary, deadline_at, waits: [Waits as a dictionary]}.

    Of a run that has ended, nothing waits but steps that are not essential, or whose outcome is unknown.
    Raises UnknownRun.
    """
    rows = _read(run_id)
    if rows is None:
        return _archived(run_id)
    run, steps = rows
    graph = graph_of(run["version_id"])
    by_step: dict[str, list[StepFacts]] = {}
    ended: set[str] = set()
    for step, row in steps:
        if row.view.state.ended and row.item == NO_ITEM:
            ended.add(step)
        else:
            by_step.setdefault(step, []).append(row)
    if run["state"] == RunState.PENDING and not steps:
        # What is ready is its chunk. If nobody waits for it any more, a worker has it.
        lane, since = chunks.ready_since(run_id) or (run["lane"], run["now"])
        first = next(iter(graph.steps))
        by_step[first] = [StepFacts(StepView(StepState.READY), lane, NO_ITEM, since, None, None, None, None)]
    if RunState(run["state"]).ended:
        # A step without a row will never begin, unless it is not essential and has still to.
        ended |= {id for id, node in graph.steps.items() if id not in by_step and node.essential}
    pause = None
    if run["state"] == RunState.PAUSED and run["since"] is not None:
        pause = Pause(run["since"], run["by"], run["reason"], run["clock"] == "stop", run["held"])
    registered, workers = _workers()
    facts = Facts(
        now=run["now"],
        steps=by_step,
        ended=ended,
        lease=conf().lease,
        bounds=conf().lanes.bounds,
        registered=registered,
        workers=bool(workers),
        pause=pause,
    )
    waits = explaining.explain(graph, replace(facts, steps=_queued(by_step, workers)))
    more = "" if run["finished_at"] else f" {explaining.deadline(run['deadline_at'], run['now'])}"
    if pause is not None:
        # While its clock stands it has no moment that could be missed.
        more = f" {explaining.paused(pause, run['deadline_in'])}{'' if pause.stands else more}"
    return {
        "id": run_id,
        "status": run["state"],
        "lane": run["lane"],
        "summary": f"{_summary(run['state'], len(waits))}{more}",
        "deadline_at": run["deadline_at"],
        "waits": [asdict(one) for one in waits],
    }


def _summary(state: str, waiting: int) -> str:
    number = f"{waiting:,} {'step waits' if waiting == 1 else 'steps wait'}"
    if RunState(state).ended:
        return f"The run has ended: {state}; {number} still." if waiting else f"The run has ended: {state}."
    return f"The run is {state}; {number}."


def _archived(run_id: str) -> dict[str, Any]:
    """A run that ended long ago waits for nothing. Raises UnknownRun."""
    found = queries.run_detail(run_id)
    return {
        "id": found["id"],
        "status": found["status"],
        "lane": found["lane"],
        "summary": _summary(found["status"], 0),
        "deadline_at": found["deadline_at"],
        "waits": [],
    }


# No inputs and outputs, which may be large, but of what waits. Of items only some.
_READ = """
WITH run AS (
    SELECT id, version_id, state, lane, deadline_at, finished_at FROM workflows_workflowrun WHERE id = %(run)s
), steps AS (
    SELECT s.* FROM run JOIN workflows_steprun s ON s.run_id = run.id AND s.item = -1
), items AS (
    SELECT i.* FROM steps CROSS JOIN LATERAL (
        SELECT s.* FROM workflows_steprun s
        WHERE s.run_id = steps.run_id AND s.step = steps.step AND s.item >= 0
          AND s.state IN ('RUNNING', 'WAITING', 'PAUSED', 'UNKNOWN')
        ORDER BY s.item LIMIT %(items)s
    ) i
    WHERE steps.items IS NOT NULL AND steps.state = 'RUNNING'
), next AS (
    SELECT i.* FROM steps CROSS JOIN LATERAL (
        SELECT s.* FROM workflows_steprun s
        WHERE s.run_id = steps.run_id AND s.step = steps.step AND s.item >= 0 AND s.state = 'READY'
        ORDER BY s.item LIMIT 1
    ) i
    WHERE steps.items IS NOT NULL AND steps.state = 'RUNNING'
)
SELECT run.version_id, run.state, run.lane, run.deadline_at, run.finished_at, clock_timestamp(),
       p.since, p.clock, p.by, p.reason, p.deadline_in, coalesce('the ' || h.kind || ' ' || h.name, ''),
       s.step, s.item, s.state, s.attempt, s.failures, s.lost, s.lane, s.ready_at, s.started_at, s.due_at,
       left(s.error->>'message', 300), w.name, extract(epoch FROM clock_timestamp() - w.heartbeat_at)::float8,
       w.stopped_at IS NOT NULL,
       CASE WHEN s.state = 'WAITING' THEN s.output::text END, b.at, left(b.progress::text, 300),
       CASE WHEN s.items IS NOT NULL AND s.state = 'RUNNING' THEN (
            SELECT jsonb_object_agg(state, count)::text FROM (
                SELECT i.state, count(*) AS count FROM workflows_steprun i
                WHERE i.run_id = s.run_id AND i.step = s.step AND i.item >= 0 GROUP BY i.state) counts) END
FROM run LEFT JOIN (SELECT * FROM steps UNION ALL SELECT * FROM items UNION ALL SELECT * FROM next) s ON true
LEFT JOIN workflows_worker w ON w.id = s.worker_id AND s.state = 'RUNNING'
LEFT JOIN workflows_stepbeat b ON b.run_id = run.id AND b.step = s.step AND b.item = s.item AND s.state = 'RUNNING'
                               AND b.attempt = s.attempt
LEFT JOIN workflows_runpause p ON p.run_id = run.id
LEFT JOIN workflows_hold h ON h.id = p.hold
ORDER BY s.step, s.item
"""


def _read(run_id: str) -> tuple[dict[str, Any], list[tuple[str, StepFacts]]] | None:
    """The run, and those of its steps and items that have rows. None: it is archived, or does not exist."""
    try:
        id_ = UUID(str(run_id))
    except ValueError:
        raise UnknownRun from None
    with connection.cursor() as cursor:
        cursor.execute(_READ, {"run": str(id_), "items": MAX_ITEMS})
        rows = cursor.fetchall()
    if not rows:
        return None
    names = [
        *("version_id", "state", "lane", "deadline_at", "finished_at", "now"),
        *("since", "clock", "by", "reason", "deadline_in", "held"),
    ]
    run = dict(zip(names, rows[0], strict=False))
    return run, [(row[len(names)], _facts(*row[len(names) + 1 :])) for row in rows if row[len(names)] is not None]


def _facts(
    item: int,
    state: str,
    attempt: int,
    failures: int,
    lost: int,
    lane: str,
    ready_at: datetime | None,
    started_at: datetime | None,
    due_at: datetime | None,
    error: str | None,
    worker: str | None,
    silent: float | None,
    gone: bool | None,
    came: str | None,
    heard_at: datetime | None,
    progress: str | None,
    counts: str | None,
) -> StepFacts:
    fan = None
    if counts is not None:
        fan = FanView.of({StepState(name): count for name, count in json_values.load(counts).items()})
    # Of a step that waits, the output says what has come.
    output = json_values.load(came) if came is not None else None
    view = StepView(StepState(state), attempt, failures, lost, output, fan)
    holder = Holder(worker, silent or 0.0, bool(gone)) if worker is not None else None
    if holder is None and state == StepState.RUNNING and attempt:
        # Its worker's row is gone, as after a restore of an older backup.
        holder = Holder("unknown", 0.0, True)
    return StepFacts(view, lane, item, ready_at, started_at, due_at, error, holder, heard_at, progress)


def _workers() -> tuple[frozenset[str] | None, list[tuple[str, float | None]]]:
    """(what living workers have registered, [(lanes, rate) of each])."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT lanes, rate, steps::text FROM workflows_worker WHERE stopped_at IS NULL")
        rows = cursor.fetchall()
    known = [json_values.load(steps) for _, _, steps in rows if steps is not None]
    registered = frozenset(name for names in known for name in names)
    return registered if len(known) == len(rows) else None, [(lanes, rate) for lanes, rate, _ in rows]


# A queue is read from its indexes, and only as far as it is counted. Each run of a chunk that waits is a ready step too
# (Note [Chunks] in `store/chunks`).
_QUEUES = """
SELECT q.number,
       least(%(count_to)s,
             (SELECT count(*) FROM (SELECT 1 FROM workflows_steprun s WHERE s.state = 'READY' AND s.lane = q.lane
                                    AND s.ready_at < q.ready_at LIMIT %(count_to)s) counted)
             + (SELECT coalesce(sum(size), 0) FROM (
                    SELECT c.size FROM workflows_chunk c WHERE c.worker_id IS NULL AND c.lane = q.lane
                    AND c.ready_at < q.ready_at LIMIT %(count_to)s) counted)),
       least(%(count_to)s,
             (SELECT count(*) FROM (SELECT 1 FROM unnest(%(lanes)s::text[]) WITH ORDINALITY AS l (lane, place)
                                    JOIN workflows_steprun s ON s.state = 'READY' AND s.lane = l.lane
                                    WHERE l.place < array_position(%(lanes)s::text[], q.lane)
                                    LIMIT %(count_to)s) counted)
             + (SELECT coalesce(sum(size), 0) FROM (
                    SELECT c.size FROM unnest(%(lanes)s::text[]) WITH ORDINALITY AS l (lane, place)
                    JOIN workflows_chunk c ON c.worker_id IS NULL AND c.lane = l.lane
                    WHERE l.place < array_position(%(lanes)s::text[], q.lane) LIMIT %(count_to)s) counted))
FROM unnest(%(numbers)s::int[], %(of)s::text[], %(since)s::timestamptz[]) AS q (number, lane, ready_at)
"""


def _queued(
    by_step: Mapping[str, Sequence[StepFacts]], workers: Sequence[tuple[str, float | None]]
) -> Mapping[str, Sequence[StepFacts]]:
    """The same, with what each ready step waits behind."""
    ready = [row for rows in by_step.values() for row in rows if row.view.state is StepState.READY]
    if not ready:
        return by_step
    with connection.cursor() as cursor:
        cursor.execute(
            _QUEUES,
            {
                "count_to": COUNT_TO,
                "lanes": urgency([str(lane) for lane in Lane]),
                "numbers": list(range(len(ready))),
                "of": [row.lane for row in ready],
                "since": [row.ready_at for row in ready],
            },
        )
        counted = {number: (ahead, urgent) for number, ahead, urgent in cursor.fetchall()}
    queues: dict[int, Queue] = {}
    for number, row in enumerate(ready):
        serving = [rate for served, rate in workers if row.lane in served.split(",")]
        rates = [rate for rate in serving if rate is not None]
        queues[id(row)] = Queue(*counted[number], len(serving), sum(rates) if rates else None)
    return {step: [replace(row, queue=queues.get(id(row))) for row in rows] for step, rows in by_step.items()}
