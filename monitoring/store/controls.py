"""What checks of controls said, now and before."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from monitoring.controls.results import Result, Status

#: hours after which a result that has not changed is added to the history again
AGAIN_AFTER = 24
#: minutes after which what was said is no longer known to hold
GOOD_FOR = 30


@dataclass(frozen=True, slots=True)
class Noted:
    """A result as it is kept. since: since when it has this status; None in the history."""

    check: str
    status: Status
    sentence: str
    facts: Mapping[str, Any]
    at: datetime
    since: datetime | None = None


def note_results(results: Mapping[str, Result]) -> list[str]:
    """Keep what the checks say, and add to the history what changed or was not added for a day. Returns the checks
    whose status changed."""
    rows = sorted(results.items())
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH new AS (
                SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
                              AS n (name, status, sentence, facts)
            ), old AS (
                SELECT check_name, status, noted_at FROM monitoring_controlstate FOR UPDATE
            ), due AS (
                SELECT n.*, o.status IS DISTINCT FROM n.status AS changed,
                       o.status IS DISTINCT FROM n.status
                           OR o.noted_at < clock_timestamp() - make_interval(hours => %s) AS noted
                FROM new n LEFT JOIN old o ON o.check_name = n.name
            ), added AS (
                INSERT INTO monitoring_controlresult (check_name, at, status, sentence, facts)
                SELECT name, clock_timestamp(), status, sentence, facts::jsonb FROM due WHERE noted
            ), kept AS (
                INSERT INTO monitoring_controlstate AS s (check_name, status, sentence, facts, since, at, noted_at)
                SELECT name, status, sentence, facts::jsonb, clock_timestamp(), clock_timestamp(), clock_timestamp()
                FROM due
                ON CONFLICT (check_name) DO UPDATE SET
                    since = CASE WHEN s.status = excluded.status THEN s.since ELSE excluded.since END,
                    noted_at = CASE WHEN s.status = excluded.status
                                    AND s.noted_at >= clock_timestamp() - make_interval(hours => %s)
                               THEN s.noted_at ELSE excluded.noted_at END,
                    status = excluded.status, sentence = excluded.sentence, facts = excluded.facts, at = excluded.at
            )
            SELECT name FROM due WHERE changed ORDER BY name
            """,
            [
                [name for name, _ in rows],
                [str(result.status) for _, result in rows],
                [result.sentence for _, result in rows],
                [json.dumps(dict(result.facts), default=str) for _, result in rows],
                AGAIN_AFTER,
                AGAIN_AFTER,
            ],
        )
        return [name for (name,) in cursor.fetchall()]


def latest_results() -> dict[str, Noted]:
    """What each check said last. What was not looked at for half an hour is unknown."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT check_name, status, sentence, facts::text, at, since,"
            " at < clock_timestamp() - make_interval(mins => %s) FROM monitoring_controlstate",
            [GOOD_FOR],
        )
        found = {}
        for name, status, sentence, facts, at, since, old in cursor.fetchall():
            if old:
                status, sentence, since = Status.UNKNOWN, "It was not looked at for half an hour.", None
            found[name] = Noted(name, Status(status), sentence, json.loads(facts), at, since)
        return found


def results_between(since: datetime, until: datetime) -> list[Noted]:
    """The history of this time, oldest first, with the last result before it of each check."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT check_name, status, sentence, facts::text, at FROM (
                SELECT DISTINCT ON (check_name) * FROM monitoring_controlresult WHERE at < %s
                ORDER BY check_name, at DESC, id DESC) before
            UNION ALL
            SELECT check_name, status, sentence, facts::text, at FROM monitoring_controlresult
            WHERE at >= %s AND at < %s
            ORDER BY 5, 1
            """,
            [since, since, until],
        )
        return [
            Noted(name, Status(status), sentence, json.loads(facts), at)
            for name, status, sentence, facts, at in cursor.fetchall()
        ]
