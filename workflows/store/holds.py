"""Pauses of workflows and lanes: which there are, and which runs they park. See Note [Holds] in `engine/holds`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from erip.foundation import json_values
from workflows.store.values import to_array

#: runs that one search reads
WINDOW = 20_000


@dataclass(frozen=True, slots=True)
class Held:
    """A workflow or a lane that is paused. kind: workflow or lane."""

    id: int
    kind: str
    name: str
    clock: str
    by: str
    reason: str


#: the holds in force, as JSON, or NULL: a part of other statements
IN_FORCE = """(SELECT jsonb_agg(jsonb_build_array(h.id, h.kind, h.name, h.clock, h.by, h.reason) ORDER BY h.id)::text
 FROM workflows_hold h WHERE h.resumed_at IS NULL)"""


def read_holds(text: str | None) -> tuple[Held, ...]:
    """What IN_FORCE gave."""
    return () if text is None else tuple(Held(*row) for row in json_values.load(text))


def holds_in_force() -> tuple[Held, ...]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {IN_FORCE}")
        return read_holds(cursor.fetchone()[0])


def add_hold(kind: str, name: str, *, clock: str, by: str, reason: str) -> bool:
    """Returns whether there was none before."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO workflows_hold (kind, name, clock, by, reason) VALUES (%s, %s, %s, %s, %s)
               ON CONFLICT (kind, name) WHERE resumed_at IS NULL DO NOTHING""",
            [kind, name, clock, by, reason],
        )
        return bool(cursor.rowcount)


def lift_hold(kind: str, name: str, *, by: str) -> bool:
    """Returns whether there was one. The runs go on when the leader gets to them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE workflows_hold SET resumed_at = clock_timestamp(), resumed_by = %s
               WHERE kind = %s AND name = %s AND resumed_at IS NULL""",
            [by, kind, name],
        )
        return bool(cursor.rowcount)


def runs_to_park(hold: Held, *, limit: int) -> tuple[list[str], bool]:
    """(runs of this workflow or lane that are under way and not paused, whether all were looked at). A further call
    goes on where this one ended; once all were looked at, it looks again at those of the last minutes."""
    column = "workflow" if hold.kind == "workflow" else "lane"
    with connection.cursor() as cursor:
        cursor.execute(_TO_PARK[column], {"hold": hold.id, "name": hold.name, "limit": limit, "window": WINDOW})
        found, read, last = cursor.fetchone()
        ids = [str(run_id) for run_id in found or ()]
        ended = read < WINDOW and len(ids) < limit
        cursor.execute(_LOOKED, {"hold": hold.id, "to": ids[-1] if len(ids) == limit else last, "ended": ended})
        return ids, ended


_TO_PARK = {
    column: f"""
WITH read AS MATERIALIZED (
    SELECT r.id, r.lane, r.state, r.finished_at FROM workflows_workflowrun r
    WHERE {"r.workflow = %(name)s AND" if column == "workflow" else ""}
          r.id > coalesce((SELECT looked_to FROM workflows_hold WHERE id = %(hold)s), '{"0" * 32}'::uuid)
    ORDER BY r.id LIMIT %(window)s
), found AS (
    SELECT id FROM read WHERE finished_at IS NULL AND state <> 'PAUSED'
    {"AND lane = %(name)s" if column == "lane" else ""} ORDER BY id LIMIT %(limit)s
)
SELECT (SELECT array_agg(id::text ORDER BY id) FROM found), (SELECT count(*) FROM read),
       (SELECT id FROM read ORDER BY id DESC LIMIT 1)
"""  # noqa: S608  (made of constants)
    for column in ("workflow", "lane")
}

# The ids of runs begin with the milliseconds of their making. A run may become visible some time after that: what was
# looked at in the last five minutes is looked at again.
_LOOKED = """
UPDATE workflows_hold SET looked_to = least(
    coalesce(%(to)s::uuid, looked_to),
    CASE WHEN %(ended)s THEN
        rpad(lpad(to_hex((extract(epoch FROM clock_timestamp() - interval '5 minutes') * 1000)::bigint), 12, '0'),
             32, '0')::uuid END)
WHERE id = %(hold)s
"""


def parked_by(lifted: int, *, after: str | None, limit: int) -> list[str]:
    """Runs that this hold parked, in the order of their ids."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT run_id FROM workflows_runpause WHERE hold = %s AND (%s::uuid IS NULL OR run_id > %s::uuid)
               ORDER BY run_id LIMIT %s""",
            [lifted, after, after, limit],
        )
        return [str(row[0]) for row in cursor.fetchall()]


def lifted_holds() -> list[tuple[Held, str]]:
    """(hold, who lifted it) of those whose runs may still be parked."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, kind, name, clock, by, reason, resumed_by FROM workflows_hold
               WHERE resumed_at IS NOT NULL AND done_at IS NULL ORDER BY id"""
        )
        return [(Held(*row[:6]), row[6]) for row in cursor.fetchall()]


def end_hold(hold_id: int) -> None:
    """All its runs go on. Not right after it was lifted: another process may not know that yet, and park a run."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE workflows_hold SET done_at = clock_timestamp()
               WHERE id = %s AND resumed_at < clock_timestamp() - interval '1 minute'""",
            [hold_id],
        )


def holds_of(run_ids: Sequence[str]) -> dict[str, Held]:
    """Of these runs: those whose workflow or lane is paused, and by which hold."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT r.id, h.id, h.kind, h.name, h.clock, h.by, h.reason FROM workflows_hold h
               JOIN workflows_workflowrun r
                 ON h.name = CASE h.kind WHEN 'workflow' THEN r.workflow ELSE r.lane END
               WHERE h.resumed_at IS NULL AND r.id = ANY(%s::uuid[])""",
            [to_array(run_ids)],
        )
        return {str(row[0]): Held(*row[1:]) for row in cursor.fetchall()}


def hand_over_to(holds: Mapping[str, int | None]) -> None:
    """Runs that a lifted hold had parked stay parked: by another hold, or by themselves (None)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE workflows_runpause p SET hold = v.hold
               FROM unnest(%s::uuid[], %s::bigint[]) AS v (run_id, hold) WHERE p.run_id = v.run_id""",
            [to_array(holds), to_array(holds.values())],
        )


def list_holds(*, limit: int, spaces: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Those in force, and those whose runs are still going on, newest first; with the number of runs that each
    parks. spaces: only those of workflows in these, and so of no lane."""
    among, parameters = "", []
    if spaces is not None:
        among = (
            "AND h.kind = 'workflow' AND h.name IN (SELECT name FROM workflows_workflowdefinition"
            " WHERE space = ANY(%s))"
        )
        parameters = [list(spaces)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT kind, name, since, clock, by, reason, resumed_at, resumed_by,
                      (SELECT count(*) FROM workflows_runpause p JOIN workflows_workflowrun r ON r.id = p.run_id
                       WHERE p.hold = h.id AND r.finished_at IS NULL) AS parked
               FROM workflows_hold h WHERE done_at IS NULL {among} ORDER BY id DESC LIMIT %s""",  # noqa: S608
            [*parameters, limit],
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
