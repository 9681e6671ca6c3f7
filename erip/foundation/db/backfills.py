"""Data migrations in the background: declared by a migration, done in batches while the platform serves.

Note [Backfills]
A migration that fills a column of millions of rows would hold their locks, and the release before, until it is done. So
it only declares what is to be done (`Backfill`), and `manage.py backfill run` does it afterwards, beside both releases:

- A batch walks so many rows by their key and changes those that need it, in one transaction with how far it came. So
  whatever kills it, no row is left out and none is done twice; the next call goes on behind the last committed batch.
- It never waits for a row: one that somebody else has locked is left to the next pass. So it is in no deadlock, and
  whoever waits for a row of the batch waits for that batch alone (`Pace.seconds`).
- The old release writes rows meanwhile, some behind the position. So there are passes until one meets nothing to do.
  The migration before it must see to it that new rows are right (`db_default`, a trigger, or code that writes both), or
  there is no last pass; that is said after `PASSES` that changed something.
- Before each batch the standbys are asked how far they are behind (`Lag`). What cannot be seen is not 0.

What needs the rows to be done declares `Finished` in a later migration, which refuses to run before: `VALIDATE
CONSTRAINT`, `SET NOT NULL`, dropping what the values came from. In a database whose table is empty there is nothing to
do, so a fresh one gets all migrations in a row.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation

#: passes over a table until it is said that rows keep coming
PASSES = 5
#: rows of a batch
LEAST, FIRST, MOST = 10, 500, 20_000
#: seconds between two looks at standbys that are too far behind
LOOK_EVERY = 0.5


class BackfillError(Exception):
    """A data migration in the background cannot go on."""


# --- what migrations declare ------------------------------------------------------------------------------


class Backfill(Operation):
    """Declares a data migration in the background: `UPDATE table SET set WHERE where`, in batches by `key`.

    name: app.name, for good. table, key: as in the database; the key is one column with an index, unique and never
    changed. set, where: SQL, with the columns of `table` alone; a row for which `where` holds needs the change, and it
    no longer holds afterwards. The migration depends on ("erip", "0001_backfills").
    """

    reversible = True
    reduces_to_sql = False

    def __init__(self, name: str, *, table: str, set: str, where: str, key: str = "id") -> None:
        self.name, self.table, self.set, self.where, self.key = name, table, set, where, key

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Models stay as they are."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        schema_editor.execute(
            f"""INSERT INTO erip_backfill (name, finished_at)
            SELECT '{_quoted(self.name)}', CASE WHEN NOT EXISTS (SELECT FROM {self.table}) THEN now() END
            ON CONFLICT DO NOTHING"""  # noqa: S608 - of a migration
        )

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        schema_editor.execute(f"DELETE FROM erip_backfill WHERE name = '{_quoted(self.name)}'")  # noqa: S608

    def describe(self) -> str:
        return f"In the background: {self.name}, rows of {self.table}"


class Finished(Operation):
    """The migrations after this need the rows that this backfill changes. Raises BackfillError while it is not done."""

    reversible = True
    reduces_to_sql = False

    def __init__(self, name: str) -> None:
        self.name = name

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Models stay as they are."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.collect_sql:
            return
        at = progress(schema_editor.connection.alias).get(self.name)
        if at is None:
            raise BackfillError(f"{self.name} was never declared: no migration that was applied has it.")
        if not at.finished:
            raise BackfillError(f"{self.name} is not done: {at}. Run manage.py backfill run, and migrate again.")

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Nothing was done."""

    def describe(self) -> str:
        return f"Only after the backfill {self.name}"


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def declared(migrations: Iterator[Migration] | list[Migration]) -> dict[str, Backfill]:
    """By name, those of these migrations. Raises BackfillError for a name that two of them have."""
    found: dict[str, Backfill] = {}
    for migration in migrations:
        for operation in migration.operations:
            if isinstance(operation, Backfill):
                if operation.name in found:
                    raise BackfillError(f"{operation.name} is declared twice.")
                found[operation.name] = operation
    return found


