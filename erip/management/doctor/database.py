"""PostgreSQL: whether it answers, may lose something, runs out of something, or lets the platform do too much."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.migrations.executor import MigrationExecutor

from erip.foundation.db import phases
from erip.foundation.db.failures import said
from erip.foundation.db.ping import Pinger

from .findings import Finding, problem, unknown, warning, well

#: the oldest major version that the platform runs on
_OLDEST = 15
#: seconds for an answer
_PATIENCE = 5.0
#: seconds between two clocks
_SKEW = 2.0
#: transactions until PostgreSQL stops taking any, and the share of them from which it is time to act
_WRAPAROUND, _LATE = 2**31, 0.7
#: bytes of WAL that a slot may hold back
_HELD_BACK = 4 * 1024**3
_LOOPBACK = ("", "127.0.0.1", "localhost", "::1")

_SERVER = """
SELECT current_setting('server_version_num')::int / 10000 AS major,
       pg_is_in_recovery() AS standby,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int AS most,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
       current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS safe,
       current_setting('archive_mode') <> 'off' AS archives,
       (SELECT max(age(datfrozenxid)) FROM pg_database) AS age,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       (SELECT count(*) FROM pg_class
         WHERE relkind IN ('r', 'p') AND pg_get_userbyid(relowner) = current_user) AS owned,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted
"""
_ARCHIVER = """
SELECT failed_count, last_failed_time > coalesce(last_archived_time, '-infinity') AS failing,
       extract(epoch FROM now() - last_archived_time)::float8 AS seconds
FROM pg_stat_archiver
"""
_SLOTS = """
SELECT slot_name, active, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 AS held
FROM pg_replication_slots
"""
_REPLICA = """
SELECT pg_is_in_recovery() AS standby,
       extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 AS seconds
