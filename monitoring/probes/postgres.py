"""PostgreSQL, asked on a connection of the probe's own: an empty pool says nothing about the database."""

import psycopg2

from erip.foundation.db.failures import said, sqlstate
from erip.foundation.db.ping import Pinger
from monitoring.core.components import State
from monitoring.probes import PATIENCE, Finding, Unanswered

# One row, one round trip. What a role without pg_monitor may not see of other roles' sessions is NULL, and then absent
# from the measures: unknown is not 0. The sizes of files are not asked for here: that reads a directory.
#
# The functions below PostgreSQL's statistics views, not the views: to plan the views took 8 ms, nine times as long as
# to carry them out, at every look of every process that looks. What initdb made has oids below 16384.
_LOOK = """
SELECT pg_is_in_recovery() AS standby,
       pg_postmaster_start_time()::text || ' ' || coalesce(host(inet_server_addr()), '') || ':'
           || coalesce(inet_server_port()::text, '') AS identity,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS room,
       s.*, d.*, l.waiting, r.replicas, r.lag, t.dead, t.live, w.wal_bytes::float8 AS wal_bytes,
       CASE WHEN current_setting('archive_mode') <> 'off' THEN
           extract(epoch FROM clock_timestamp() - coalesce(a.last_archived_time, a.stats_reset))::float8
       END AS archived
FROM (SELECT count(*) FILTER (WHERE backend_type = 'client backend') AS connections,
             count(*) FILTER (WHERE state = 'active') AS active,
             count(*) FILTER (WHERE state = 'idle') AS idle,
             count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
             extract(epoch FROM clock_timestamp() - min(xact_start) FILTER (WHERE backend_type = 'client backend'
                     AND pid <> pg_backend_pid()))::float8 AS oldest_transaction
      FROM pg_stat_get_activity(NULL)) s,
     (SELECT pg_stat_get_db_xact_commit(oid) AS xact_commit, pg_stat_get_db_xact_rollback(oid) AS xact_rollback,
             pg_stat_get_db_deadlocks(oid) AS deadlocks, pg_stat_get_db_temp_bytes(oid) AS temp_bytes,
             pg_stat_get_db_blocks_fetched(oid) - pg_stat_get_db_blocks_hit(oid) AS blks_read,
             pg_stat_get_db_blocks_hit(oid) AS blks_hit, age(datfrozenxid) AS xid_age
      FROM pg_database WHERE datname = current_database()) d,
     (SELECT count(*) AS waiting FROM pg_lock_status() WHERE NOT granted) l,
     (SELECT count(*) AS replicas, max(extract(epoch FROM replay_lag))::float8 AS lag FROM pg_stat_get_wal_senders()) r,
     (SELECT sum(pg_stat_get_dead_tuples(oid))::float8 AS dead, sum(pg_stat_get_live_tuples(oid))::float8 AS live
      FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'm')) t,
     pg_stat_get_wal() w, pg_stat_get_archiver() a
"""
#: a share of all transaction ids at which PostgreSQL begins to warn is 2 billion less 40 million; long before that:
_OLD_IDS = 1_000_000_000
#: a share of the connections that are left for clients
_NEARLY_FULL = 0.9

#: column → the metric that it becomes; a "+" marks a counter
_GAUGES = {
    "connections": "erip_postgresql_connections",
    "room": "erip_postgresql_connections_limit",
    "active": 'erip_postgresql_sessions{state="active"}',
    "idle": 'erip_postgresql_sessions{state="idle"}',
    "idle_in_transaction": 'erip_postgresql_sessions{state="idle in transaction"}',
    "oldest_transaction": "erip_postgresql_oldest_transaction_seconds",
    "waiting": "erip_postgresql_locks_waiting",
    "replicas": "erip_postgresql_replicas",
    "lag": "erip_postgresql_replication_lag_seconds",
    "dead": "erip_postgresql_dead_rows",
    "live": "erip_postgresql_live_rows",
    "xid_age": "erip_postgresql_transaction_id_age",
    "archived": "erip_postgresql_archived_age_seconds",
    "+xact_commit": "erip_postgresql_commits_total",
    "+xact_rollback": "erip_postgresql_rollbacks_total",
    "+deadlocks": "erip_postgresql_deadlocks_total",
    "+temp_bytes": "erip_postgresql_temporary_bytes_total",
    "+wal_bytes": "erip_postgresql_wal_bytes_total",
    "+blks_read": "erip_postgresql_blocks_read_total",
    "+blks_hit": "erip_postgresql_blocks_hit_total",
}


class Postgres:
    """Keeps its connection from one look to the next. For one thread."""

    def __init__(self) -> None:
        self._pinger = Pinger()

    def close(self) -> None:
        """Its thread ends."""
        self._pinger.close()

    def __call__(self) -> Finding:
        try:
            row = self._pinger.ask(_LOOK, PATIENCE)
        except psycopg2.Error as error:
            if sqlstate(error) is None and "in time" in str(error):
                raise Unanswered(
                    f"PostgreSQL accepted no question or gave no answer within {PATIENCE:.0f} s"
                ) from error
            raise Unanswered(f"PostgreSQL does not answer: {said(error)}") from error
        measures = {
            metric: float(row[column.removeprefix("+")])
            for column, metric in _GAUGES.items()
            if row[column.removeprefix("+")] is not None
        }
        return Finding(*_judge(row), str(row["identity"]), measures)


def _judge(row: dict[str, object]) -> tuple[State, str]:
    used, room = int(str(row["connections"])), int(str(row["room"]))
    if row["standby"]:
        # DATABASE_URL leads to the primary; a standby there takes no writes.
        return State.DOWN, "PostgreSQL answers, but as a standby: nothing can be written."
    if used >= _NEARLY_FULL * room:
        return State.DEGRADED, f"PostgreSQL serves, but {used} of {room} connections are in use."
    if int(str(row["xid_age"])) > _OLD_IDS:
        return State.DEGRADED, "PostgreSQL serves, but half of its transaction ids are used: a vacuum is overdue."
    return State.OK, f"PostgreSQL serves; {used} of {room} connections are in use."
