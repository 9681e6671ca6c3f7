"""Pending starts: opened and added to by consumers, in their transaction, and started by anybody.

Note [Lock order of pending starts]
A consumer locks the pending starts of its round's cases in the order of the cases, after the windows. Whoever starts or
discards one passes over those that are locked. So nobody waits in a circle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from erip.foundation import json_values
from workflows.core.gathering import Change, Pending
from workflows.core.sensitive import SEALED
from workflows.core.triggers import Gather
from workflows.store import to_array, to_json


@dataclass(frozen=True, slots=True)
class Gathered:
    """An event that is kept for a run."""

    #: its identity, as a UUID in hex
    event: str
    type: str
    partition: int
    position: int
    logged_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A pending start that is locked."""

    id: str
    workflow: str
    trigger: str
    rule: dict[str, Any]
    type: str
    business_key: str | None
    depth: int
    count: int


@dataclass(frozen=True, slots=True)
class Kept:
    """An event of a pending start."""

    gathered: Gathered
    value: Any
    #: whether something in it has the form of something sealed
    sealed: bool = False


def open_cases(new: Mapping[str, tuple[str, Gather]]) -> tuple[datetime, dict[str, Pending]]:
    """Lock the open pending starts of these cases, and open one where there is none. new: case → (id of a new one, its
    first event). Returns the database's time under the locks as well. Needs a transaction."""
    rows = [(case, id_, gather) for case, (id_, gather) in sorted(new.items())]
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [to_array(column) for column in zip(*map(_opened, rows), strict=True)])
        found = cursor.fetchall()
    known = {case.hex: Pending(str(id_), count, size, since, due) for case, id_, count, size, since, due, _ in found}
    return max(row[-1] for row in found), known


def _opened(row: tuple[str, str, Gather]) -> tuple[Any, ...]:
    case, id_, gather = row
    rule = gather.rule
    assert rule.gathering is not None
    return (case, id_, rule.workflow, rule.label, to_json(rule.document), rule.gathering.seconds)


_OPEN = """
INSERT INTO events_pendingstart AS p
    (case_key, id, workflow, trigger, rule, type, depth, count, size, since, due_at)
SELECT case_key, id, workflow, label, rule::jsonb, '', 1, 0, 0, clock_timestamp(),
       clock_timestamp() + make_interval(secs => seconds)
FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::float8[])
  AS v (case_key, id, workflow, label, rule, seconds) ORDER BY case_key
ON CONFLICT (case_key) DO UPDATE SET case_key = p.case_key
RETURNING case_key, id, count, size, since, due_at, clock_timestamp()
"""


