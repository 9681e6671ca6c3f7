"""What of the past is evidence: read for a pack, within one snapshot."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from monitoring.controls.periods import Period

#: lines of the audit log fetched at a time
AT_A_TIME = 2_000


@contextmanager
def one_moment() -> Iterator[None]:
    """Within the block, everything is read as it is at one moment, however long that takes."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
        yield


@dataclass(frozen=True, slots=True)
class Trail:
    """Which part of the audit log belongs to a period. blocks: numbers of the last block before it and of its last one.
    checkpoints: numbers of the last one before it (0: the log begins in the period) and of its last one."""

    blocks: tuple[int, int]
    checkpoints: tuple[int, int]
    size: int


def trail_of(period: Period) -> Trail:
    """From the last checkpoint before the period to the last one in it: what is between is provable."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce(max(number) FILTER (WHERE at < %s), 0), coalesce(max(number), 0),
                   coalesce(max(size) FILTER (WHERE at < %s), 0), coalesce(max(size), 0)
            FROM audit_checkpoint WHERE at < %s
            """,
            [period.since, period.since, period.until],
        )
        first, last, start, end = cursor.fetchone()
        cursor.execute(
            "SELECT coalesce(max(number) FILTER (WHERE size <= %s), 0), coalesce(max(number), 0) FROM audit_block"
            " WHERE size <= %s",
            [start, end],
        )
        return Trail(cursor.fetchone(), (first, last), end - start)


def trail_lines(trail: Trail) -> Iterator[str]:
    """The checkpoint before, the entries with their blocks, and the checkpoints, as `audit_lines` has them."""
    first, last = trail.checkpoints
    yield from _checkpoints(first, first)
    with connection.cursor() as cursor:
        cursor.execute(
            "DECLARE evidence_lines NO SCROLL CURSOR FOR SELECT line FROM audit_lines"
            " WHERE number > %s AND number <= %s ORDER BY number, part",
            list(trail.blocks),
        )
        while True:
            cursor.execute(f"FETCH {AT_A_TIME} FROM evidence_lines")
            rows = cursor.fetchall()
            yield from (line for (line,) in rows)
            if len(rows) < AT_A_TIME:
                break
        cursor.execute("CLOSE evidence_lines")
    yield from _checkpoints(first + 1, last)


def _checkpoints(first: int, last: int) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT body, signature FROM audit_checkpoint WHERE number BETWEEN %s AND %s ORDER BY number", [first, last]
        )
        for body, signature in cursor.fetchall():
            yield f'{{"checkpoint":{body},"signature":"{signature}"}}'


def alerts_between(since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Alerts that fired in this time, oldest first."""
    return _rows(
        "SELECT rule, labels, severity, summary, fired_at, resolved_at, acknowledged_at, acknowledged_by, note"
        " FROM monitoring_alert WHERE fired_at >= %s AND fired_at < %s ORDER BY fired_at, rule, labels::text",
        [since, until],
    )


def versions_between(since: datetime, until: datetime) -> list[dict[str, Any]]:
    """Versions that were published in this time: of what, by whom, with which hash."""
    return _rows(
        """
        SELECT 'workflow' AS kind, d.name, v.number, v.content_hash, v.author, v.created_at
        FROM workflows_workflowversion v JOIN workflows_workflowdefinition d ON d.id = v.definition_id
        WHERE v.created_at >= %(since)s AND v.created_at < %(until)s
        UNION ALL
        SELECT 'decision table', d.name, v.number, v.content_hash, v.author, v.created_at
        FROM decisions_decisionversion v JOIN decisions_decisiontable d ON d.id = v.table_id
        WHERE v.created_at >= %(since)s AND v.created_at < %(until)s
        UNION ALL
        SELECT 'trigger', d.name, v.number, '', v.author, v.created_at
        FROM events_triggerversion v JOIN events_trigger d ON d.id = v.trigger_id
        WHERE v.created_at >= %(since)s AND v.created_at < %(until)s
        UNION ALL
        SELECT 'schedule', d.name, v.number, '', v.author, v.created_at
        FROM schedules_scheduleversion v JOIN schedules_schedule d ON d.id = v.schedule_id
        WHERE v.created_at >= %(since)s AND v.created_at < %(until)s
        ORDER BY created_at, kind, name, number
        """,
        {"since": since, "until": until},
    )


def runs_between(since: datetime, until: datetime) -> list[dict[str, Any]]:
    """How many runs of each workflow were accepted in this time, by what became of them."""
    first, last = (UUID(int=round(moment.timestamp() * 1000) << 80) for moment in (since, until))
    return _rows(
        """
        SELECT workflow, state, sum(runs)::bigint AS runs FROM (
            SELECT workflow, state, count(*) AS runs FROM workflows_workflowrun
            WHERE id >= %(first)s AND id < %(last)s GROUP BY 1, 2
            UNION ALL
            SELECT workflow, state, count(*) FROM workflows_archivedrun
            WHERE id >= %(first)s AND id < %(last)s GROUP BY 1, 2) counted
        GROUP BY 1, 2 ORDER BY 1, 2
        """,
        {"first": first, "last": last},
    )


def access_now() -> dict[str, list[dict[str, Any]]]:
    """Who has access at this moment: people, keys, grants and own roles. No names but those to sign in with."""
    return {
        "people": _rows(
            """
            SELECT username, is_active, is_staff, is_superuser, date_joined, last_login,
                   ARRAY(SELECT g.name::text FROM auth_user_groups m JOIN auth_group g ON g.id = m.group_id
                         WHERE m.user_id = u.id ORDER BY 1) AS groups
            FROM auth_user u ORDER BY username
            """
        ),
        "keys": _rows(
            "SELECT name, scope, created_at, created_by, expires_at, revoked_at, last_used_at FROM access_apikey"
            " ORDER BY name"
        ),
        "grants": _rows(
            """
            SELECT g.role, u.username AS "user", o.name AS "group", k.name AS "key", g.space, g.granted_by,
                   g.granted_at, g.expires_at
            FROM access_grant g LEFT JOIN auth_user u ON u.id = g.user_id LEFT JOIN auth_group o ON o.id = g.group_id
            LEFT JOIN access_apikey k ON k.id = g.key_id ORDER BY g.id
            """
        ),
        "own_roles": _rows("SELECT name, permissions, changed_by, changed_at FROM access_role ORDER BY name"),
    }


def _rows(sql: str, parameters: Any = None) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
