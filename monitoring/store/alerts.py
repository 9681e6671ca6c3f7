"""Alerts, silences, the rules of this site, and messages on their way."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from monitoring.core.alerts import Alert, Labels, Silence, Stage
from monitoring.core.rules import BadRules, Rule, read_rule

#: messages claimed at once; seconds until one whose sender was killed is claimed again
AT_ONCE, CLAIMED_FOR = 20, 30.0
#: attempts, and seconds before each: about a day in all
ATTEMPTS, LONGEST_WAIT = 30, 3_600.0
#: days for which resolved alerts and sent messages are kept
KEPT_DAYS = 90

_COLUMNS = """rule, labels::text, serial, stage, extract(epoch FROM since)::float8, extract(epoch FROM held_at)::float8,
    extract(epoch FROM fired_at)::float8, extract(epoch FROM resolved_at)::float8, value, unknown, announced,
    acknowledged_at IS NOT NULL, grouped::text, rung, extract(epoch FROM rung_at)::float8, told"""


def _alert(row: Sequence[Any]) -> Alert:
    rule, labels, serial, stage, since, held, fired, resolved, value, unknown, announced, acknowledged = row[:12]
    group, rung, rung_at, told = row[12:]
    return Alert(
        rule,
        tuple((name, text) for name, text in json.loads(labels)),
        serial,
        Stage(stage),
        since,
        held,
        fired,
        resolved,
        value,
        unknown,
        Stage(announced) if announced else None,
        acknowledged,
        group,
        rung,
        rung_at,
        tuple(told),
    )


def read_own_rules() -> Mapping[str, Rule | None]:
    """The rules of this site; None: the shipped rule of this name is switched off. One that this release cannot read is
    left out."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, document::text FROM monitoring_alertrule")
        return readable((name, None if text is None else json.loads(text)) for name, text in cursor.fetchall())


def readable(stored: Iterable[tuple[str, Any]]) -> dict[str, Rule | None]:
    """Rules as (name, document), by name. One that this release cannot read is left out."""
    found: dict[str, Rule | None] = {}
    for name, document in stored:
        try:
            found[name] = read_rule(document) if document is not None else None
        except BadRules:
            continue
    return found


def put_rule(name: str, rule: Rule | None, *, by: str) -> bool:
    """Keep a rule of this site, or that the shipped one is off. Returns whether there was none of this name."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO monitoring_alertrule (name, document, changed_at, changed_by)
            VALUES (%s, %s, clock_timestamp(), %s)
            ON CONFLICT (name) DO UPDATE SET document = excluded.document, changed_at = excluded.changed_at,
                changed_by = excluded.changed_by
            RETURNING xmax = 0
            """,
            [name, None if rule is None else json.dumps(rule.document()), by],
        )
        return bool(cursor.fetchone()[0])


def drop_rule(name: str) -> bool:
    """Forget the rule of this site; the shipped one of this name counts again. False if there was none."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM monitoring_alertrule WHERE name = %s", [name])
        return bool(cursor.rowcount)


def alerts_at_work() -> list[Alert]:
    """Alerts that are pending or firing, and resolved ones whose end was not announced yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM monitoring_alert WHERE stage <> 'resolved' OR announced = 'firing'"  # noqa: S608
        )
        return [_alert(row) for row in cursor.fetchall()]


def alert_of(number: int) -> Alert | None:
    """The alert of this id."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM monitoring_alert WHERE id = %s", [number])  # noqa: S608
        row = cursor.fetchone()
        return _alert(row) if row is not None else None


def latest_serials(rules: Iterable[str]) -> dict[tuple[str, Labels], int]:
    """The serial of the latest alert of each of these rules and its labels."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rule, labels::text, max(serial) FROM monitoring_alert WHERE rule = ANY(%s) GROUP BY rule, labels",
            [list(rules)],
        )
        return {
            (rule, tuple((name, text) for name, text in json.loads(labels))): serial
            for rule, labels, serial in cursor.fetchall()
        }


