"""Who works on what: claiming ready steps, and finding those that nobody has claimed.

Note [Claims that may be lost]
Whoever waits for a lone run waits for its commits, one after the other: its start, its claim, its outcome. If
PostgreSQL crashes and has forgotten a claim, the step is ready again, and its body runs once more, as after the death
of a worker. What the first one reports then finds a step that is not RUNNING, or is taken for the report of who has
claimed it since: the same step at the same attempt, and one of the two is recorded. So only the claim of a step that
must not run twice has to be on the disk, and on a standby, before its body begins.

That claim may be two transactions: the second waits for the first, and a crash between them breaks the session, so the
claim is not believed. Behind a pooler that gives each transaction another connection the second would succeed on a
server that has forgotten the first, and what the worker knows of the run would be taken for true (`seq` counts the
same again). There claims are waited for at once (`store.losable`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from django.db import connection

from erip.foundation.db import prepared
from workflows.core import lifecycle
from workflows.core.graph import Graph
from workflows.core.lanes import LaneLoad
from workflows.core.machine import NO_ITEM, RunView, Snapshot, StepKey, StepView
from workflows.core.states import RunState, StepState
from workflows.store import lacking, outbox
from workflows.store.fan_outs import PORTION, portions
from workflows.store.losable import losable
from workflows.store.timings import WAITS
from workflows.store.values import Claim, Known, from_json, to_array

_CLAIM = """
WITH run AS MATERIALIZED (
    SELECT id, version_id, workflow, business_key, lane, state, input, deadline_at, created_at, seq{started_by}
    FROM workflows_workflowrun WHERE id = ANY(%(runs)s::uuid[]) ORDER BY id FOR NO KEY UPDATE {skip}
), portion AS MATERIALIZED (
    -- Never run where no step that may be claimed is an item. Locked, because what another claim took while this one
    -- waited for the run must not count as part of the portion.
    SELECT run.id, i.step, i.item FROM run CROSS JOIN LATERAL (
        SELECT s.step, s.item FROM workflows_steprun s
        WHERE s.run_id = run.id AND s.item >= 0 AND s.state = 'READY' AND s.lane = ANY(%(lanes)s){known}
        ORDER BY s.step, s.item
        LIMIT %(portion)s * (SELECT count(*) FROM unnest(%(runs)s::uuid[]) AS named (id) WHERE named.id = run.id)
        FOR NO KEY UPDATE
    ) i
), claimed AS (
    UPDATE workflows_steprun s
    SET state = 'RUNNING', attempt = s.attempt + 1, worker_id = %(worker)s, started_at = clock_timestamp(),
        finished_at = NULL, due_at = NULL, hinted_at = NULL
    -- The condition hides the index of all that is ready: it is tempting while little is, and the plan is kept.
    FROM run WHERE s.run_id = run.id AND s.state || '' = 'READY' AND s.lane = ANY(%(lanes)s){known}
      AND (s.item < 0 OR (s.run_id, s.step, s.item) IN (SELECT id, step, item FROM portion))
    RETURNING s.run_id, s.step, s.item, s.attempt, s.input, s.lane, s.failures, s.lost,
              extract(epoch FROM s.started_at - s.ready_at)::float8 AS waited
), begun AS (
    UPDATE workflows_workflowrun r
    SET seq = r.seq + 1, state = CASE r.state WHEN 'PENDING' THEN 'RUNNING' ELSE r.state END,
        started_at = coalesce(r.started_at, clock_timestamp())
    WHERE r.id IN (SELECT run_id FROM claimed)
){told}
SELECT c.run_id::text, c.step, c.item, c.attempt, c.input::text, run.version_id, run.workflow, run.business_key, c.lane,
       run.deadline_at, run.created_at, c.waited, c.failures, c.lost, run.lane, run.state, run.seq + 1,
       CASE WHEN run.state = 'PENDING' AND c.item < 0 THEN run.input::text END,
       CASE WHEN run.state = 'PENDING' AND c.item < 0
            THEN (SELECT count(*) FROM workflows_steprun s WHERE s.run_id = run.id) END
