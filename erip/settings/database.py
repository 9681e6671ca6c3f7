"""Settings of the database layer; docs/explanation/database.md says what each is for. Times are in seconds."""

from typing import Any

from .declared import Declarations
from .values import database_address, database_url

_env = Declarations("Database")

# --- how many connections -------------------------------------------------------------------------------
# For the whole deployment, divided over its processes (web workers, Celery workers, leaders).
ERIP_PROCESSES = _env.whole(
    "ERIP_PROCESSES",
    5,
    "Processes of one host that share the connections of ERIP_DB_MIN and ERIP_DB_MAX.",
    unit="processes",
    least=1,
)
ERIP_DB_MIN = _env.whole(
    "ERIP_DB_MIN", 20, "Connections to PostgreSQL that are kept open, over all processes.", unit="connections", least=0
)
ERIP_DB_MAX = _env.whole(
    "ERIP_DB_MAX", 200, "Connections to PostgreSQL at the most, over all processes.", unit="connections", least=1
)
# For one process; these take precedence: connections kept open, and further ones opened while they are needed.
ERIP_DB_POOL_SIZE = _env.whole(
    "ERIP_DB_POOL_SIZE",
    max(1, ERIP_DB_MIN // max(1, ERIP_PROCESSES)),
    "Connections that one process keeps open.",
    shown="ERIP_DB_MIN / ERIP_PROCESSES",
    unit="connections",
    least=1,
)
ERIP_DB_POOL_OVERFLOW = _env.whole(
    "ERIP_DB_POOL_OVERFLOW",
    max(0, ERIP_DB_MAX // max(1, ERIP_PROCESSES) - ERIP_DB_POOL_SIZE),
    "Connections that one process may open beyond those.",
    shown="ERIP_DB_MAX / ERIP_PROCESSES, less the pool's size",
    unit="connections",
    least=0,
)
ERIP_DB_POOL_TIMEOUT = _env.number(
    "ERIP_DB_POOL_TIMEOUT", 10.0, "Seconds to wait for a free connection.", above=0, most=3600
)
ERIP_DB_POOL_RECYCLE = _env.whole(
    "ERIP_DB_POOL_RECYCLE", 1800, "Seconds after which a connection is replaced.", unit="s", least=1
)
# A connection that its thread keeps for this long without a statement is reported.
ERIP_DB_LEAK_AFTER = _env.number(
    "ERIP_DB_LEAK_AFTER",
    5.0,
    "Seconds after which a connection that is kept without use is reported.",
    unit="s",
    above=0,
)

# --- a pooler in front ----------------------------------------------------------------------------------
# False behind a pooler that gives each transaction another connection: Note [Prepared statements] in
# erip/foundation/db/prepared.
# Nothing is then sent at the start of a session either: the limits below belong in ALTER ROLE.
ERIP_DB_PREPARE = _env.flag(
    "ERIP_DB_PREPARE", True, "False behind a pooler that gives each transaction another connection."
)
# Bypasses the pooler, for what belongs to a session: LISTEN, and the leader's advisory lock. Empty: DATABASE_URL.
ERIP_DB_DIRECT_URL = _env.text(
    "ERIP_DB_DIRECT_URL",
    "",
    "PostgreSQL's own address, behind PgBouncer in transaction mode.",
    secret=True,
    form=database_address,
)

# --- deadlines ------------------------------------------------------------------------------------------
# 0 is no limit. They are PostgreSQL's settings of the same names.
ERIP_DB_STATEMENT_TIMEOUT = _env.number(
    "ERIP_DB_STATEMENT_TIMEOUT", 10.0, "Seconds that a statement may take.", least=0, most=2_000_000
)
ERIP_DB_LOCK_TIMEOUT = _env.number(
    "ERIP_DB_LOCK_TIMEOUT", 3.0, "Seconds that a statement may wait for a lock.", least=0, most=2_000_000
)
# Note [Patience of migrations] in erip/foundation/db/migrating.py
ERIP_DB_MIGRATION_LOCK_TIMEOUT = _env.number(
    "ERIP_DB_MIGRATION_LOCK_TIMEOUT",
    0.5,
    "Seconds that a migration waits for a lock, and others behind it, before it is tried again.",
    unit="s",
    above=0,
    most=3600,
)
ERIP_DB_MIGRATION_PATIENCE = _env.number(
    "ERIP_DB_MIGRATION_PATIENCE",
    600.0,
    "Seconds within which a migration is tried again.",
    unit="s",
    least=0,
    most=86_400,
)
ERIP_DB_IDLE_TRANSACTION_TIMEOUT = _env.number(
    "ERIP_DB_IDLE_TRANSACTION_TIMEOUT", 60.0, "Seconds that a transaction may be idle.", least=0, most=2_000_000
)
ERIP_DB_SLOW_STATEMENT = _env.number(
    "ERIP_DB_SLOW_STATEMENT", 1.0, "Seconds after which a statement is logged as slow.", unit="s", least=0
)
# libpq counts whole seconds, and takes 1 for 2.
ERIP_DB_CONNECT_TIMEOUT = _env.whole(
    "ERIP_DB_CONNECT_TIMEOUT",
    3,
    "Seconds that connecting may take ([deadlines](../explanation/database.md#deadlines)).",
    least=1,
    most=3600,
)
ERIP_DB_TCP_USER_TIMEOUT = _env.number(
    "ERIP_DB_TCP_USER_TIMEOUT", 5.0, "Seconds after which unacknowledged data ends a connection.", least=0, most=86_400
)
# After this time without any answer the server is asked, on a new connection, whether it still answers.
ERIP_DB_HUNG_AFTER = _env.number(
    "ERIP_DB_HUNG_AFTER", 1.5, "Seconds after which a server that answers nobody is given up.", unit="s", above=0
)

# --- failover -------------------------------------------------------------------------------------------
ERIP_DB_RETRY_SECONDS = _env.number(
    "ERIP_DB_RETRY_SECONDS",
    15.0,
    "Seconds for which background work repeats a transaction through a failover.",
    above=0,
    most=3600,
)
ERIP_DB_REQUEST_SECONDS = _env.number(
    "ERIP_DB_REQUEST_SECONDS",
    5.0,
    "Seconds for which a request waits for a failover ([failover](../explanation/database.md#failover)).",
    above=0,
    most=3600,
)
ERIP_DB_BREAKER_SECONDS = _env.number(
    "ERIP_DB_BREAKER_SECONDS",
    5.0,
    "Seconds for which callers wait for a database that is away; after that they fail fast.",
    above=0,
    most=3600,
)
ERIP_DB_BREAKER_MAX_SECONDS = _env.number(
    "ERIP_DB_BREAKER_MAX_SECONDS",
    60.0,
    "The longest Retry-After of a database that is away, in seconds.",
    above=0,
    most=86_400,
)
# Note [Standing by] in erip/foundation/process/parked.py
ERIP_AWAIT_PRIMARY = _env.flag(
    "ERIP_AWAIT_PRIMARY",
    False,
    "Whether processes stand by, loaded, until PostgreSQL takes writes: in a [second region](../how-to/second-region.md).",
)

# --- replicas -------------------------------------------------------------------------------------------
ERIP_REPLICA_URLS: list[str] = _env.items(
    "ERIP_REPLICA_URLS",
    [],
    "[Replicas](../explanation/database.md#replicas) that lists are read from.",
    secret=True,
    form=database_address,
)
ERIP_REPLICA_POLICY = _env.text(
    "ERIP_REPLICA_POLICY", "round-robin", "`round-robin` or `least-lag`.", choices=("round-robin", "least-lag")
)
ERIP_REPLICA_MAX_LAG = _env.number(
    "ERIP_REPLICA_MAX_LAG", 30.0, "Seconds that a replica may be behind.", unit="s", least=0
)
# `token`: only callers that send a token of what they have seen (or have a session) read from a replica. `all`: every
# caller.
ERIP_REPLICA_READS = _env.text(
    "ERIP_REPLICA_READS",
    "token",
    "`token`: replicas serve callers whose own writes they have; see [replicas](../explanation/database.md#replicas).",
    choices=("token", "all"),
)


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
        # A peer that vanished while we wait for its answer is noticed in 5 s; so is one that accepts no data any more.
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
        _env.database_url(
            "DATABASE_URL",
            "postgres://erip@127.0.0.1:5432/erip",
            "`postgres://user:password@host:port/name`; PostgreSQL 15 or newer. Production has no default.",
            shown="the local stack's",
            required=True,
        ),
        "erip",
        limits=ERIP_DB_PREPARE,
    )
}
#: connection parameters for sessions that must not go through a pooler; None: those of DATABASE_URL
ERIP_DB_DIRECT: dict[str, Any] | None = (
    _database(database_url(ERIP_DB_DIRECT_URL), "erip") if ERIP_DB_DIRECT_URL else None
)
_OWNER_URL = _env.text(
    "DATABASE_OWNER_URL",
    "",
    "The database's owner, for `manage.py migrate` alone ([roles](../how-to/database-roles.md)); no other process needs it. Empty: `DATABASE_URL` owns its tables.",
    secret=True,
    form=database_address,
)
#: connection parameters of the owner; None: the application's role owns its tables
ERIP_DATABASE_OWNER: dict[str, Any] | None = _database(database_url(_OWNER_URL), "erip-owner") if _OWNER_URL else None
#: aliases of the replicas, in the order of their URLs
ERIP_REPLICAS = [f"replica{number}" for number in range(1, len(ERIP_REPLICA_URLS) + 1)]
for _alias, _url in zip(ERIP_REPLICAS, ERIP_REPLICA_URLS, strict=True):
    DATABASES[_alias] = {
        **_database(database_url(_url), "erip-reads", limits=ERIP_DB_PREPARE),
        "TEST": {"MIRROR": "default"},
    }
DATABASE_ROUTERS = ["erip.foundation.db.router.Router"]
# For base.py: the first of the middlewares that touch the database.
DATABASE_MIDDLEWARE = ["erip.foundation.db.middleware.Consistency"]