def keep_alerts(alerts: Sequence[Alert], rules: Mapping[str, Rule]) -> None:
    """Write what became of these alerts."""
    if not alerts:
        return

    def at(seconds: float | None) -> float | None:
        return seconds

    rows = [
        {
            "rule": one.rule,
            "labels": [list(pair) for pair in one.labels],
            "serial": one.serial,
            "stage": str(one.stage),
            "severity": rules[one.rule].severity if one.rule in rules else "ticket",
            "summary": rules[one.rule].summary if one.rule in rules else "",
            "since": one.since,
            "held_at": one.held_at,
            "fired_at": at(one.fired_at),
            "resolved_at": at(one.resolved_at),
            "value": one.value,
            "unknown": one.unknown,
            "announced": str(one.announced) if one.announced else None,
            "grouped": one.group,
            "rung": one.rung,
            "rung_at": one.rung_at,
            "told": list(one.told),
        }
        for one in alerts
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO monitoring_alert AS o
                (rule, labels, serial, stage, severity, summary, since, held_at, fired_at, resolved_at, value, unknown,
                 announced, acknowledged_by, note, grouped, rung, rung_at, told)
            SELECT rule, labels, serial, stage, severity, summary, to_timestamp(since), to_timestamp(held_at),
                   to_timestamp(fired_at), to_timestamp(resolved_at), value, "unknown", announced, '', '', grouped,
                   rung, to_timestamp(rung_at), told
            FROM jsonb_to_recordset(%s) AS n (rule text, labels jsonb, serial int, stage text, severity text,
                summary text, since float8, held_at float8, fired_at float8, resolved_at float8, value float8,
                "unknown" bool, announced text, grouped uuid, rung int, rung_at float8, told text[])
            ON CONFLICT (rule, labels, serial) DO UPDATE SET
                stage = excluded.stage, held_at = excluded.held_at, fired_at = excluded.fired_at,
                resolved_at = excluded.resolved_at, value = excluded.value, unknown = excluded.unknown,
                announced = coalesce(excluded.announced, o.announced), grouped = coalesce(o.grouped, excluded.grouped),
                rung = greatest(o.rung, excluded.rung), rung_at = greatest(o.rung_at, excluded.rung_at),
                told = CASE WHEN o.rung > excluded.rung THEN o.told ELSE excluded.told END
            -- Several leaders hand over what each of them knew: an end is an end, and no rung is called again.
            WHERE o.stage <> 'resolved' OR excluded.stage = 'resolved'
            """,
            [json.dumps(rows)],
        )


def note_taken(alert: Alert, *, by: str, note: str) -> None:
    """Somebody took an alert on while nothing could be recorded."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitoring_alert SET acknowledged_at = clock_timestamp(), acknowledged_by = %s, note = %s"
            " WHERE rule = %s AND labels = %s::jsonb AND serial = %s"
            " AND acknowledged_at IS NULL AND stage <> 'resolved'",
            [by[:200], note[:1_000], alert.rule, json.dumps([list(pair) for pair in alert.labels]), alert.serial],
        )


def impact_of_alert(number: int) -> dict[str, Any]:
    """What was noted of it; {}: nothing yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT impact::text FROM monitoring_alert WHERE id = %s", [number])
        row = cursor.fetchone()
        return dict(json.loads(row[0])) if row is not None and row[0] is not None else {}


def note_impact(found: Sequence[tuple[Alert, Mapping[str, Any]]], causes: Sequence[Mapping[str, Any]]) -> None:
    """Keep with alerts what they put at risk, and what may have caused them, as it was found now."""
    if not found:
        return
    rows = [
        {"rule": one.rule, "labels": [list(pair) for pair in one.labels], "serial": one.serial, "impact": impact}
        for one, impact in found
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE monitoring_alert a SET impact = n.impact, causes = %s::jsonb, impact_at = clock_timestamp()
            FROM jsonb_to_recordset(%s) AS n (rule text, labels jsonb, serial int, impact jsonb)
            WHERE a.rule = n.rule AND a.labels = n.labels AND a.serial = n.serial
            """,
            [json.dumps(list(causes)), json.dumps(rows)],
        )