# --- how far they are -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one is. looked_at: rows of this pass; changed: of all passes; rows: of the table, as PostgreSQL last
    counted them; None: it has not."""

    name: str
    position: str
    number: int
    looked_at: int
    changed: int
    started: bool
    finished: bool
    rows: int | None = None

    def __str__(self) -> str:
        if self.finished:
            return f"done, {self.changed:,} rows changed"
        if not self.started:
            return "not begun"
        of = f" of about {self.rows:,}" if self.rows else ""
        return f"pass {self.number}: {self.looked_at:,}{of} rows looked at, {self.changed:,} changed in all"


def progress(alias: str = DEFAULT_DB_ALIAS) -> dict[str, Progress]:
    """Of those that applied migrations declared, by name, in the order of their declaration."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT to_regclass('erip_backfill') IS NOT NULL")
        if not (cursor.fetchone() or (False,))[0]:
            return {}
        cursor.execute(
            "SELECT name, position, number, looked_at, changed, started_at IS NOT NULL, finished_at IS NOT NULL"
            " FROM erip_backfill ORDER BY declared_at, name"
        )
        return {row[0]: Progress(*row) for row in cursor.fetchall()}


def with_rows(at: Progress, one: Backfill, alias: str = DEFAULT_DB_ALIAS) -> Progress:
    """The same with the number of the table's rows."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", [one.table])
        (rows,) = cursor.fetchone() or (None,)
    return replace(at, rows=rows if rows is not None and rows >= 0 else None)


# --- one batch --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """What one did. looked_at, changed: rows; left: rows that others had locked; over: whether it ended a pass; last:
    whether all is done."""

    looked_at: int
    changed: int
    left: int
    number: int
    over: bool
    last: bool


def step(one: Backfill, rows: int, alias: str = DEFAULT_DB_ALIAS) -> Batch | None:
    """Do one batch, in a transaction of its own. None: another process is in one. Raises BackfillError, DatabaseError.

    rows: how many to look at.
    """
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT position, number, met, finished_at IS NOT NULL FROM erip_backfill WHERE name = %s"
            " FOR UPDATE SKIP LOCKED",
            [one.name],
        )
        if (row := cursor.fetchone()) is None:
            cursor.execute("SELECT FROM erip_backfill WHERE name = %s", [one.name])
            if cursor.fetchone() is None:
                raise BackfillError(f"{one.name} is not declared in this database: run manage.py migrate first.")
            return None
        position, number, met, finished = row
        if finished:
            return Batch(0, 0, 0, number, True, True)
        cursor.execute(_batch(one, begins=position == ""), {"position": position, "rows": rows})
        looked, needing, changed, end = cursor.fetchone() or (0, 0, 0, None)
        over = looked < rows
        done = over and met + needing == 0
        cursor.execute(
            _MOVE,
            {
                "position": "" if over else end,
                "more": int(over and not done),
                "over": over,
                "looked": looked,
                "needing": needing,
                "changed": changed,
                "done": done,
                "name": one.name,
            },
        )
    return Batch(looked, changed, needing - changed, number, over, done)


_MOVE = """
UPDATE erip_backfill SET position = %(position)s, number = number + %(more)s, changed = changed + %(changed)s,
    looked_at = CASE WHEN %(over)s THEN 0 ELSE looked_at + %(looked)s END,
    met = CASE WHEN %(over)s THEN 0 ELSE met + %(needing)s END,
    started_at = coalesce(started_at, now()), moved_at = now(), finished_at = CASE WHEN %(done)s THEN now() END
WHERE name = %(name)s
"""


def _batch(one: Backfill, *, begins: bool) -> str:
    """Rows looked at, rows that need it, rows changed, and the last key. A `%` of the declaration is one."""
    key, table = one.key, one.table
    where, set = one.where.replace("%", "%%"), one.set.replace("%", "%%")
    after = "" if begins else f"WHERE {key} > %(position)s"
    # The second look at the rows is FOR NO KEY UPDATE SKIP LOCKED: it waits for nobody, and sees their newest version.
    return f"""
    WITH walked AS MATERIALIZED (SELECT {key} AS k FROM {table} {after} ORDER BY {key} LIMIT %(rows)s),
    needing AS MATERIALIZED (SELECT {key} AS k FROM {table} WHERE {key} IN (SELECT k FROM walked) AND ({where})),
    free AS MATERIALIZED (
        SELECT {key} AS k FROM {table} WHERE {key} IN (SELECT k FROM needing) AND ({where})
        FOR NO KEY UPDATE SKIP LOCKED
    ),
    done AS (UPDATE {table} SET {set} WHERE {key} IN (SELECT k FROM free) RETURNING 1)
    SELECT (SELECT count(*) FROM walked), (SELECT count(*) FROM needing), (SELECT count(*) FROM done),
           (SELECT k::text FROM walked ORDER BY k DESC LIMIT 1)
    """  # noqa: S608 - of a migration


# --- the pace ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the standby that is last is behind. seconds: as PostgreSQL measured it last, None: it has measured
    nothing; bytes: of its log that are not applied there. hidden: standbys of which this role may not see it."""

    seconds: float | None
    bytes: int | None
    hidden: int


