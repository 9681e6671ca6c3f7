"""The log's partitions, one for each month, and the deletion of what is old."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

_TABLE = "events_event"


def following(month: datetime) -> datetime:
    return datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)


def month_of(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return datetime(moment.year, moment.month, 1, tzinfo=UTC)


def ensure_month(month: datetime) -> bool:
    """Make the log's partition for this month. Returns whether there was none."""
    name = f"{_TABLE}_{month:%Y_%m}"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        if cursor.fetchone()[0]:
            return False
        # If two sessions created the same partition at once, one would fail, despite IF NOT EXISTS.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [_TABLE])
        cursor.execute("SELECT events_make_log_month(%s)", [month.date()])
    return True


def ensure_months_ahead(months: int) -> list[str]:
    """Make the partitions of the current month, by the database's clock, and of `months` after it. Returns the new
    ones."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        month = month_of(cursor.fetchone()[0])
    made = []
    for _ in range(months + 1):
        if ensure_month(month):
            made.append(f"{month:%Y_%m}")
        month = following(month)
    return made


def drop_months(*, before: datetime, held: Callable[[datetime, datetime], bool]) -> list[str]:
    """Drop the log of months that ended before this moment, and the record of which runs its events started. Returns
    the months, as 2026_11. held: whether something of a span must stay. Raises DatabaseError where the owner has
    promised to keep them longer (`promise`)."""
    dropped: list[str] = []
    going: list[datetime] = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1", [_TABLE]
        )
        for (partition,) in cursor.fetchall():
            name = partition.rpartition(".")[2].strip('"').removeprefix(f"{_TABLE}_")
            year, _, month = name.partition("_")
            first = datetime(int(year), int(month), 1, tzinfo=UTC)
            end = following(first)
            if end <= before and not held(first, end):
                cursor.execute("DELETE FROM events_triggeredrun WHERE logged_at >= %s AND logged_at < %s", [first, end])
                dropped.append(name)
                going.append(first)
        # Last: it keeps everybody from the log until the commit.
        for first in going:
            cursor.execute("SELECT events_drop_log_month(%s)", [first.date()])
    return dropped


def promise(cursor: Any, months: int | None) -> None:
    """As the database's owner: from now on the application can drop no month of the log that is younger than this.

    None: none at all. A day less than what the leader keeps, as clocks differ.
    """
    kept = "NULL::int" if months is None else str(31 * months - 1)
    cursor.execute(f"CREATE OR REPLACE FUNCTION events_log_floor() RETURNS int LANGUAGE sql STABLE AS 'SELECT {kept}'")


def forget_identities(*, older_than_days: int, limit: int) -> int:
    """Forget up to `limit` identities logged more than `older_than_days` ago. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM events_identity WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM events_identity WHERE logged_at < now() - make_interval(days => %s) LIMIT %s))
            """,
            [older_than_days, limit],
        )
        count: int = cursor.rowcount
        return count