def forget_pending(keys: Sequence[tuple[str, Labels]]) -> None:
    """Forget pending alerts whose condition no longer holds: nobody heard of them."""
    if not keys:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM monitoring_alert a USING jsonb_to_recordset(%s) AS n (rule text, labels jsonb)
            WHERE a.rule = n.rule AND a.labels = n.labels AND a.stage = 'pending'
            """,
            [json.dumps([{"rule": rule, "labels": [list(pair) for pair in labels]} for rule, labels in keys])],
        )


def silences(now: datetime) -> list[Silence]:
    """Those that have not ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rule, labels::text, extract(epoch FROM ends_at)::float8 FROM monitoring_silence WHERE ends_at > %s",
            [now],
        )
        return [Silence(rule, json.loads(labels), ends) for rule, labels, ends in cursor.fetchall()]


# --- messages ---------------------------------------------------------------------------------------------


def sent_lately(seconds: float) -> int:
    """Messages made within these seconds, each counted once however many targets it has. Further calls about an alert,
    and that somebody took one on, are no news that others have to wait for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT message) FROM monitoring_page"
            " WHERE created_at > clock_timestamp() - make_interval(secs => %s)"
            " AND body->>'state' <> 'acknowledged' AND coalesce((body->'escalation'->>'rung')::int, 1) = 1",
            [seconds],
        )
        count: int = cursor.fetchone()[0]
        return count


def put_pages(pages: Sequence[tuple[UUID, str, Mapping[str, Any]]]) -> None:
    """Messages to be sent: (message, target, body). One that is there already stays as it is."""
    if not pages:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO monitoring_page (message, target, body, created_at, due_at, attempts, error, failed)
            SELECT message, target, body, clock_timestamp(), clock_timestamp(), 0, '', false
            FROM unnest(%s::uuid[], %s::text[], %s::jsonb[]) AS n (message, target, body)
            ON CONFLICT (message, target) DO NOTHING
            """,
            [[page[0] for page in pages], [page[1] for page in pages], [json.dumps(page[2]) for page in pages]],
        )


def claim_pages() -> list[tuple[int, UUID, str, Mapping[str, Any], int]]:
    """Messages that are due, for this process alone: (id, message, target, body, attempts). If the process is killed,
    another one claims them after CLAIMED_FOR seconds, and sends them under the same key.

    An end is not sent before what it ends: a chat or PagerDuty would open it again.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE monitoring_page p
            SET attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => %s)
            FROM (SELECT id FROM monitoring_page p WHERE sent_at IS NULL AND NOT failed AND due_at <= clock_timestamp()
                  AND (body->>'state' = 'firing' OR NOT EXISTS (
                      SELECT 1 FROM monitoring_page e WHERE e.sent_at IS NULL AND NOT e.failed AND e.id < p.id
                      AND e.target = p.target AND e.body->>'cause' = p.body->>'cause'))
                  ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED) due
            WHERE p.id = due.id
            RETURNING p.id, p.message, p.target, p.body::text, p.attempts
            """,
            [CLAIMED_FOR, AT_ONCE],
        )
        return [
            (number, message, target, json.loads(body), attempts)
            for number, message, target, body, attempts in cursor.fetchall()
        ]


def page_sent(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_page SET sent_at = clock_timestamp(), error = '' WHERE id = %s", [number])


def page_failed(number: int, error: str, *, wait: float | None) -> None:
    """It was not taken. wait: seconds until the next attempt; None: it is given up."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitoring_page SET error = %s, failed = %s,"
            " due_at = clock_timestamp() + make_interval(secs => %s) WHERE id = %s",
            [error[:500], wait is None, wait or 0.0, number],
        )


def forget_alerts(*, most: int) -> int:
    """Forget resolved alerts, ended silences and sent messages after KEPT_DAYS. Returns how many."""
    count = 0
    with connection.cursor() as cursor:
        for table, condition in (
            ("monitoring_alert", "stage = 'resolved' AND resolved_at < now() - make_interval(days => %s)"),
            ("monitoring_silence", "ends_at < now() - make_interval(days => %s)"),
            ("monitoring_page", "created_at < now() - make_interval(days => %s)"),
        ):
            cursor.execute(
                f"DELETE FROM {table} WHERE id = ANY(ARRAY(SELECT id FROM {table} WHERE {condition} LIMIT %s))",  # noqa: S608
                [KEPT_DAYS, most],
            )
            count += cursor.rowcount
    return count