FROM claimed c JOIN run ON run.id = c.run_id ORDER BY c.run_id, c.step, c.item
"""


def claim(
    run_ids: Iterable[str],
    *,
    worker_id: int,
    lanes: Sequence[str],
    skip_locked: bool = False,
    known: MutableMapping[str, Known] | None = None,
    known_graph: Callable[[int], Graph | None] | None = None,
) -> list[Claim]:
    """Claim what is ready in these runs and lanes, in one statement. Needs no transaction, and must be in none.

    Steps that this process lacks are left to others (Note [Lacking] in `lacking`).
    Of the items of fan-outs it takes a portion of each run, as often as the run is named.
    skip_locked: pass over runs that someone else is busy with, for callers that can come back.
    known: what the worker knows of runs; these claims bring it up to date.
    known_graph: the graph of a version, without asking the database. With it, the commit is waited for only where that
        matters (Note [Claims that may be lost]).
    """
    wanted = outbox.interest()
    tell = lifecycle.STEP_STARTED in wanted.types
    sql = _CLAIM.format(
        skip="SKIP LOCKED" if skip_locked else "",
        started_by=", started_by" if tell else "",
        told=outbox.announced(outbox.TELL_CLAIMED) if tell else "",
        known=lacking.without("lacked") if (lacked := lacking.pairs()) else "",
    )
    named = sorted(run_ids)
    parameters = {"runs": to_array(named), "worker": worker_id, "lanes": to_array(lanes), "portion": PORTION}
    if lacked:
        parameters["lacked"] = to_array(lacked)
    if tell:
        parameters["partitions"] = outbox.partitions_of(named, wanted)
    # An event about a claim must not be told of one that is lost.
    mode = losable(known_graph is not None and not tell)
    if mode and connection.in_atomic_block:
        raise RuntimeError("a claim that may be lost would take the caller's transaction with it")
    with connection.cursor() as cursor:
        prepared.execute(cursor, sql, parameters, settings_first=mode)
        rows = cursor.fetchall()
        if known_graph is not None and mode and any(_must_last(known_graph(row[5]), row[1]) for row in rows):
            # The commit of a later transaction is waited for, and with it that of this one.
            cursor.execute("SELECT pg_logical_emit_message(true, 'erip', '')")
    claims = [
        Claim(run_id, step, item, attempt, from_json(input_), *rest[:6])
        for run_id, step, item, attempt, input_, *rest in rows
    ]
    for one, row in zip(claims, rows, strict=True):
        WAITS.observe((one.lane,), row[11])
    return claims if known is None else _learn(known, claims, rows)


def _must_last(graph: Graph | None, step: str) -> bool:
    return graph is None or step not in graph.steps or graph.steps[step].durable


def _learn(known: MutableMapping[str, Known], claims: Sequence[Claim], rows: Sequence[tuple[Any, ...]]) -> list[Claim]:
    """Update what is known of the runs that these claims changed. A run of which nothing was known, and which nobody
    had touched before, becomes known by its claims if they are all of its steps. Returns the claims with what is known
    of their runs."""
    claimed: dict[str, dict[StepKey, StepView]] = defaultdict(dict)
    for one, (*_, failures, lost, _, _, _, _, _) in zip(claims, rows, strict=True):
        claimed[one.run_id][one.step, one.item] = StepView(StepState.RUNNING, one.attempt, failures, lost)
    before = {run_id: known.pop(run_id, None) for run_id in claimed}
    for one, (*_, lane, state, seq, input_, steps) in zip(claims, rows, strict=True):
        was = before[one.run_id]
        if one.run_id in known:
            continue
        if was is not None and was.seq == seq - 1:
            run = was.snapshot.run
            if run.state is RunState.PENDING:
                run = run.in_state(RunState.RUNNING)
            snapshot = Snapshot(run, {**was.snapshot.steps, **claimed[one.run_id]})
            known[one.run_id] = Known(snapshot, seq, was.version_id, was.deadline_at)
        elif state == RunState.PENDING and steps == len(claimed[one.run_id]):
            view = RunView(
                one.run_id,
                one.workflow,
                one.business_key,
                lane,
                RunState.RUNNING,
                from_json(input_),
                one.run_created_at,
            )
            snapshot = Snapshot(view, claimed[one.run_id])
            known[one.run_id] = Known(snapshot, seq, one.version_id, one.deadline_at)
    return [
        # No worker goes on from an item by itself.
        replace(one, snapshot=known[one.run_id].snapshot) if one.run_id in known and one.item == NO_ITEM else one
        for one in claims
    ]


def stale_ready_runs(portions: Sequence[tuple[str, int]], *, older_than: float, limit: int) -> list[str]:
    """Runs with steps that have been ready for `older_than` seconds: for each (lane, limit) in turn, oldest first.
    Steps that this process lacks do not count."""
    lacked = lacking.pairs()
    join, known = (_JOIN_RUN, lacking.without("lacked")) if lacked else ("", "")
    sql = f"""
        SELECT s.run_id FROM workflows_steprun s {join}
        WHERE s.state = 'READY' AND s.lane = %(lane)s AND s.ready_at < now() - make_interval(secs => %(older_than)s)
        {known} ORDER BY s.ready_at LIMIT %(limit)s
    """  # noqa: S608  (made of constants)
    with connection.cursor() as cursor:
        found: dict[str, None] = {}
        for lane, most in portions:
            cursor.execute(sql, {"lane": lane, "older_than": older_than, "limit": most, "lacked": list(lacked)})
            # A lane may appear twice, and then gives the same runs again.
            found.update((str(row[0]), None) for row in cursor.fetchall())
            if len(found) >= limit:
                break
        return list(found)[:limit]


_JOIN_RUN = "JOIN workflows_workflowrun run ON run.id = s.run_id"


def lane_loads(lanes: Sequence[str], *, count_to: int) -> dict[str, LaneLoad]:
    """What waits in each lane, in chunks too, and how fast its living workers are. Reads only the indexes `step_ready`
    and `chunk_ready`.

    Steps that no living worker of the lane has do not count: no worker can take them, and more workers would not help.
    count_to: waiting steps are counted up to this number, so that a look at a long queue costs little.
    """
    parameters: dict[str, Any] = {"lanes": [str(lane) for lane in lanes], "count_to": count_to}
    with connection.cursor() as cursor:
        cursor.execute(_LANE_LOADS.format(join="", known=""), parameters)
        rows = cursor.fetchall()
        if any(lacked for *_, lacked in rows) and (nobody := lacking.nobody_has()):
            parameters["nobody"] = lacking.by_lane(nobody)
            cursor.execute(_LANE_LOADS.format(join=_JOIN_RUN, known=lacking.without_by_lane("nobody")), parameters)
            rows = cursor.fetchall()
        return {lane: LaneLoad(waiting, max(0.0, oldest), *served) for lane, waiting, oldest, *served, _ in rows}


_LANE_LOADS = """
SELECT lane,
       least(%(count_to)s,
             (SELECT count(*) FROM (
                  SELECT 1 FROM workflows_steprun s {join}
                  WHERE s.state = 'READY' AND s.lane = l.lane{known} LIMIT %(count_to)s) waits)
             + (SELECT coalesce(sum(size), 0) FROM (
                  SELECT size FROM workflows_chunk c
                  WHERE c.worker_id IS NULL AND c.lane = l.lane LIMIT %(count_to)s) chunks)),
       coalesce(extract(epoch FROM clock_timestamp() - least(
           (SELECT min(s.ready_at) FROM workflows_steprun s {join}
            WHERE s.state = 'READY' AND s.lane = l.lane{known}),
           (SELECT min(c.ready_at) FROM workflows_chunk c
            WHERE c.worker_id IS NULL AND c.lane = l.lane)))::float8, 0),
       (SELECT sum(w.rate) FROM workflows_worker w
        WHERE w.stopped_at IS NULL AND l.lane = ANY(string_to_array(w.lanes, ','))),
       EXISTS (SELECT FROM workflows_worker w
               WHERE w.stopped_at IS NULL AND l.lane = ANY(string_to_array(w.lanes, ','))),
       EXISTS (SELECT FROM workflows_worker w WHERE w.stopped_at IS NULL AND w.lacks <> '{{}}')