"""


def it_answers() -> Iterator[Finding]:
    pinger = Pinger()
    began = time.monotonic()
    try:
        pinger.ping(_PATIENCE)
    except Exception as error:
        yield problem(
            "PostgreSQL",
            f"no answer within {_PATIENCE:.0f} s: {said(error)}",
            "see docs/how-to/runbooks/postgresql-down.md; runs that were accepted are not lost",
        )
    else:
        yield well("PostgreSQL", f"answers on a new connection within {(time.monotonic() - began) * 1000:.0f} ms")
    finally:
        pinger.close()


def the_server_is_sound() -> Iterator[Finding]:
    began = time.time()
    (one,) = rows(_SERVER)
    middle = (began + time.time()) / 2
    if one["major"] < _OLDEST:
        yield problem("PostgreSQL", f"is version {one['major']}", f"upgrade to {_OLDEST} or newer")
    if one["standby"]:
        yield problem("DATABASE_URL", "leads to a standby, which takes no writes", "point it at the primary")
    if not one["safe"]:
        yield problem(
            "PostgreSQL", "fsync or full_page_writes is off: a crash of the machine corrupts data", "switch both on"
        )
    skew = abs(middle - one["clock"])
    if skew > _SKEW:
        yield warning("clock", f"differs from the database's by {skew:.1f} s", "synchronise both with NTP")
    yield from _room(one)
    if one["age"] > _LATE * _WRAPAROUND:
        yield problem(
            "PostgreSQL",
            f"the oldest transaction id is {one['age']:,} old: at {_WRAPAROUND:,} no transaction is taken any more",
            "find what keeps VACUUM from it: long transactions, prepared transactions, replication slots",
        )
    yield from _rights(one)
    host = str(connection.settings_dict.get("HOST") or "")
    if not one["encrypted"] and host not in _LOOPBACK and not host.startswith("/"):
        yield warning("DATABASE_URL", "the connection is not encrypted", "add ?sslmode=verify-full&sslrootcert=…")


def _room(one: dict[str, Any]) -> Iterator[Finding]:
    share = one["used"] / one["most"]
    says = f"{one['used']} of {one['most']} connections are used"
    if share > 0.9:
        yield problem("connections", says, "lower ERIP_DB_MAX, or put PgBouncer in front")
    elif one["most"] < settings.ERIP_DB_MAX:
        yield warning(
            "connections",
            f"ERIP_DB_MAX is {settings.ERIP_DB_MAX}, and PostgreSQL takes {one['most']}",
            "raise max_connections, or lower ERIP_DB_MAX",
        )
    else:
        yield well("connections", says)


def _rights(one: dict[str, Any]) -> Iterator[Finding]:
    do = "see docs/how-to/database-roles.md: a role of its own that can only read and write rows"
    if one["superuser"]:
        yield problem("DATABASE_URL", "logs in as a superuser: whoever takes the application over has the server", do)
    elif one["owned"]:
        yield warning("DATABASE_URL", f"owns {one['owned']} tables: it could rewrite history", do)
    else:
        yield well("DATABASE_URL", "its role owns no table")


def migrations_are_applied() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    needed, later = phases.unapplied(executor)
    ahead = sorted(
        f"{app}.{name}" for app, name in set(executor.loader.applied_migrations) - set(executor.loader.disk_migrations)
    )
    if needed:
        lacks = f"{len(needed)} are not applied, first {needed[0]}"
        yield problem("migrations", lacks, "run manage.py migrate as the owner")
    if later:
        yield warning(
            "migrations",
            f"{len(later)} are left for later, first {later[0]}: they contract, or need one that does",
            "when no process of an earlier release is left, run manage.py migrate as the owner",
        )
    if ahead:
        yield warning(
            "migrations",
            f"the database has {len(ahead)} that this release does not know, as {ahead[0]}",
            "it is of a newer release, or of an app that was taken out; a release runs beside the next one alone",
        )
    if not needed and not later and not ahead:
        yield well("migrations", "all are applied")


def it_can_be_restored() -> Iterator[Finding]:
    """Only what PostgreSQL itself knows: whether a backup can be restored shows a restore alone."""
    (one,) = rows(_SERVER)
    if not one["archives"]:
        yield warning(
            "backups",
            "archive_mode is off: a restore ends where the last backup was taken",
            "archive the WAL, with pgBackRest for example, and try a restore",
        )
        return
    (archiver,) = rows(_ARCHIVER)
    if archiver["failing"]:
        yield problem(
            "backups",
            f"the last WAL segment could not be archived ({archiver['failed_count']} failures)",
            "see PostgreSQL's log: the disk fills until it works again",
        )
    elif archiver["seconds"] is None:
        yield unknown("backups", "no WAL segment was archived yet")
    else:
        yield well("backups", f"WAL was last archived {archiver['seconds']:.0f} s ago; only a restore shows more")


def nothing_holds_wal_back() -> Iterator[Finding]:
    for slot in rows(_SLOTS):
        held = slot["held"] or 0.0
        about = f"replication slot {slot['slot_name']}"
        if held > _HELD_BACK:
            yield problem(
                about,
                f"holds {held / 1e9:.1f} GB of WAL back",
                "bring its reader back, or drop the slot before the disk is full",
            )
        elif not slot["active"]:
            yield warning(about, "nobody reads it", "bring its reader back, or drop the slot")
        else:
            yield well(about, f"holds {held / 1e6:.0f} MB of WAL back")


def replicas_follow() -> Iterator[Finding]:
    for alias in settings.ERIP_REPLICAS:
        try:
            (one,) = rows(_REPLICA, alias)
        except Exception as error:
            yield problem(alias, f"does not answer: {said(error)}", "reads go to the primary meanwhile; bring it back")
            continue
        finally:
            connections[alias].close()
        if not one["standby"]:
            yield problem(alias, "is no standby: it has a history of its own", "correct ERIP_REPLICA_URLS")
        elif one["seconds"] is not None and one["seconds"] > settings.ERIP_REPLICA_MAX_LAG:
            yield warning(
                alias, f"last replayed a transaction {one['seconds']:.0f} s ago", "on an idle primary that is no fault"
            )
        else:
            yield well(alias, "follows the primary")


def rows(statement: str, alias: str = DEFAULT_DB_ALIAS) -> Sequence[dict[str, Any]]:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
