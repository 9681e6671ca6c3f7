"""Settings of the database layer; docs/explanation/database.md says what each is for. Times are in seconds."""

from typing import Any

import environ

_env = environ.Env()

# --- how many connections -------------------------------------------------------------------------------
# Of the whole deployment, divided over its processes (web workers, Celery workers, leaders).
ERIP_PROCESSES = _env.int("ERIP_PROCESSES", 5)
ERIP_DB_MIN = _env.int("ERIP_DB_MIN", 20)
ERIP_DB_MAX = _env.int("ERIP_DB_MAX", 200)
# Of one process; these win: kept open, and opened beyond that while there is need.
ERIP_DB_POOL_SIZE = _env.int("ERIP_DB_POOL_SIZE", max(1, ERIP_DB_MIN // max(1, ERIP_PROCESSES)))
ERIP_DB_POOL_OVERFLOW = _env.int(
    "ERIP_DB_POOL_OVERFLOW", max(0, ERIP_DB_MAX // max(1, ERIP_PROCESSES) - ERIP_DB_POOL_SIZE)
)
ERIP_DB_POOL_TIMEOUT = _env.float("ERIP_DB_POOL_TIMEOUT", 10.0)
ERIP_DB_POOL_RECYCLE = _env.int("ERIP_DB_POOL_RECYCLE", 1800)
# A connection that its thread keeps for this long without a statement is reported.
ERIP_DB_LEAK_AFTER = _env.float("ERIP_DB_LEAK_AFTER", 5.0)

# --- a pooler in front ----------------------------------------------------------------------------------
# False behind a pooler that gives each transaction another connection: Note [Prepared statements] in
# erip/foundation/db/prepared.
# Nothing is then sent at the start of a session either: the limits below belong into ALTER ROLE.
ERIP_DB_PREPARE = _env.bool("ERIP_DB_PREPARE", True)
# Past the pooler, for what belongs to a session: LISTEN, and the leader's advisory lock. Empty: DATABASE_URL.
ERIP_DB_DIRECT_URL = _env.str("ERIP_DB_DIRECT_URL", "")

# --- deadlines ------------------------------------------------------------------------------------------
# 0 is no limit. They are PostgreSQL's own of these names.
ERIP_DB_STATEMENT_TIMEOUT = _env.float("ERIP_DB_STATEMENT_TIMEOUT", 10.0)
ERIP_DB_LOCK_TIMEOUT = _env.float("ERIP_DB_LOCK_TIMEOUT", 3.0)
ERIP_DB_IDLE_TRANSACTION_TIMEOUT = _env.float("ERIP_DB_IDLE_TRANSACTION_TIMEOUT", 60.0)
ERIP_DB_SLOW_STATEMENT = _env.float("ERIP_DB_SLOW_STATEMENT", 1.0)
# libpq counts whole seconds, and takes 1 for 2.
ERIP_DB_CONNECT_TIMEOUT = _env.int("ERIP_DB_CONNECT_TIMEOUT", 3)
ERIP_DB_TCP_USER_TIMEOUT = _env.float("ERIP_DB_TCP_USER_TIMEOUT", 5.0)
# After so long without any answer the server is asked, on a new connection, whether it still answers.
ERIP_DB_HUNG_AFTER = _env.float("ERIP_DB_HUNG_AFTER", 1.5)

# --- failover -------------------------------------------------------------------------------------------
ERIP_DB_RETRY_SECONDS = _env.float("ERIP_DB_RETRY_SECONDS", 15.0)
ERIP_DB_REQUEST_SECONDS = _env.float("ERIP_DB_REQUEST_SECONDS", 5.0)
ERIP_DB_BREAKER_SECONDS = _env.float("ERIP_DB_BREAKER_SECONDS", 5.0)
ERIP_DB_BREAKER_MAX_SECONDS = _env.float("ERIP_DB_BREAKER_MAX_SECONDS", 60.0)

# --- replicas -------------------------------------------------------------------------------------------
ERIP_REPLICA_URLS: list[str] = _env.list("ERIP_REPLICA_URLS", default=[])
ERIP_REPLICA_POLICY = _env.str("ERIP_REPLICA_POLICY", "round-robin")
ERIP_REPLICA_MAX_LAG = _env.float("ERIP_REPLICA_MAX_LAG", 30.0)
# `token`: only who says what it has seen (or has a session) reads from a replica. `all`: everybody.
ERIP_REPLICA_READS = _env.str("ERIP_REPLICA_READS", "token")


def _session_limits() -> str:
    limits = {
        "statement_timeout": ERIP_DB_STATEMENT_TIMEOUT,
        "lock_timeout": ERIP_DB_LOCK_TIMEOUT,
        "idle_in_transaction_session_timeout": ERIP_DB_IDLE_TRANSACTION_TIMEOUT,
    }
    return " ".join(f"-c {name}={round(seconds * 1000)}" for name, seconds in limits.items())


def _database(url: dict[str, Any], application_name: str, *, limits: bool = True) -> dict[str, Any]:
    options = url.setdefault("OPTIONS", {})
    defaults: dict[str, Any] = {
        "connect_timeout": ERIP_DB_CONNECT_TIMEOUT,
        "application_name": application_name,
        # A peer that vanished while we wait for its answer is noticed in 5 s; one that takes nothing any more as well.
        "keepalives_idle": 2,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": round(ERIP_DB_TCP_USER_TIMEOUT * 1000),
    }
    if limits:
        defaults["options"] = _session_limits()
    for name, value in defaults.items():
        options.setdefault(name, value)
    # The pool keeps them; a request or task gives its connection back at its end.
    return {**url, "ENGINE": "erip.foundation.db.pooled", "CONN_MAX_AGE": 0}


DATABASES: dict[str, dict[str, Any]] = {
    "default": _database(
        _env.db_url("DATABASE_URL", default="postgres://erip@127.0.0.1:5432/erip"), "erip", limits=ERIP_DB_PREPARE
    )
}
#: connection parameters for sessions that must not go through a pooler; None: those of DATABASE_URL
ERIP_DB_DIRECT: dict[str, Any] | None = (
    _database(_env.db_url_config(ERIP_DB_DIRECT_URL), "erip") if ERIP_DB_DIRECT_URL else None
)
#: aliases of the replicas, in the order of their URLs
ERIP_REPLICAS = [f"replica{number}" for number in range(1, len(ERIP_REPLICA_URLS) + 1)]
for _alias, _url in zip(ERIP_REPLICAS, ERIP_REPLICA_URLS, strict=True):
    DATABASES[_alias] = {
        **_database(_env.db_url_config(_url), "erip-reads", limits=ERIP_DB_PREPARE),
        "TEST": {"MIRROR": "default"},
    }
DATABASE_ROUTERS = ["erip.foundation.db.router.Router"]
# For base.py, first of those that touch the database.
DATABASE_MIDDLEWARE = ["erip.foundation.db.middleware.Consistency"]
