"""What waits because of something: runs, their legal deadlines and what they may cost, read from the engine's tables.

Bounded: at most WAITING steps of each lane are read by an index, and the outputs of LOOKED_AT runs. It is asked only
when an alert begins to fire and when somebody is called, not at each tick. The outputs are what the steps of the
library, or a person in their place, left in the rows: what is not there, or cannot be read, is not known.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import OperationalError, connection, transaction

#: steps read of each lane; runs whose outputs are read; milliseconds that this may take before it is given up
WAITING, LOOKED_AT, AT_MOST = 500, 200, 1_000


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one run that was looked at. deadlines: of the legal duties that are open, (code, moment as text); None: its
    duties are not known. loss: currency, mean and 95th percentile of one such event; None: not known."""

    run: UUID
    deadlines: Sequence[tuple[str, str]] | None
    loss: tuple[str, float, float] | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """runs: that wait, or at least wait if `more`. now: of the database's clock."""

    runs: int
    more: bool
    looked_at: Sequence[Facts]
    now: datetime


_SQL = """
WITH first AS (
    SELECT s.run_id, l.place, s.ready_at
    FROM unnest(%(lanes)s::text[]) WITH ORDINALITY AS l (lane, place),
        LATERAL (
            (SELECT run_id, ready_at FROM workflows_steprun WHERE state = 'READY' AND lane = l.lane
             ORDER BY ready_at LIMIT %(waiting)s)
            UNION ALL
            (SELECT unnest(runs), ready_at FROM workflows_chunk WHERE worker_id IS NULL AND lane = l.lane
             ORDER BY ready_at LIMIT %(waiting)s)
            ORDER BY ready_at LIMIT %(waiting)s
        ) s
), runs AS (
    SELECT run_id, min(place) AS place, min(ready_at) AS ready_at FROM first GROUP BY run_id
), looked AS MATERIALIZED (
    SELECT r.id, r.version_id FROM (SELECT run_id FROM runs ORDER BY place, ready_at LIMIT %(looked_at)s) f
    JOIN workflows_workflowrun r ON r.id = f.run_id
), steps AS MATERIALIZED (
    SELECT v.id AS version_id, k.key AS step, k.value->>'uses' AS uses
    FROM workflows_workflowversion v, LATERAL jsonb_each(v.document->'steps') k
    WHERE v.id IN (SELECT version_id FROM looked) AND jsonb_typeof(v.document->'steps') = 'object'
      AND k.value->>'uses' IN ('compass.assess_compliance', 'prism.quantify_risk')
), found AS (
    SELECT l.id AS run, s.uses,
           CASE s.uses WHEN 'compass.assess_compliance' THEN jsonb_build_array(
               jsonb_path_query_array(x.output, '$.obligations[*] ? (@.applicability == "applies"
                   && (@.status == "due" || @.status == "overdue")).code'),
               jsonb_path_query_array(x.output, '$.obligations[*] ? (@.applicability == "applies"
                   && (@.status == "due" || @.status == "overdue")).deadline'))
           ELSE jsonb_build_array(x.output->'known', x.output->'currency', x.output->'single_loss') END AS fact
    FROM looked l JOIN steps s ON s.version_id = l.version_id
    JOIN workflows_steprun x ON x.run_id = l.id AND x.step = s.step AND x.item = -1 AND x.state = 'SUCCEEDED'
)
SELECT (SELECT count(*) FROM runs),
       (SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM first GROUP BY place) of_lane),
       (SELECT coalesce(json_agg(id), '[]')::text FROM looked),
       (SELECT coalesce(json_agg(json_build_array(run, uses, fact)), '[]')::text FROM found),
       clock_timestamp()
"""


def waiting_runs(lanes: Sequence[str], *, at_most: int = AT_MOST) -> Waiting | None:
    """What waits in these lanes, the most urgent first. None: it could not be found out within `at_most` ms."""
    try:
        # Within the transaction of a tick, which must not fail for this.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            before = cursor.fetchone()[0]
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{at_most}ms"])
            cursor.execute(_SQL, {"lanes": list(lanes), "waiting": WAITING, "looked_at": LOOKED_AT})
            runs, most, looked, found, now = cursor.fetchone()
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
    except OperationalError:
        # Given up; what else may be wrong with the connection, the tick meets next.
        return None
    duties: dict[str, list[tuple[str, str]]] = {}
    losses: dict[str, tuple[str, float, float]] = {}
    for run, uses, fact in json.loads(found):
        if uses == "prism.quantify_risk":
            if (loss := _loss(fact)) is not None:
                losses[run] = loss
        elif len(fact[0]) == len(fact[1]):
            duties.setdefault(run, []).extend(
                (str(code)[:80], at) for code, at in zip(*fact, strict=True) if isinstance(at, str)
            )
    facts = [Facts(UUID(run), duties.get(run), losses.get(run)) for run in json.loads(looked)]
    return Waiting(runs, most >= WAITING, facts, now)


def _loss(fact: Any) -> tuple[str, float, float] | None:
    known, currency, single = fact
    if known is False or not isinstance(single, dict) or not isinstance(currency, str):
        return None
    figures = [single.get("mean"), single.get("p95")]
    numbers = [float(one) for one in figures if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(numbers) < 2 or not all(map(math.isfinite, numbers)):
        return None
    return currency[:10], numbers[0], numbers[1]
