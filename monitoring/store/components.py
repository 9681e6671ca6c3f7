"""Reports of processes: Note [Reports] in `monitoring.reporting`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg2
from django.db import connection

from erip.foundation.db.ping import Pinger
from monitoring.core.components import Observation, State
from monitoring.store.states import StoredState


@dataclass(frozen=True, slots=True)
class Report:
    """What a process writes of itself. series: with "+" before a counter and "=" before a gauge."""

    life: UUID
    kind: str
    host: str
    pid: int
    started_at: datetime
    series: list[str]
    values: list[float]
    observed: list[Mapping[str, Any]] | None
    #: migrations that contract, in the files of the process: Note [Contracting] in `erip.foundation.db.phases`
    knows: Sequence[str] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class Life:
    """A process that is alive, as far as it says."""

    kind: str
    host: str
    pid: int
    knows: Sequence[str]


def lives(seconds: float) -> list[Life]:
    """The processes that reported within the last seconds, and did not end in good order. Before the column `knows` is
    there, nobody knows anything.
    """
    with connection.cursor() as cursor:
        # `knows` is the table's column where it has one, and else that of `nothing`: the inner name goes first.
        cursor.execute(
            """
            SELECT life.* FROM (SELECT '{}'::text[] AS knows) AS nothing CROSS JOIN LATERAL (
                SELECT kind, host, pid, knows FROM monitoring_component
                WHERE stopped_at IS NULL AND seen_at > clock_timestamp() - make_interval(secs => %s)
            ) AS life ORDER BY kind, host, pid
            """,
            [seconds],
        )
        return [Life(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Reported(Report):
    """A report as it was read. age: seconds since it was written. ended: its process ended in good order."""

    age: float
    ended: bool


def observed(one: Observation, now: float) -> dict[str, Any]:
    """An observation as it stands in a report: with its age, since the reader's clock may be another. The measures stay
    here: they go into frames.
    """
    known = asdict(one)
    return {
        **{name: known[name] for name in ("component", "state", "sentence", "good_for", "identity", "about")},
        "age": now - one.at,
    }


def observation(stored: Mapping[str, Any], reported: float) -> Observation | None:
    """The reverse; None for one that another release wrote in another form.

    reported: when the report was written, in seconds since the epoch by the reader's clock.
    """
    try:
        known = {name: stored[name] for name in ("component", "sentence", "good_for", "identity")}
        about = tuple(str(one) for one in stored.get("about") or ())
        return Observation(**known, state=State(stored["state"]), at=reported - stored["age"], about=about)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def update_report(report: Report) -> bool:
    """Rewrite what changes of a report whose series are the same. Returns whether there was one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitoring_component SET seen_at = clock_timestamp(), stopped_at = NULL, values = %s, observed = %s"
            " WHERE life = %s",
            [report.values, _json(report.observed), report.life],
        )
        return bool(cursor.rowcount == 1)


def insert_report(report: Report) -> None:
    """Write the whole report."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO monitoring_component
                (life, kind, host, pid, started_at, seen_at, series, values, observed, knows)
            VALUES (%s, %s, %s, %s, %s, clock_timestamp(), %s, %s, %s, %s)
            ON CONFLICT (life) DO UPDATE SET
                seen_at = excluded.seen_at, stopped_at = NULL, series = excluded.series, values = excluded.values,
                observed = excluded.observed
            """,
            [
                report.life,
                report.kind,
                report.host,
                report.pid,
                report.started_at,
                report.series,
                report.values,
                _json(report.observed),
                list(report.knows),
            ],
        )


def farewell(life: UUID, seconds: float) -> None:
    """Note that this life ended in good order, on a connection of its own. Never raises a database error."""
    pinger = Pinger()
    try:
        # The id is of our own making.
        pinger.ask(
            f"UPDATE monitoring_component SET stopped_at = clock_timestamp() WHERE life = '{life}' RETURNING 1",  # noqa: S608
            seconds,
        )
    except psycopg2.Error:
        return
    finally:
        pinger.close()


def read_reports() -> list[Reported]:
    """The reports of all processes that did not end in good order, and of those that did in the last minute."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM monitoring_component WHERE {_THERE} ORDER BY kind, host, pid")  # noqa: S608
        return [_reported(row) for row in cursor.fetchall()]


def read_reports_and_states() -> tuple[list[Reported], Mapping[str, StoredState]]:
    """The same, and what was last said of each component: one statement, since whoever looks at the health waits."""
    with connection.cursor() as cursor:
        # The states stand in the first row, which is there also without a report.
        cursor.execute(
            f"""
            SELECT CASE WHEN row_number() OVER (ORDER BY kind, host, pid) = 1 THEN states END, {_COLUMNS}
            FROM (SELECT json_agg(json_build_array(component, state, since, identity, changed_at))::text
                  FROM monitoring_componentstate) s (states)
            LEFT JOIN monitoring_component ON {_THERE} ORDER BY kind, host, pid
            """  # noqa: S608
        )
        rows = cursor.fetchall()
    states = {
        component: StoredState(
            state, datetime.fromisoformat(since), identity, changed and datetime.fromisoformat(changed)
        )
        for component, state, since, identity, changed in json.loads(rows[0][0] or "[]")
    }
    return [_reported(row[1:]) for row in rows if row[1] is not None], states


_COLUMNS = """life, kind, host, pid, started_at, series, values, observed,
    extract(epoch FROM clock_timestamp() - seen_at)::float8, stopped_at IS NOT NULL"""
_THERE = "(stopped_at IS NULL OR stopped_at > clock_timestamp() - interval '1 minute')"


def _reported(row: Sequence[Any]) -> Reported:
    life, kind, host, pid, started, series, values, seen, age, ended = row
    return Reported(life, kind, host, pid, started, series, values, _parsed(seen), max(0.0, age), ended)


def forget_reports(*, silent_for: float) -> int:
    """Forget lives that ended, or fell silent this many seconds ago. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM monitoring_component WHERE seen_at < clock_timestamp() - make_interval(secs => %s)",
            [silent_for],
        )
        count: int = cursor.rowcount
        return count


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