def lag(connection: Any = None) -> Lag:
    """Of the standbys that are connected. One that is away is none of them: what it has to catch up with is kept by its
    slot, and its disk space is not this module's.

    connection: whose role is asked for it; None: this thread's own. Where the application has a role of its own, that
    has pg_read_all_stats, and the owner need not have it.
    """
    with (connection or connections[DEFAULT_DB_ALIAS]).cursor() as cursor:
        cursor.execute(
            "SELECT max(extract(epoch FROM replay_lag))::float8,"
            " max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::bigint,"
            " count(*) FILTER (WHERE state IS NULL) FROM pg_stat_get_wal_senders()"
        )
        return Lag(*(cursor.fetchone() or (None, None, 0)))


@dataclass(frozen=True, slots=True)
class Pace:
    """seconds: that a batch should take, and so the longest that anybody waits for a row of it; rest: seconds of pause
    for each second of work; lag_seconds, lag_bytes: standbys further behind are waited for; blind: also run where their
    lag cannot be seen."""

    seconds: float = 0.2
    rest: float = 1.0
    lag_seconds: float = 1.0
    lag_bytes: int = 32 << 20
    blind: bool = False


def run(
    one: Backfill,
    pace: Pace = Pace(),
    *,
    tell: Callable[[str], object] = lambda _: None,
    pause: Callable[[float], object] = time.sleep,
    standbys: Callable[[], Lag] = lag,
    alias: str = DEFAULT_DB_ALIAS,
) -> int:
    """Do one to its end, in batches. Returns the rows that this call changed. Raises BackfillError, DatabaseError.

    tell: is called after each batch, and while it waits, with how it stands. pause: waits so many seconds.
    standbys: asks how far they are behind.
    """
    rows, changed = FIRST, 0
    passes = in_pass = 0
    while True:
        _await_standbys(pace, tell, pause, standbys)
        began = time.monotonic()
        batch = step(one, rows, alias)
        took = time.monotonic() - began
        if batch is None:
            tell("another process is at it")
            pause(LOOK_EVERY)
            continue
        changed += batch.changed
        if batch.last:
            return changed
        in_pass += batch.changed
        if batch.over:
            # A pass that met only rows that others have locked says nothing of rows that keep coming.
            if in_pass:
                passes += 1
            else:
                pause(LOOK_EVERY)
            if passes == PASSES:
                raise BackfillError(
                    f"{one.name}: pass {batch.number} over {one.table} still met rows that need it. What it changed is "
                    "kept. Processes of the release before still write such rows, and nothing sets the value for them; "
                    "or the change does not do what `where` asks for."
                )
            in_pass = 0
        tell(str(with_rows(progress(alias)[one.name], one, alias)))
        rows = next_size(rows, took, pace.seconds)
        pause(took * pace.rest)


def next_size(rows: int, took: float, aim: float) -> int:
    """Rows of the next batch: so many as would have taken the time, and at most twice as many or half."""
    factor = min(2.0, max(0.5, aim / max(took, 1e-6)))
    return max(LEAST, min(MOST, int(rows * factor)))


def _await_standbys(
    pace: Pace, tell: Callable[[str], object], pause: Callable[[float], object], standbys: Callable[[], Lag]
) -> None:
    while True:
        now = standbys()
        if now.hidden and not pace.blind:
            raise BackfillError(
                f"How far {now.hidden} standbys are behind cannot be seen by this role: GRANT pg_read_all_stats to it, "
                "or say --blind."
            )
        # PostgreSQL goes on showing what it last measured for a while after a standby has caught up.
        if not now.bytes or ((now.seconds or 0.0) <= pace.lag_seconds and now.bytes <= pace.lag_bytes):
            return
        tell(f"waits for a standby: {now.bytes:,} bytes, {now.seconds or 0.0:.1f} s behind")
        pause(LOOK_EVERY)