def write(changes: Sequence[Change[Gathered]], now: datetime) -> None:
    """Write what became of locked pending starts in this round: one round trip."""
    sql: list[str] = []
    parameters: list[Any] = []
    # Those that were closed let go of their cases first: a new one may have taken them.
    for opened, statement in ((False, _CHANGE), (True, _INSERT)):
        rows = [_changed(change, now) for change in changes if change.opened == opened]
        if rows:
            sql.append(statement)
            parameters += [to_array(column) for column in zip(*rows, strict=True)]
    if replaced := [change.pending.id for change in changes if not _all(change)]:
        sql.append("DELETE FROM events_pendingevent WHERE pending_id = ANY(%s::uuid[])")
        parameters.append(to_array(replaced))
    sql.append(_ADD)
    events = [_added(change.pending.id, gather, one) for change in changes for gather, one in change.added]
    parameters += [to_array(column) for column in zip(*events, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(";".join(sql), parameters)


def _all(change: Change[Gathered]) -> bool:
    gathering = change.added[-1][0].rule.gathering if change.added else None
    return gathering is None or gathering.all


def _changed(change: Change[Gathered], now: datetime) -> tuple[Any, ...]:
    """One row of `_CHANGE` and `_INSERT`. A pending start may be closed without getting another event."""
    pending = change.pending
    due_at = now if change.closed else pending.due_at
    if not change.added:
        return (pending.id, None, *(None,) * 5, 0, pending.count, pending.size, pending.since, due_at)
    gather, last = change.added[-1]
    rule = gather.rule
    return (
        pending.id,
        None if change.closed else gather.case,
        rule.workflow,
        rule.label,
        to_json(rule.document),
        last.type,
        gather.business_key,
        max(one.depth for one, _ in change.added),
        pending.count,
        pending.size,
        pending.since,
        due_at,
    )


def _added(pending_id: str, gather: Gather, one: Gathered) -> tuple[Any, ...]:
    key = gather.rule.key
    # JSON's null is a value, and not SQL's NULL.
    value = to_json(gather.value) or "null"
    return (pending_id, one.event, key, one.partition, one.position, one.logged_at, value)


_ROWS = """unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[],
                  %s::int[], %s::int[], %s::timestamptz[], %s::timestamptz[])
  AS v (id, case_key, workflow, label, rule, type, business_key, depth, count, size, since, due_at)"""

_CHANGE = f"""
UPDATE events_pendingstart p
SET case_key = v.case_key, type = coalesce(v.type, p.type), depth = greatest(p.depth, v.depth), count = v.count,
    business_key = CASE WHEN v.type IS NULL THEN p.business_key ELSE v.business_key END,
    size = v.size, due_at = v.due_at
FROM {_ROWS} WHERE p.id = v.id
"""  # noqa: S608  (made of constants)

_INSERT = f"""
INSERT INTO events_pendingstart
    (id, case_key, workflow, trigger, rule, type, business_key, depth, count, size, since, due_at)
SELECT id, case_key, workflow, label, rule::jsonb, type, business_key, depth, count, size, since, due_at FROM {_ROWS}
"""  # noqa: S608  (made of constants)

# An event that is sent again after ERIP forgot its id may be kept already.
_ADD = """
INSERT INTO events_pendingevent (pending_id, event, rule, partition, position, logged_at, value)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::int[], %s::bigint[], %s::timestamptz[], %s::text[])
ON CONFLICT (event, rule) DO NOTHING
"""


def kept(pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """The (event, rule) pairs of which the event is kept for a run that has not started."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT p.event, p.rule FROM events_pendingevent p
               JOIN unnest(%s::uuid[], %s::uuid[]) AS v (event, rule) ON p.event = v.event AND p.rule = v.rule""",
            [to_array(event for event, _ in pairs), to_array(rule for _, rule in pairs)],
        )
        return {(event.hex, rule.hex) for event, rule in cursor.fetchall()}


def lock_due(limit: int) -> list[Due]:
    """Lock pending starts that are due and that nobody else is at, the earliest first. Needs a transaction."""
    return _lock("due_at <= clock_timestamp() ORDER BY due_at LIMIT %s", [limit])


def lock_one(id_: str) -> Due | None:
    """Lock this pending start, once nobody else is at it; None: it is gone. Needs a transaction."""
    found = _lock("id = %s::uuid", [id_], skip="")
    return found[0] if found else None


def _lock(which: str, parameters: Sequence[Any], *, skip: str = "SKIP LOCKED") -> list[Due]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id, workflow, trigger, rule::text, type, business_key, depth, count FROM events_pendingstart
                WHERE {which} FOR UPDATE {skip}""",  # noqa: S608  (made of constants)
            parameters,
        )
        rows = cursor.fetchall()
    return [Due(str(id_), name, label, json_values.load(rule), *rest) for id_, name, label, rule, *rest in rows]


def events_of(pending_ids: Sequence[str]) -> dict[str, list[Kept]]:
    """Their events, in the order in which they took effect."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT pending_id, event, partition, position, logged_at, value FROM events_pendingevent
               WHERE pending_id = ANY(%s::uuid[]) ORDER BY logged_at, partition, position""",
            [to_array(pending_ids)],
        )
        rows = cursor.fetchall()
    found: dict[str, list[Kept]] = {id_: [] for id_ in pending_ids}
    for pending_id, event, partition, position, logged_at, value in rows:
        gathered = Gathered(event.hex, "", partition, position, logged_at)
        found[str(pending_id)].append(Kept(gathered, json_values.load(value), SEALED in value))
    return found


def remove(pending_ids: Sequence[str]) -> None:
    """They were started, or their events became dead letters."""
    with connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM events_pendingevent WHERE pending_id = ANY(%(ids)s::uuid[]);
               DELETE FROM events_pendingstart WHERE id = ANY(%(ids)s::uuid[])""",
            {"ids": to_array(pending_ids)},
        )


def put_off(pending_id: str, problem: str, *, seconds: float) -> None:
    """It cannot be started now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE events_pendingstart
               SET due_at = clock_timestamp() + make_interval(secs => %s), problem = %s, case_key = NULL
               WHERE id = %s::uuid""",
            [seconds, problem[:1000], pending_id],
        )


def logged(events: Sequence[Gathered]) -> list[tuple[Any, ...]]:
    """Those of these events that the log still has, in their order: (partition, position, logged at, type, source,
    subject, id, text, sender)."""
    columns = zip(*((one.partition, one.position, one.logged_at) for one in events), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT e.partition, e.position, e.logged_at, e.type, e.source, e.subject, e.event_id, e.event, e.sender
               FROM unnest(%s::int[], %s::bigint[], %s::timestamptz[]) WITH ORDINALITY
                 AS v (partition, position, logged_at, place)
               JOIN events_event e
                 ON e.partition = v.partition AND e.position = v.position AND e.logged_at = v.logged_at
               ORDER BY v.place""",
            [to_array(column) for column in columns],
        )
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