FROM unnest(%(lanes)s::text[]) AS l (lane)
"""


def rehint_stale_ready(
    *,
    older_than: float,
    again_after: float,
    limit: int,
    nobody_has: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[tuple[str, str]]:
    """(lane, run id) of ready steps whose message seems lost; not named again for `again_after` seconds.

    A run is named once for each portion of its items. nobody_has: `lacking.nobody_has`; these steps are not named.
    """
    join, known = (_JOIN_RUN, lacking.without_by_lane("nobody")) if nobody_has else ("", "")
    sql = f"""
        UPDATE workflows_steprun s SET hinted_at = now()
        FROM (
            SELECT s.run_id, s.step, s.item FROM workflows_steprun s {join}
            WHERE s.state = 'READY' AND s.ready_at < now() - make_interval(secs => %(older_than)s)
              AND (s.hinted_at IS NULL OR s.hinted_at < now() - make_interval(secs => %(again_after)s)){known}
            ORDER BY s.ready_at LIMIT %(limit)s FOR NO KEY UPDATE OF s SKIP LOCKED
        ) stale
        WHERE s.run_id = stale.run_id AND s.step = stale.step AND s.item = stale.item
        RETURNING s.lane, s.run_id, s.item
    """  # noqa: S608  (made of constants)
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "older_than": older_than,
                "again_after": again_after,
                "limit": limit,
                "nobody": lacking.by_lane(nobody_has),
            },
        )
        items: dict[tuple[str, str], int] = defaultdict(int)
        for lane, run_id, item in cursor.fetchall():
            items[lane, str(run_id)] += item != NO_ITEM
        return [hint for hint, count in items.items() for _ in range(max(1, portions(count)))]
